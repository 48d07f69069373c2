"""Run the MLflow lines of docs/tuning.md on a local file store, if MLflow is installed."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from snippets import snippets

PAGE = Path(__file__).parents[2] / "docs" / "tuning.md"

#: Read the only run back from MLflow: its name, its metrics, every step of one metric, its files.
READ_BACK = """
import json, mlflow
client = mlflow.MlflowClient()
(run,) = client.search_runs([one.experiment_id for one in client.search_experiments()])
steps = [[row.step, row.value] for row in client.get_metric_history(run.info.run_id, "val_loss")]
files = [file.path for file in client.list_artifacts(run.info.run_id, "bundle")]
print(json.dumps([run.info.run_name, run.data.metrics, sorted(steps), files]))
"""


@pytest.mark.slow
def test_a_run_is_logged_as_the_page_describes(
    faces: Path, tmp_path: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    pytest.importorskip("mlflow")
    (snippet,) = [block for block in snippets(PAGE, "python") if "mlflow" in block.code]
    run = tmp_path / "mien-runs" / "my-run"
    code, _, errors = call("train", faces, "--out", run, "--network", "classic", "--size", 32, "--width", 0.1,
                           "--epochs", 2)  # fmt: skip
    assert code == 0, errors
    python(snippet.code, tmp_path)
    name, metrics, steps, files = json.loads(python(READ_BACK, tmp_path))
    assert name == "my-run"
    judged = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["accuracy"]["value"]
    assert metrics["test_accuracy"] == pytest.approx(judged)
    with (run / "history.csv").open(encoding="utf-8") as stream:
        history: list[dict[str, Any]] = list(csv.DictReader(stream))
    assert steps == [[int(row["epoch"]), pytest.approx(float(row["val_loss"]))] for row in history]
    assert len(steps) == 2
    assert {Path(file).name for file in files} >= {"model.onnx", "config.json", "CARD.md"}


def python(code: str, place: Path) -> str:
    words = {**os.environ, "MLFLOW_TRACKING_URI": (place / "mlruns").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=place, env=words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""A missing extra is one sentence with the pip line; nothing is left behind."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import write_empty_model

#: Run commands in a process that has none of the optional libraries; prints exit statuses and stderr as JSON.
CALLS = """
import contextlib, io, json, sys
names = "keras tensorflow jax onnx tf2onnx sklearn scipy tensorboardX optuna psycopg"
names += " jinja2 matplotlib pyarrow av fastapi uvicorn ray"
sys.modules.update(dict.fromkeys(names.split()))
from mien.cli import main
found = []
for line in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            main(line)
        except SystemExit as left:
            found.append([left.code, said.getvalue()])
print(json.dumps(found))
"""
CASES = {
    "train FACES": "train", "demo": "train", "export x.keras --labels a,b --out o": "train",
    "show FACES --augment light": "train", "tune FACES --trials 1": "tune", "serve": "serve",
    "predict FACES --parquet rows.parquet": "parquet", "predict FACES --engine ray --parquet rows": "cluster",
    "predict x.mp4": "video", "evaluate FACES --model BUNDLE --out report": "report",
    "explain FACES --model BUNDLE --summary --out look": "report",
}  # fmt: skip


@pytest.fixture(scope="module")
def answers(
    faces: Path, make_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, str]]:
    """The exit status and stderr of each command, run in a folder that must hold the same two files afterwards."""
    place = tmp_path_factory.mktemp("place")
    given = [place / "x.keras", place / "x.mp4"]
    write_empty_model(given[0])
    given[1].touch()
    places = {"FACES": str(faces), "BUNDLE": str(make_bundle())}
    lines = [[places.get(word, word) for word in line.split()] for line in CASES]
    command = [sys.executable, "-c", CALLS, json.dumps(lines)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(place.iterdir()) == given
    return {line: (code, said) for line, (code, said) in zip(CASES, json.loads(done.stdout), strict=True)}


@pytest.mark.parametrize("line", CASES)
def test_a_missing_extra_is_one_sentence_with_the_pip_line(line: str, answers: dict[str, tuple[int, str]]) -> None:
    status, errors = answers[line]
    assert (status, errors[:6], errors.count("\n")) == (2, "mien: ", 1)
    assert errors.endswith(f"needs an optional part of mien: pip install 'mien[{CASES[line]}]'\n")

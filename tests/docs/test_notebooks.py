"""The notebooks run from a clean kernel, both unchanged and with the one line changed that they suggest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mien.data.synthetic.faces import write_dataset

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PREDICT, TRAIN = "predict.ipynb", "train_and_evaluate.ipynb"

Execute = Callable[..., str]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Return a function that runs a notebook in `tmp_path`, a line replaced if given, and returns its text."""
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("HOME", str(tmp_path))

    import nbformat  # seconds, which only the worker that runs a notebook needs to spend
    from nbclient import NotebookClient

    def run(name: str, line: str = "", changed: str = "") -> str:
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)  # type: ignore[no-untyped-call]
        assert any(line in cell.source for cell in notebook.cells)
        for cell in notebook.cells:
            cell.source = cell.source.replace(line, changed)
        done = NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(tmp_path)}}).execute()
        return "".join(text_of(cell) for cell in done.cells)

    return run


def text_of(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.get("outputs", ()))


@pytest.mark.parametrize("name", [PREDICT, pytest.param(TRAIN, marks=pytest.mark.slow)])
def test_a_notebook_runs_from_a_clean_kernel(name: str, execute: Execute, tmp_path: Path) -> None:
    assert "happy" in execute(name)
    assert any((tmp_path / "notebook-work").iterdir())


def test_predict_takes_a_model_of_other_classes(execute: Execute, make_bundle: Callable[..., Path]) -> None:
    bundle = make_bundle(("smile", "frown"))
    shown = execute(PREDICT, "MODEL = None", f"MODEL = {str(bundle)!r}")
    assert "  smile     0." in shown
    assert "P(smile)" in shown or "P(frown)" in shown
    assert "happy" not in shown


@pytest.mark.slow
def test_training_takes_another_folder_twice(execute: Execute, tmp_path: Path) -> None:
    """The second class is rare and looks like the first, so that it is never predicted."""
    for name, count in {"common": 100, "rare": 10}.items():
        write_dataset(tmp_path / "mine", count, seed=count, size=48, classes=["happy"])
        (tmp_path / "mine" / "happy").rename(tmp_path / "mine" / name)
    for _ in range(2):
        shown = execute(TRAIN, 'DATA = WORK / "drawn"', 'DATA = Path("mine")')
        assert "no image of the test part was answered rare" in shown
        assert "ONNX equals Keras" in shown


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_has_small_outputs_and_no_local_path(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    assert len(text) < 600_000
    assert "/home/" not in text and "/tmp/" not in text and "/work/" not in text
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), "run it from a clean kernel"
    assert not any(output["output_type"] == "error" for cell in code for output in cell["outputs"])

"""The notebooks run from a clean kernel, as they are, and what they show is kept small."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.mark.parametrize("name", ["predict.ipynb", pytest.param("train_and_evaluate.ipynb", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_notebook_runs_from_a_clean_kernel(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)  # type: ignore[no-untyped-call]
    done = NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = "".join(text_of(cell) for cell in done.cells)
    assert "happy" in shown
    assert any((tmp_path / "notebook-work").iterdir())


def text_of(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.get("outputs", ()))


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_is_kept_with_small_outputs_and_no_place_of_its_maker(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    assert len(text) < 600_000
    assert "/home/" not in text and "/tmp/" not in text and "/work/" not in text
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), "run it from a clean kernel"
    assert not any(output["output_type"] == "error" for cell in code for output in cell["outputs"])

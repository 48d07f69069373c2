"""`mien.train` prints what it does, unless it is told not to."""

from pathlib import Path
from typing import Any

import pytest

import mien

SMALL: dict[str, Any] = {"network": "classic", "size": 32, "width": 0.1, "epochs": 2, "detect": False}


def test_progress_is_printed_by_default(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mien.train(faces, out=tmp_path / "told", **SMALL)
    said = capsys.readouterr().out
    assert f"mien.train(resume='{tmp_path / 'told'}')" in said
    assert [line.split("  ")[0] for line in said.splitlines() if line.startswith("epoch")] == ["epoch", "epoch"]
    assert "kept epoch" in said and "evaluating on the" in said


def test_silence(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mien.train(faces, out=tmp_path / "silent", progress=False, **SMALL)
    assert capsys.readouterr().out == ""

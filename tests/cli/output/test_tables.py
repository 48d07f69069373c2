"""Tables fit the screen: they fold at sensible places and keep short columns whole."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from mien.cli.output.explain_tables import attention_table
from mien.cli.output.predict_table import print_table
from mien.cli.output.tables import FoldedCell, estimate_cell, path_cell
from mien.cli.output.terminal import console
from mien.cli.verbs.runs import _print
from mien.explanation.attention import AttentionSummary, ClassAttention, RegionShare
from mien.explanation.regions import REGIONS
from mien.io.formats import ResultRow
from mien.training.runs import Run


def lines(cell: FoldedCell, width: int) -> list[str]:
    """What a column of this width shows of a cell."""
    screen = Console(file=io.StringIO(), width=200)
    table = Table(box=None, show_header=False, padding=0)
    table.add_column(width=width)
    table.add_row(cell)
    with screen.capture() as capture:
        screen.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize(
    ("path", "width", "shown"),
    [
        ("photos/2024/a.jpg", 20, ["photos/2024/a.jpg"]),
        ("photos/2024/a.jpg", 12, ["photos/2024/", "a.jpg"]),
        ("photos/2024/a.jpg", 7, ["photos/", "2024/", "a.jpg"]),
        ("in france/a.jpg: is empty", 12, ["in france/", "a.jpg: is", "empty"]),
        ("abcdefgh.jpg", 8, ["abcdefgh", ".jpg"]),
        ("a\nb/[red]c", 20, ["a\\nb/[red]c"]),
        ("", 8, [""]),
    ],
)
def test_a_path_folds_after_a_slash(path: str, width: int, shown: list[str]) -> None:
    assert lines(path_cell(path), width) == shown


def test_an_estimate_folds_before_its_interval() -> None:
    assert lines(estimate_cell("0.927 [0.913, 0.939]"), 20) == ["0.927 [0.913, 0.939]"]
    assert lines(estimate_cell("0.927 [0.913, 0.939]"), 19) == ["0.927", "[0.913, 0.939]"]
    assert lines(estimate_cell("undefined"), 19) == ["undefined"]


@pytest.mark.parametrize(("given", "width"), [("100", 100), (None, 120), ("", 120), ("wide", 120)])
def test_a_pipe_is_as_wide_as_columns_says(given: str | None, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if given is not None:
        monkeypatch.setenv("COLUMNS", given)
    assert console().width == console(err=True).width == width


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (100, ["run", "network", "accuracy", "95", "%", "interval", "validation", "epochs", "classes"]),
        (80, ["run", "network", "accuracy", "95", "%", "interval", "epochs"]),
    ],
)
def test_a_narrow_screen_shows_fewer_columns_of_runs(
    width: int, columns: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    best = Run(Path("mien-runs/sweep/activation=relu/seed-1"), "finished", network="residual", accuracy=0.976,
               low=0.958, high=0.987, part="test", images=30, data="faces", classes=("happy", "sad"))  # fmt: skip
    _print([best, Run(Path("mien-runs/half"), "unfinished", network="classic")], Path("mien-runs"))
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "faces, test: 30 images"
    assert out.splitlines()[2].replace("┃", " ").split() == columns
    assert all(len(line) <= width for line in out.splitlines())
    assert {"unfinished", "residual", "classic", "0.9760"} <= set(out.split())
    assert "0.9580 – 0.9870" in out


@pytest.mark.parametrize("width", [60, 120])
def test_the_evidence_of_two_classes_fits_a_narrow_screen(width: int) -> None:
    shares = {name: RegionShare(0.45, (0.4, 0.5), 0.2) for name in REGIONS}
    heat, face, border = np.zeros((2, 2), np.float32), np.zeros((2, 2, 3), np.uint8), {"left": 3.7, "right": 1.0}
    ends = {"left": (3.1, 4.3), "right": (0.8, 1.2)}
    classes = tuple(ClassAttention(label, 200, 0, heat, face, shares, border, ends) for label in ("happy", "sad"))
    screen = Console(file=io.StringIO(), width=width)
    with screen.capture() as capture:
        screen.print(attention_table(AttentionSummary("mien", "cam", 0, classes)))
    shown = capture.get()
    assert shown.count("45% [40%, 50%]") == 2 * len(REGIONS) and shown.count("200") == shown.count("[3.1, 4.3]") == 2
    assert shown.count("20%") == len(REGIONS)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_screen_breaks_no_answer_of_predict(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    face = {"answer": "neither", "probability": 0.53, "probabilities": {"neutral": 0.53, "sad": 0.4}, "why": "unsure"}
    rows: list[ResultRow] = [
        {"source": "photos/2024/summer/in france/a.jpg", "status": "ok", "reason": None, "faces": [face]},
        {"source": "b.jpg", "status": "unreadable", "reason": "is empty (zero bytes)", "faces": []},
    ]
    print_table(rows)
    out = capsys.readouterr().out
    assert {"neither", "unreadable", "0.530", "b.jpg", "unsure"} <= set(out.split())
    assert ("neutral 0.53" in out) == ("most probable" in out) == (width >= 80)
    assert all(len(line) <= width for line in out.splitlines())

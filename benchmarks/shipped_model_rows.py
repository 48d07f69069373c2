"""Result rows and how they are printed: models side by side, one table per section."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.inference.reader import Reader
from mien.metrics.calibration import Reliability
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_points

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """The limit of a metric (`floor`) and its target (`goal`); with `most`, it must stay below instead."""

    floor: float
    goal: float | None = None
    most: bool = False

    def met_by(self, value: float) -> bool:
        return value <= self.floor if self.most else value >= self.floor


@dataclass(frozen=True)
class Row:
    """A metric and the number of faces behind it; `is_change` marks a difference of fractions."""

    section: str
    name: str
    n: int
    estimate: Estimate
    limits: Limits | None = None
    is_change: bool = False
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        limits = self.limits
        wanted = None if limits is None else {"floor": limits.floor, "goal": limits.goal, "at_most": limits.most}
        met = None if limits is None else limits.met_by(self.estimate.value)
        names = {"section": self.section, "name": self.name, "n": self.n}
        return {**names, **self.estimate.to_dict(), "wanted": wanted, "floor_met": met, "note": self.note}

    def cell(self) -> str:
        """Return the metric as text: a change in percentage points, anything else as a fraction."""
        missed = "" if self.limits is None or self.limits.met_by(self.estimate.value) else " (!)"
        shown = format_points(self.estimate) if self.is_change else str(self.estimate)
        return f"{shown}{self.note and f' {self.note}'}{missed}"

    def wanted(self) -> str:
        if self.limits is None:
            return ""
        bounds = [self.limits.floor] + ([] if self.limits.goal is None else [self.limits.goal])
        shown = " / ".join(f"{100 * bound:+.1f}" if self.is_change else f"{bound:g}" for bound in bounds)
        return f"{'≤' if self.limits.most else '≥'} {shown}"


@dataclass(frozen=True, eq=False)
class Question:
    """The faces (N,) of a question, the columns that may answer, and the index of the right one, (M,)."""

    faces: Bools
    columns: list[int]
    truth: Ints

    def scores(self, logits: Floats) -> Floats:
        """Return the logits (M, K) that count here, from the logits (N, 7) of all faces."""
        return logits[self.faces][:, self.columns]


@dataclass(eq=False)
class Measured:
    """The results of one model.

    Attributes:
        size: bytes of the graph.
        fitted: temperature and rule for its config.
        diagrams, curves: data of the plots, by title.
        hits: which answers were right, by the name of the row; how often, if it is a mean over draws.
    """

    name: str
    reader: Reader
    size: int
    rows: list[Row] = field(default_factory=list)
    fitted: dict[str, Any] = field(default_factory=dict)
    diagrams: dict[str, Reliability] = field(default_factory=dict)
    curves: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)
    hits: dict[str, Bools | Floats] = field(default_factory=dict)
    confusion: npt.NDArray[np.int64] | None = None

    def to_dict(self) -> dict[str, Any]:
        config = self.reader.config
        return {
            "model": self.name,
            "sha256": config.sha256,
            "bytes": self.size,
            "temperature": config.temperature,
            "answer_from": config.answer_from,
            "answer_over": config.answer_over,
            "fitted_here": self.fitted,
            "rows": [row.to_dict() for row in self.rows],
            "reliability": {title: diagram.to_dict() for title, diagram in self.diagrams.items()},
        }


def tables(found: Sequence[Measured]) -> Iterator[str]:
    """Return Markdown, one table per section, with a row for every model that has it."""
    keys = list(dict.fromkeys((row.section, row.name) for model in found for row in model.rows))
    by_model = [{(row.section, row.name): row for row in model.rows} for model in found]
    for section in dict.fromkeys(section for section, _ in keys):
        lines = [[section, "n", "floor / goal", *(model.name for model in found)]]
        for key in (key for key in keys if key[0] == section):
            rows = [rows.get(key) for rows in by_model]
            known = next(row for row in rows if row is not None)
            lines.append([known.name, str(known.n), known.wanted(), *(row.cell() if row else "" for row in rows)])
        yield "\n".join(_aligned(lines))


def must_show(found: Sequence[Measured], wanted: Mapping[str, Sequence[str]]) -> str:
    """Return one table of the rows by which a release is judged, from several sections, models side by side.

    Args:
        found: the models; those after the first have rows of differences.
        wanted: the names of the rows, or their beginnings, by the section's name up to its first comma or colon.
    """
    chosen: dict[tuple[str, str], Row] = {}
    for row in (row for model in found for row in model.rows):
        if row.name.startswith(tuple(wanted.get(_head(row.section), ()))):
            chosen.setdefault((row.section, row.name), row)
    order = sorted(chosen, key=lambda key: list(wanted).index(_head(key[0])))
    by_model = [{(row.section, row.name): row for row in model.rows} for model in found]
    lines = [["must show", "n", "floor / goal", *(model.name for model in found)]]
    for key in order:
        cells = [rows[key].cell() if key in rows else "" for rows in by_model]
        lines.append([f"{_head(key[0])}: {key[1]}", str(chosen[key].n), chosen[key].wanted(), *cells])
    return "\n".join(_aligned(lines))


def _head(section: str) -> str:
    return section.replace(":", ",").partition(",")[0]


def _aligned(lines: list[list[str]]) -> Iterator[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for number, line in enumerate(lines):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"

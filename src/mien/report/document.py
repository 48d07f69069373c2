"""The parts of a report, as values: what a section says, its tables, charts, notes and pictures."""

from dataclasses import dataclass
from typing import Literal

from mien.viz.charts import Chart


@dataclass(frozen=True)
class Table:
    """A table of text: `columns` are its header cells, every row has as many cells; `caption` says what to conclude."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence or two; a `warning` stands out."""

    text: str
    kind: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class Picture:
    """A small picture, the bytes of a PNG file, and what is said under it."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side."""

    pictures: tuple[Picture, ...]
    caption: str = ""


Block = Table | Chart | Note | Gallery


@dataclass(frozen=True)
class Section:
    """One section of a report.

    `key` is its anchor, of lower-case letters and hyphens; `conclusion` is one sentence that says what to conclude.
    """

    key: str
    title: str
    conclusion: str
    parts: tuple[Block, ...]

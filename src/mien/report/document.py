"""The parts of a report, as values: what a section says, its tables, charts, notes and pictures."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Table:
    """A table of text: `columns` are its header cells, every row has as many cells; `caption` says what to conclude."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawing, made by `mien.viz.charts.chart`.

    `name` names its file and is unique in a report; `svg` is an inline `<svg>` whose colours are CSS variables, so
    that it is light or dark as the page is; `png` is the same drawing as a file, light. `caption` says what to
    conclude from it, `alt` what it shows, for those who cannot see it.
    """

    name: str
    svg: str
    png: bytes
    caption: str
    alt: str


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


Part = Table | Chart | Note | Gallery


@dataclass(frozen=True)
class Section:
    """One section of a report.

    `key` is its anchor, of lower-case letters and hyphens; `conclusion` is one sentence that says what to conclude.
    """

    key: str
    title: str
    conclusion: str
    parts: tuple[Part, ...]

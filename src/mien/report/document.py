"""The blocks of a report as values: sections, tables, charts, notes and galleries."""

from dataclasses import dataclass
from typing import Literal

from mien.viz.charts import Chart


@dataclass(frozen=True)
class Table:
    """A table of text: `columns` are its header cells, each row has as many; `caption` says what to conclude."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Note:
    """A sentence or two; a `warning` stands out."""

    text: str
    kind: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class GalleryImage:
    """A small image, the bytes of a PNG file, and the text below it."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Small images side by side."""

    images: tuple[GalleryImage, ...]
    caption: str = ""


Block = Table | Chart | Note | Gallery


@dataclass(frozen=True)
class Section:
    """One section of a report.

    Args:
        key: its anchor: lower-case letters and hyphens.
        title: its heading.
        conclusion: one sentence or a few: what to conclude.
        parts: what it shows.
    """

    key: str
    title: str
    conclusion: str
    parts: tuple[Block, ...]

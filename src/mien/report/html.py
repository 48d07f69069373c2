"""Write sections as one HTML file that loads nothing else. The markup is in `templates/`; all text is escaped."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

from mien.io.templates import require_jinja, templates
from mien.report.document import Block, Gallery, Section, Table
from mien.text import one_line
from mien.viz.charts import Chart, require_matplotlib

#: A chart wider than this, in points, scrolls on a phone; a table of more columns stands alone on its line.
WIDE, NARROW_COLUMNS = 380.0, 4
#: A table of at least this many columns has smaller text.
MANY_COLUMNS = 6
#: Size of a point of a chart, in rem, at which its text has the size of the page's text.
POINT = 0.0906


@dataclass(frozen=True)
class Key:
    """A metric at the top of a report: its name, its value, and a note below it, such as its interval."""

    name: str
    value: str
    note: str = ""


def require_pages() -> None:
    """Raise MissingExtraError if pages cannot be written; call it before long work starts."""
    require_matplotlib()
    require_jinja("writing reports", "report")


def page(title: str, kicker: str, verdict: str, deck: str, keys: Sequence[Key], sections: Sequence[Section]) -> str:
    """Return a whole page.

    Args:
        title: title of the browser tab.
        kicker: the line above the verdict.
        verdict: the first sentence.
        deck: a few sentences that follow.
        keys: the most important metrics.
        sections: what follows.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    require_jinja("writing reports", "report")
    text: str = _environment().get_template("page.html").render(
        title=title, kicker=kicker, verdict=verdict, deck=deck, keys=keys, sections=sections
    )  # fmt: skip
    return text


@cache
def _environment() -> Any:
    made = templates("report", _keep_percent)
    made.filters |= {
        "base64": lambda png: base64.b64encode(png).decode("ascii"), "beside": _beside, "points": _width, "size": _size,
        "numeric_columns": _numeric_columns, "unbroken": _unbroken,
    }  # fmt: skip
    made.tests |= {
        "table": lambda part: isinstance(part, Table), "chart": lambda part: isinstance(part, Chart),
        "gallery": lambda part: isinstance(part, Gallery), "square": _is_square,
    }  # fmt: skip
    made.globals |= {"wide_points": WIDE, "many_columns": MANY_COLUMNS, "rem_per_point": POINT}
    return made


def _keep_percent(text: str) -> str:
    """Return a text on one line; a percent sign stays with its number."""
    return re.sub(r"(?<=\d) %", "\u00a0%", one_line(text))


def _beside(parts: Sequence[Block]) -> list[tuple[bool, list[Block]]]:
    """Group blocks in their order: charts and narrow tables stand side by side if there is room."""
    return [(beside, list(group)) for beside, group in groupby(parts, _fits_beside)]


def _fits_beside(part: Block) -> bool:
    return isinstance(part, Chart) or (isinstance(part, Table) and 2 < len(part.columns) <= NARROW_COLUMNS)


def _numeric_columns(table: Table) -> list[bool]:
    return [_is_numeric([row[place] for row in table.rows]) for place in range(len(table.columns))]


def _is_numeric(cells: Sequence[str]) -> bool:
    return bool(cells) and all(re.match(r"[-+−]?[\d.]|[–—-]?$|undefined$|not ", cell) for cell in cells)


def _unbroken(text: str) -> str:
    """Keep a number on one line; only its interval may stand on a line of its own."""
    return re.sub(r" (?!\[)", "\u00a0", text)


def _width(chart: Chart) -> float:
    """Return the width of a chart in points."""
    box = re.search(r'viewBox="\S+ \S+ ([\d.]+) ', chart.svg)
    return float(box[1]) if box else 0.0


def _is_square(gallery: Gallery) -> bool:
    return all(width == height for width, height in (_size(one.png) for one in gallery.images))


def _size(png: bytes) -> tuple[int, int]:
    """Return width and height in pixels, from the header of a PNG file."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")

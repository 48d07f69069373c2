"""Write sections as one HTML file that loads nothing else. All text is escaped."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from mien.report.document import Block, Gallery, GalleryImage, Note, Section, Table
from mien.text import html_text
from mien.viz.charts import Chart

#: A chart wider than this, in points, scrolls on a phone; a table of more columns stands alone on its line.
WIDE, NARROW_COLUMNS = 380.0, 4
#: A table of at least this many columns has smaller text.
MANY_COLUMNS = 6
#: Size of a point of a chart, in rem, at which its text has the size of the page's text.
POINT = 0.0906
#: The page may load nothing; images are inside it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Key:
    """A metric at the top of a report: its name, its value, and a note below it, such as its interval."""

    name: str
    value: str
    note: str = ""


def page(title: str, kicker: str, verdict: str, deck: str, keys: Sequence[Key], sections: Sequence[Section]) -> str:
    """Return a whole page.

    Args:
        title: title of the browser tab.
        kicker: the line above the verdict.
        verdict: the first sentence.
        deck: a few sentences that follow.
        keys: the most important metrics.
        sections: what follows.
    """
    tiles = f'<dl class="keys">{"".join(_key(one) for one in keys)}</dl>' if keys else ""
    links = "".join(f'<li><a href="#{_words(one.key)}">{_words(one.title)}</a></li>' for one in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{_words(title)}</title>
<style>
{_style()}</style>
</head>
<body>
<header>
<p class="kicker">{_words(kicker)}</p>
<h1>{_words(verdict)}</h1>
<p class="deck">{_words(deck)}</p>
{tiles}
</header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>
{"".join(_section(one) for one in sections)}</main>
</body>
</html>
"""


def fragment(title: str, parts: Sequence[Block]) -> str:
    """Return blocks under a title as HTML that stands in another page, such as a notebook."""
    return f"<div><p><strong>{_words(title)}</strong></p>\n{''.join(_parts(parts))}</div>"


def _words(text: str) -> str:
    """Escape a text; a percent sign stays with its number."""
    return re.sub(r"(?<=\d) %", "\u00a0%", html_text(text))


@cache
def _style() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def _key(key: Key) -> str:
    note = f'<dd class="note">{_words(key.note)}</dd>' if key.note else ""
    return f"<div><dt>{_words(key.name)}</dt><dd>{_words(key.value)}</dd>{note}</div>"


def _section(section: Section) -> str:
    name = _words(section.key)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{_words(section.title)}</h2>\n'
        f'<p class="conclusion">{_words(section.conclusion)}</p>\n{"".join(_parts(section.parts))}</section>\n'
    )


def _parts(parts: Sequence[Block]) -> Iterator[str]:
    """Charts and narrow tables stand side by side if there is room."""
    for in_line, group in groupby(parts, _fits_beside):
        inner = "".join(_part(part) for part in group)
        yield f'<div class="side-by-side">\n{inner}</div>\n' if in_line else inner


def _fits_beside(part: Block) -> bool:
    return isinstance(part, Chart) or (isinstance(part, Table) and 2 < len(part.columns) <= NARROW_COLUMNS)


def _part(part: Block) -> str:
    match part:
        case Table():
            return _table(part)
        case Chart():
            return _chart(part)
        case Note():
            return f'<p class="{part.kind}">{_words(part.text)}</p>\n'
        case Gallery():
            return _gallery(part)


def _table(table: Table) -> str:
    """Align numbers to the right; the first cell of a row is its header."""
    caption = f"<figcaption>{_words(table.caption)}</figcaption>" if table.caption else ""
    many = len(table.columns) >= MANY_COLUMNS
    numeric = [place > 0 and _is_numeric([row[place] for row in table.rows]) for place in range(len(table.columns))]
    marks = [' class="number"' if is_number else "" for is_number in numeric]
    head = "".join(
        f'<th scope="col"{mark}>{_words(name)}</th>' for name, mark in zip(table.columns, marks, strict=True)
    )
    short = ' class="short"' if _is_numeric([row[0] for row in table.rows]) else ""
    rows = []
    for first, *rest in table.rows:
        cells = "".join(
            f"<td{mark}>{_interval_cell(cell) if mark and many else _words(cell)}</td>"
            for cell, mark in zip(rest, marks[1:], strict=True)
        )
        rows.append(f'<tr><th scope="row"{short}>{_words(first)}</th>{cells}</tr>')
    body = "\n".join(rows)
    kind = ' class="pairs"' if len(table.columns) == 2 else ' class="many"' if many else ""
    name = _words(table.caption or "table")
    return (
        f'<figure class="table">{caption}<div class="scroll" tabindex="0" role="group" aria-label="{name}">'
        f"<table{kind}><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div></figure>\n"
    )


def _interval_cell(text: str) -> str:
    """Escape a number; only its interval may stand on a line of its own."""
    return re.sub(r" (?!\[)", "\u00a0", _words(text))


def _is_numeric(cells: Sequence[str]) -> bool:
    return bool(cells) and all(re.match(r"[-+−]?[\d.]|[–—-]?$|undefined$|not ", cell) for cell in cells)


def _chart(chart: Chart) -> str:
    width = _width(chart)
    kind, drawing = "chart", chart.svg
    if width > WIDE:
        kind, drawing = (
            "chart wide",
            f'<div class="scroll" tabindex="0" role="group" aria-label="chart">{drawing}</div>',
        )
    style = f"width: {POINT * width:.1f}rem"
    return (
        f'<figure class="{kind}" style="{style}">{drawing}<figcaption>{_words(chart.caption)}</figcaption></figure>\n'
    )


def _width(chart: Chart) -> float:
    """Return the width of a chart in points."""
    box = re.search(r'viewBox="\S+ \S+ ([\d.]+) ', chart.svg)
    return float(box[1]) if box else 0.0


def _gallery(gallery: Gallery) -> str:
    caption = f'<p class="caption">{_words(gallery.caption)}</p>\n' if gallery.caption else ""
    square = all(width == height for width, height in (_size(one.png) for one in gallery.images))
    kind = "gallery small" if square else "gallery"
    return f'{caption}<ul class="{kind}">{"".join(_image(one) for one in gallery.images)}</ul>\n'


def _image(image: GalleryImage) -> str:
    """Set the first line of the caption apart from the others."""
    first, *rest = image.caption.split("\n")
    data = base64.b64encode(image.png).decode("ascii")
    width, height = _size(image.png)
    lines = "".join(f"<span>{_words(line)}</span>" for line in rest)
    return (
        f'<li><figure><img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{_words(first)}">'
        f"<figcaption>{_words(first)}{lines}</figcaption></figure></li>\n"
    )


def _size(png: bytes) -> tuple[int, int]:
    """Return width and height in pixels, from the header of a PNG file."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")

r"""Write text as cells of CSV and Parquet that nothing obeys, and read it back letter by letter.

A stranger names files and folders, and those names end up in tables:

- A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` as a formula. Such a text gets an apostrophe before.
- A terminal obeys control characters, and marks that turn the direction of writing hide what a name ends with. They
  are written as in JSON, `\u001b`. So are bytes of a file name that are not UTF-8: `\udce9` is the byte E9.
- A text that looks like one of these already is marked too, so that each cell means exactly one text.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mien.text import UNSAFE

#: The code points of `UNSAFE`, by their four digits.
_ESCAPED = "00(?:0[0-8b-f]|1[0-9a-f]|7f|[89][0-9a-f])|061c|200[ef]|202[89a-e]|206[6-9]|fff[9ab]|d[89a-f][0-9a-f]{2}"
_LOOKS_ESCAPED = re.compile(rf"\\(?=u(?:{_ESCAPED}|005c))")
_ESCAPE = re.compile(rf"\\u({_ESCAPED}|005c)")
#: What a spreadsheet takes for a formula, also in full-width letters, and after spaces; or what is marked like one.
_FORMULA = re.compile("'*(?:[\\s\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]|[\t\n])")
#: What must stand in quotes: separators of some spreadsheet, and spaces that readers cut off.
_QUOTED = re.compile('[",;\t\n]|^[\\s\ufeff]|[\\s\ufeff]$')

#: A cell takes many times its bytes, so a line with more of them is refused.
_MAX_CELLS = 1_000_000


def escape(text: str) -> str:
    r"""Return a text without control characters, marks of direction and bytes that are not UTF-8; see `unescape`.

    Examples:
        >>> escape("a\x1b[2J.jpg"), escape("caf\udce9.jpg")
        ('a\\u001b[2J.jpg', 'caf\\udce9.jpg')
    """
    if text.isprintable() and "\\" not in text:
        return text
    return UNSAFE.sub(lambda one: f"\\u{ord(one[0]):04x}", _LOOKS_ESCAPED.sub(r"\\u005c", text))


def unescape(text: str) -> str:
    r"""Return the text that `escape` was given.

    Examples:
        >>> unescape("caf\\udce9.jpg") == "caf\udce9.jpg"
        True
    """
    return _ESCAPE.sub(lambda one: chr(int(one[1], 16)), text) if "\\" in text else text


def to_cell(text: str) -> str:
    """Return a text as a cell of CSV: escaped, and with an apostrophe if a spreadsheet would take it for a formula.

    Examples:
        >>> to_cell("=cmd|' /C calc'!A0"), to_cell("me.jpg")
        ("'=cmd|' /C calc'!A0", 'me.jpg')
    """
    text = escape(text)
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """Return the text that `to_cell` was given.

    Examples:
        >>> from_cell("'=cmd|' /C calc'!A0")
        "=cmd|' /C calc'!A0"
    """
    return unescape(cell[1:] if cell[:1] == "'" and _FORMULA.match(cell[1:]) else cell)


def csv_line(cells: Iterable[Any]) -> str:
    r"""Return a line of CSV with a newline; text as `to_cell` writes it, None as an empty cell.

    Examples:
        >>> csv_line(["a,b.jpg", -0.5, None])
        '"a,b.jpg",-0.5,\n'
    """
    return ",".join(map(_quoted, cells)) + "\n"


def csv_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    r"""Return a CSV with a heading; a column that a row does not have is empty.

    Examples:
        >>> csv_table(["file", "label"], [{"file": "a.jpg"}])
        'file,label\na.jpg,\n'
    """
    return csv_line(columns) + "".join(csv_line(row.get(name) for name in columns) for row in rows)


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return every column of some rows once, in the order in which they come first.

    Examples:
        >>> columns_of([{"file": "a.jpg"}, {"file": "b.jpg", "label": "sad"}])
        ['file', 'label']
    """
    found: dict[str, None] = {}
    for row in rows:
        if not row.keys() <= found.keys():  # of a million rows nearly all have the same
            found |= dict.fromkeys(row)
    return list(found)


def read_csv(text: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV that mien wrote, with the text of each cell by its column.

    Raises csv.Error if it is no CSV, ValueError if a row is shorter or longer than the heading.

    Examples:
        >>> list(read_csv("file,label\\n'=a.jpg,sad\\n"))
        [{'file': '=a.jpg', 'label': 'sad'}]
    """
    rows = csv.reader(io.StringIO(text, newline=""))
    columns = list(map(from_cell, next(rows, [])))
    for cells in rows:
        if cells:
            yield dict(zip(columns, map(from_cell, cells), strict=True))


def numbered_rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the line on which each row of anybody's CSV begins, from 1, and its cells as they are written.

    Raises csv.Error at a line of more than a million cells, and at a quote that is not closed: it hides all rows after.

    Examples:
        >>> list(numbered_rows("file,label\n'=a.jpg,sad", ","))
        [(1, ['file', 'label']), (2, ["'=a.jpg", 'sad'])]
    """
    is_at_end = False

    def lines() -> Iterator[str]:
        nonlocal is_at_end
        for line in io.StringIO(text, newline=""):
            if line.count(delimiter) >= _MAX_CELLS:
                raise csv.Error(f"has more than {_MAX_CELLS:,} cells")
            yield line
        is_at_end = True

    rows = csv.reader(lines(), delimiter=delimiter, skipinitialspace=delimiter == " ")
    begins = 1
    try:
        for cells in rows:
            if is_at_end:  # the row was not over with its line
                raise csv.Error("a quote is not closed")
            yield begins, cells
            begins = rows.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"line {begins}: {error}") from None


def _quoted(value: Any) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    text = to_cell(value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text

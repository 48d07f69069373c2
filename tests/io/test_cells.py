"""Cells of CSV: nothing that a spreadsheet runs or a terminal obeys, and every text comes back."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mien.io.cells import csv_line, csv_table, escape, from_cell, read_csv, to_cell, unescape

#: Any text that a file may be called, also what looks like our own marks, and bytes that are not UTF-8.
PIECES = st.sampled_from([*"=+-@'\\u \t\r\n\",;|0159bcdef\x1b\x07\x9b\u202e\u2066\u2028\udce9\udcff＝＋－＠é喜😀",
                          "\\u001b", "\\u005c", "\\udce9", "\\x1b", "\\n", "'=", "<script>"])  # fmt: skip
TEXT = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(st.characters(), max_size=12))


@given(text=TEXT)
@example(text="\\udce9")
@example(text="'=a")
@example(text="\\u005cu005cudce9")
def test_every_text_comes_back(text: str) -> None:
    assert from_cell(to_cell(text)) == text
    assert unescape(escape(text)) == text


@given(one=TEXT, other=TEXT)
def test_two_texts_are_never_one_cell(one: str, other: str) -> None:
    assert (to_cell(one) == to_cell(other)) == (one == other)


@given(text=TEXT)
def test_no_spreadsheet_runs_a_cell_and_no_terminal_obeys_it(text: str) -> None:
    cell = to_cell(text)
    assert not cell.strip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert not cell.startswith(("\t", "\r", "\n"))
    assert all(char in "\t\n" or not (ord(char) < 32 or 127 <= ord(char) < 160) for char in cell)
    assert not set(cell) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    cell.encode()  # UTF-8


@given(rows=st.lists(st.lists(TEXT, min_size=3, max_size=3), max_size=5), columns=st.lists(TEXT, min_size=3, max_size=3,
                                                                                        unique=True))  # fmt: skip
def test_a_table_comes_back(columns: list[str], rows: list[list[str]]) -> None:
    dicts = [dict(zip(columns, row, strict=True)) for row in rows]
    text = csv_table(columns, dicts).encode().decode()
    assert list(read_csv(text)) == dicts
    # Python's own reader sees as many rows, whatever it is told of line ends.
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == 1 + len(rows)


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("me.jpg", "ünï ☹ 喜.jpg", "a-b=c+d@e.jpg", "train\\x01.jpg", "C:\\users\\me.jpg", "it's.png",
                 "Screenshot 9.41.00\u202fAM.png", "👩\u200d🚀.jpg", "写真\u3000一.jpg", "'quoted'.jpg"):  # fmt: skip
        assert to_cell(name) == name


def test_numbers_are_no_formulas() -> None:
    assert csv_line([-0.5, -3, True, None, "-3"]) == "-0.5,-3,True,,'-3\n"


def test_a_cut_line_is_an_error() -> None:
    with pytest.raises(ValueError):
        list(read_csv("file,label\na.jpg\n"))

"""Every way in which people write down labels."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from steps import grows_linearly

from mien.data.layouts.tables import LabelTable, read_table
from mien.errors import DataError
from mien.labels import FER2013_CODES


def table(text: str | bytes) -> LabelTable:
    return read_table(text.encode() if isinstance(text, str) else text, "t.csv")


def pixel_rows(header: str, side: int = 48, usage: bool = True) -> str:
    rows = [header]
    names = ["Training", "PublicTest", "PrivateTest"]
    for code in range(7):
        pixels = " ".join(str((code * 30 + i) % 256) for i in range(side * side))
        rows.append(f"{code},{pixels}" + (f",{names[code % 3]}" if usage else ""))
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("header", ["emotion,pixels,Usage", "emotion, pixels, Usage", "emotion, Usage, pixels"])
def test_fer2013_as_kaggle_ships_it(header: str) -> None:
    text = pixel_rows("emotion,pixels,Usage")
    if header.endswith("pixels"):  # icml_face_data.csv has the columns in another order
        cells = [line.split(",") for line in text.splitlines()[1:]]
        text = "\n".join([header, *(f"{code},{usage},{pixels}" for code, pixels, usage in cells)])
    found = table(text.replace("emotion,pixels,Usage", header))
    assert [row.label for row in found.rows] == list(FER2013_CODES)
    assert [row.split for row in found.rows][:3] == ["train", "validation", "test"]
    assert found.bad == ()
    image = found.rows[3].image
    assert image is not None
    with Image.open(io.BytesIO(image)) as opened:
        assert opened.size == (48, 48)
        assert np.array_equal(np.asarray(opened).ravel(), (90 + np.arange(48 * 48)) % 256)


def test_fer2013_without_usage() -> None:
    found = table(pixel_rows("emotion,pixels", side=8, usage=False))
    assert {row.split for row in found.rows} == {None}
    assert len({row.file for row in found.rows}) == 7


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("8,0 0 0 0,Training", "emotion '8'"),
        ("-1,0 0 0 0,Training", "emotion '-1'"),
        ("3.5,0 0 0 0,Training", "emotion '3.5'"),
        (",0 0 0 0,Training", "has no emotion"),
        ("3,0 0 0,Training", "3 pixels do not make a square"),
        ("3,,Training", "0 pixels"),
        ("3,0 0 0 256,Training", "not numbers from 0 to 255"),
        ("3,0 0 0 -1,Training", "not numbers from 0 to 255"),
        ("3,0 0 0 x,Training", "not numbers from 0 to 255"),
        ("3,0 0 0 0,Elsewhere", "split 'Elsewhere'"),
        ("3,0 0 0 0", "too few columns"),
    ],
)
def test_bad_pixel_rows_are_named(row: str, reason: str) -> None:
    found = table(f"emotion,pixels,Usage\n{row}\n\n3,1 2 3 4,Training\n")
    assert len(found.rows) == 1
    (bad,) = found.bad
    assert reason in bad.reason
    assert bad.number == 0


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_spreadsheets_of_every_country(delimiter: str, newline: str, bom: bytes) -> None:
    lines = [["File", " Label ", "SPLIT", "Group"], ["a b.jpg", "happy", "Train", "p1"], ["c.jpg", " sad ", "val", ""]]
    text = newline.join(delimiter.join(line) for line in lines)
    first, second = table(bom + text.encode()).rows
    assert (first.file, first.label, first.split, first.group) == ("a b.jpg", "happy", "train", "p1")
    assert (second.file, second.label, second.split, second.group) == ("c.jpg", "sad", "validation", None)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["train", "Training", " TRAIN "], "train"),
        (["validation", "valid", "VAL", "PublicTest"], "validation"),
        (["test", "testing", "PrivateTest"], "test"),
        ([""], None),
    ],
)
def test_parts_by_every_name(words: list[str], part: str | None) -> None:
    for word in words:
        assert table(f"file,label,split\na.jpg,happy,{word}\n").rows[0].split == part


def test_quoted_names_hold_delimiters_and_newlines() -> None:
    found = table('file,label\n"a,b.jpg",happy\n"c\nd.jpg",sad\n')
    assert [row.file for row in found.rows] == ["a,b.jpg", "c\nd.jpg"]


def test_votes_beside_a_label() -> None:
    found = table("file,label,happy,sad,width\na.jpg,happy,3,1,640\nb.jpg,sad,0,2,480\n")
    assert found.vote_names == ("happy", "sad", "width")  # numeric, so votes for a class that is not kept
    assert found.rows[0].votes == (3, 1, 640)


def test_numbers_that_are_no_votes_are_left_alone() -> None:
    found = table("file,label,width,age\na.jpg,happy,640,30\nb.jpg,sad,480,31\n")
    assert found.vote_names == ()
    assert [row.votes for row in found.rows] == [None, None]


def test_votes_instead_of_a_label() -> None:
    found = table("file,happy,sad,comment\na.jpg,0.75,0.25,nice\nb.jpg,0,1,\n")
    assert found.vote_names == ("happy", "sad")
    assert [row.votes for row in found.rows] == [(0.75, 0.25), (0, 1)]
    assert found.rows[0].label is None


@pytest.mark.parametrize("cell", ["", "x", "nan", "inf"])
def test_one_bad_vote_costs_its_row_not_its_class(cell: str) -> None:
    found = table(f"file,happy,sad,fear\na.jpg,1,0,0\nb.jpg,0,1,{cell}\nc.jpg,0,0,1\n")
    assert found.vote_names == ("happy", "sad", "fear")
    assert [row.file for row in found.rows] == ["a.jpg", "c.jpg"]
    assert [(bad.number, bad.reason) for bad in found.bad] == [(1, "a vote is missing or not a number")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",happy", "has no file"),
        ("a.jpg,", "has no label"),
        ("a.jpg", "has no label"),
        ("a.jpg,happy,somewhere", "split 'somewhere'"),
    ],
)
def test_bad_rows_are_named(row: str, reason: str) -> None:
    found = table(f"file,label,split\n{row}\n")
    assert found.rows == ()
    assert reason in found.bad[0].reason


@pytest.mark.parametrize("votes", ["-1,2", "0,0", "1e308,1e308"])
def test_impossible_votes_are_named(votes: str) -> None:
    assert "negative, all zero or too large" in table(f"file,happy,sad\na.jpg,{votes}\n").bad[0].reason


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the header must be file,label"),
        (b"name,class\na.jpg,happy\n", "the header must be file,label"),
        (b"emotion,Usage\n3,Training\n", "the header must be"),
        (b"file\na.jpg\n", "no column 'label'"),
        (b"file,happy\na.jpg,1\n", "no two numeric columns"),
        ("file,label\né.jpg,happy\n".encode("latin-1"), "not UTF-8"),
        ("file,label\na.jpg,happy\n".encode("utf-16"), "not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\0", "not UTF-8"),
        (b'file,label\n"' + b"x" * 200_000, "not a readable CSV"),
        (b'file,label\na.jpg,happy\nb.jpg,"sad\nc.jpg,sad\n', r"\(line 3: a quote is not closed\)"),
    ],
)
def test_what_is_no_table_is_one_line(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        table(data)
    assert str(caught.value).startswith("t.csv: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("emotion", "label"), [("3", "happy"), ("3.0", "happy"), (" 4 ", "sad"), ("happy", "happy"), ("Freude", "Freude")]
)
@pytest.mark.parametrize("pixels", ["1 2 3 4", '"1,2,3,4"', '"[1, 2, 3, 4]"', "1  2 3 4 "])
def test_pixel_rows_as_spreadsheets_and_scripts_write_them(emotion: str, label: str, pixels: str) -> None:
    (row,) = table(f"emotion,pixels\n{emotion},{pixels}\n").rows
    assert row.label == label
    assert row.image is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(row.image))), [[1, 2], [3, 4]])


@pytest.mark.parametrize("names", ["pixel{}", "{}", "px_{}", "p{}"])
def test_a_column_for_each_pixel(names: str) -> None:
    header = ",".join(["emotion", *(names.format(number) for number in range(256)), "Usage"])
    (row,) = table(f"{header}\n3,{','.join(map(str, range(256)))},PublicTest\n").rows
    assert (row.label, row.split) == ("happy", "validation")
    assert row.image is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(row.image))).ravel(), np.arange(256))


@pytest.mark.parametrize(
    ("header", "guessed"),
    [
        ("filename,class,subset", "'filename' as file, 'class' as label, 'subset' as split"),
        ("Image Name;Emotion;Usage", "'Image Name' as file, 'Emotion' as label, 'Usage' as split"),
        ("img_path\texpression\tset", "'img_path' as file, 'expression' as label, 'set' as split"),
        ("File,Label,Split", ""),
    ],
)
def test_columns_by_other_names_are_read_and_said(header: str, guessed: str) -> None:
    delimiter = next(one for one in ",;\t" if one in header)
    found = table(f"{header}\n{delimiter.join(('a.jpg', 'happy', 'test'))}\n")
    assert [(row.file, row.label, row.split) for row in found.rows] == [("a.jpg", "happy", "test")]
    assert found.guessed == guessed


def test_tables_of_ferplus_without_a_header() -> None:
    found = table('fer0000000.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0\n')
    assert found.vote_names[:4] == ("neutral", "happiness", "surprise", "sadness")
    assert found.rows[0].votes == (4, 0, 0, 1, 3, 2, 0, 0, 0, 0)
    (row,) = table("a.jpg,happy\n").rows
    assert (row.file, row.label) == ("a.jpg", "happy")
    with pytest.raises(DataError, match="has no header; write file,label"):
        table("a.jpg,happy,7\n")


def test_a_wide_header_over_short_rows_costs_no_more_than_its_cells() -> None:
    def parse(count: int) -> Callable[[], Any]:
        header = ",".join(["file", "label", *(f"c{number}" for number in range(count))])
        data = "\n".join([header, *(f"{number}.png,happy" for number in range(count))])
        return lambda: table(data)

    assert grows_linearly(parse, 100)

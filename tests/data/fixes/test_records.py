"""Rows of decisions: every text comes back, and whatever damages the file, all whole rows are still read."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mien.data.fixes.decisions import Fixes
from mien.data.fixes.records import COLUMNS, DECISIONS, Fix, new_file_bytes, parse_fixes
from mien.data.fixes.times import to_time
from mien.errors import InputError
from mien.results import Box

TEXT = st.text(st.characters(), max_size=12)
WHEN = st.just("") | st.datetimes(datetime(1970, 1, 2), timezones=st.just(UTC)).map(to_time)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
NOON = "2026-11-29T12:00:00.000Z"
BOX = st.builds(Box, st.integers(-99, 9999), st.integers(-99, 9999), st.integers(1, 9999), st.integers(1, 9999))


@st.composite
def fixes(draw: st.DrawFn) -> Fix:
    decision = draw(st.sampled_from(DECISIONS))
    named = decision in ("keep", "relabel")
    return Fix(
        draw(DIGEST), draw(TEXT.filter(bool)), decision, draw(TEXT.filter(bool)) if named else "", draw(TEXT),
        draw(st.none() | BOX) if named else None, draw(WHEN), draw(TEXT), draw(st.booleans()),
    )  # fmt: skip


def file_of(rows: list[Fix]) -> bytes:
    return new_file_bytes() + b"".join(row.to_line() for row in rows)


@given(st.lists(fixes(), max_size=6))
def test_every_text_comes_back(rows: list[Fix]) -> None:
    found = parse_fixes(file_of(rows))
    assert found.fixes == tuple(rows)
    assert (found.bad_rows, found.cut_short, found.own_form) == ((), False, True)
    assert found.end == len(file_of(rows))


@given(st.lists(fixes(), min_size=1, max_size=3), st.data())
def test_a_cut_at_any_byte_leaves_all_whole_rows(rows: list[Fix], data: st.DataObject) -> None:
    whole = file_of(rows)
    cut = data.draw(st.integers(len(new_file_bytes()), len(whole)))
    assume(not whole[cut:].startswith(b"yes\n"))  # then the row is whole but settles nothing: people are asked again
    ends = [len(file_of(rows[:count])) for count in range(len(rows) + 1)]
    expected = max(count for count, end in enumerate(ends) if end - 1 <= cut)  # the line break may be cut off
    found = parse_fixes(whole[:cut])
    if expected < len(rows) and rows[expected].settles and cut == ends[expected + 1] - len("yes\n"):
        # All but the last cell: the decision counts, and whether it settles a disagreement is asked again.
        rows[expected] = replace(rows[expected], settles=False)
        expected += 1
    assert found.fixes == tuple(rows[:expected])
    assert (found.bad_rows, found.cut_short) == ((), found.end < cut)
    # What is appended behind what counts is read.
    begin = whole[: found.end]
    added = parse_fixes(begin + b"\n" * (begin[-1:] != b"\n") + rows[0].to_line())
    assert added.fixes == (*rows[:expected], rows[0])


@pytest.mark.parametrize("path", ["a\n.jpg", 'a"\n.jpg', "a\r.jpg", "a\n\n.jpg"])
def test_a_cut_inside_a_cell_of_several_lines_is_a_cut(path: str) -> None:
    whole = file_of([Fix("0" * 64, "a.jpg", "keep", "sad")])
    line = Fix("1" * 64, path, "keep", "sad").to_line()
    for cut in range(len(line) - len(",,,,,\n")):
        found = parse_fixes(whole + line[:cut])
        assert (len(found.fixes), found.bad_rows, found.end, found.cut_short) == (1, (), len(whole), cut > 0), cut


@given(st.lists(fixes(), min_size=1, max_size=4), TEXT.filter(lambda text: "\n" not in text and "\r" not in text))
def test_a_damaged_row_costs_itself_alone(rows: list[Fix], junk: str) -> None:
    bad = f'"{junk}'.encode("utf-8", "backslashreplace") + b"\n"
    found = parse_fixes(new_file_bytes() + bad + b"".join(row.to_line() for row in rows))
    assert set(rows) <= set(found.fixes)


def test_what_is_no_row_is_told_with_its_line() -> None:
    row = Fix("0" * 64, "a.jpg", "keep", "sad").to_line()
    found = parse_fixes(file_of([]) + row + b"one,two\n" + row.replace(b"keep", b"kept"))
    assert [(bad.line, bad.reason) for bad in found.bad_rows] == [
        (3, "it has too few cells"), (4, "'kept' is no decision"),
    ]  # fmt: skip
    assert len(found.fixes) == 1


def test_two_files_in_one_are_read() -> None:
    rows = [Fix("0" * 64, "a.jpg", "keep", "sad"), Fix("1" * 64, "b.jpg", "leave-out")]
    found = parse_fixes(file_of(rows[:1]) + file_of(rows[1:]))
    assert [(fix.path, fix.decision) for fix in found.fixes] == [("a.jpg", "keep"), ("b.jpg", "leave-out")]
    assert not found.own_form, "what is appended would be taken for the second person's"


def test_nobody_of_a_second_file_is_not_the_nobody_of_the_first() -> None:
    begun = Fix("0" * 64, "a.jpg", "keep", "sad")
    mine, theirs = Fix("1" * 64, "b.jpg", "leave-out"), Fix("1" * 64, "b.jpg", "keep", "sad")
    named = replace(theirs, who="Ada")
    joined = file_of([begun, mine]) + file_of([begun, theirs, named]) + file_of([begun, theirs])
    assert [fix.who for fix in parse_fixes(joined).fixes] == ["", "", "", "file 2", "Ada", "", "file 3"]
    fixes = Fixes(Path("mien-fixes.csv"), parse_fixes(joined).fixes)
    assert fixes.decision(begun.sha256, "a.jpg") == begun
    assert [fix.who for fix in fixes.disagreement(mine.sha256, "b.jpg")] == ["", "file 2", "Ada", "file 3"]


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_a_file_saved_by_a_spreadsheet_is_read(delimiter: str) -> None:
    fix = Fix("0" * 64, 'sad, "or"; not\nof =it.jpg', "relabel", "happy", "sad", Box(1, 2, 3, 4), NOON, "Ada", True)
    text = io.StringIO(newline="")
    rows = csv.reader(io.StringIO(file_of([fix]).decode(), newline=""))
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    found = parse_fixes(b"\xef\xbb\xbf" + text.getvalue().encode())
    assert (found.fixes, found.own_form) == ((fix,), False)


@pytest.mark.parametrize("when", ["2026-11-29T13:00:00+01:00", "2026-11-29 12:00:00Z", "20261129T120000.000Z"])
def test_times_in_other_forms_are_those_of_their_moment(when: str) -> None:
    row = replace(Fix("0" * 64, "a.jpg", "leave-out"), when=NOON)
    (found,) = parse_fixes(file_of([row]).replace(NOON.encode(), when.encode())).fixes
    assert found == row


@pytest.mark.parametrize("when", ["yesterday", "9999-99-99T00:00:00.000Z", "29/11/2026 12:00"])
def test_a_time_that_is_none_does_not_make_the_latest_decision(when: str) -> None:
    rows = [Fix("0" * 64, "a.jpg", decision, when=NOON) for decision in ("leave-out", "undo")]
    found = parse_fixes(file_of(rows).replace(NOON.encode(), when.encode(), 1))
    assert found.fixes == (rows[1],)
    assert [bad.reason for bad in found.bad_rows] == [f"a.jpg: was decided at '{when}'; write {_EXAMPLE}"]


_EXAMPLE = "2026-11-29T21:41:54.123Z"


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="its first line is not sha256,path"):
        parse_fixes(b"file,label\na.jpg,sad\n")


@pytest.mark.parametrize(
    ("values", "reason"),
    [(("0", "a", "keep", "b"), "64 hexadecimal"), (("0" * 64, "a", "keep"), "a label"),
     (("0" * 64, "", "leave-out"), "a path"), (("0" * 64, "a", "erase"), "no decision"),
     (("0" * 64, "a", "leave-out", "", "", None, "yesterday"), "write 2026-11-29T")],
)  # fmt: skip
def test_a_bad_decision_is_refused(values: tuple[str, ...], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Fix(*values)  # type: ignore[arg-type]


def test_the_sentences_say_what_was_decided() -> None:
    one = Fix("0" * 64, "a.jpg", "keep", "sad", "sad", Box(0, 0, 9, 9))
    assert one.sentence == "kept as sad, with the chosen face"
    assert Fix("0" * 64, "a.jpg", "relabel", "sad").sentence == "labelled sad"
    assert one.to_dict()["face"] == {"x": 0, "y": 0, "width": 9, "height": 9}
    assert list(one.to_dict()) == list(COLUMNS)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("\n" * 2_100_000, "it has far more lines than decisions"),
        ("1\n" * 100_001, "more than 100,000 of its rows cannot be read; the last is line 100002"),
    ],
)
def test_a_file_of_something_else_is_not_kept_whole(rows: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_fixes(new_file_bytes() + rows.encode())


def test_blank_lines_of_a_spreadsheet_are_passed_over() -> None:
    rows = [Fix("0" * 64, "a.jpg", "keep", "sad", "sad")]
    assert parse_fixes(file_of(rows) + b",,,,,,,,\n" * 10_000).fixes == tuple(rows)


def test_copies_that_thousands_decided_are_refused_before_all_are_compared() -> None:
    def decided(count: int) -> bytes:
        return file_of([Fix("0" * 64, f"{n}.jpg", "keep", "sad", "sad", who=f"w{n}") for n in range(count)])

    assert len(parse_fixes(decided(1400)).fixes) == 1400
    with pytest.raises(ValueError, match="1,500 people decided about 1,500 copies of one image, sha256 000"):
        parse_fixes(decided(1500))

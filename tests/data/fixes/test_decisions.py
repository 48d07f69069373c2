"""Of several decisions about an image the right one counts, and nothing is settled in silence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from steps import grows_linearly

import mien
from mien.data.fixes.decisions import Fixes, chosen_fixes
from mien.data.fixes.records import FILE_NAME, Fix
from mien.errors import ConfigError, DataError
from mien.results import Box

ONE, OTHER = "1" * 64, "2" * 64
PATH = Path(FILE_NAME)


def fix(decision: str, label: str = "", *, path: str = "a.jpg", who: str = "", when: int = 0, **more: object) -> Fix:
    return Fix(ONE, path, decision, label, "sad", when=f"2026-01-01T00:00:{when:02}.000Z", who=who, **more)  # type: ignore[arg-type]


def label_of(*rows: Fix, path: str = "a.jpg") -> str | None:
    found = Fixes(PATH, rows).decision(ONE, path)
    return found.label if found else None


def test_the_latest_row_of_a_person_counts_wherever_it_stands() -> None:
    rows = [fix("relabel", "happy", when=2), fix("keep", "sad", when=1)]
    assert label_of(*rows) == "happy"


def test_an_undo_brings_back_the_decision_before() -> None:
    rows = [fix("keep", "sad", when=1), fix("relabel", "happy", when=2), fix("undo", when=3)]
    assert label_of(*rows) == "sad"
    assert label_of(*rows, fix("undo", when=4)) is None
    assert label_of(*rows, fix("undo", when=4), fix("undo", when=5), fix("keep", "sad", when=6)) == "sad"


def test_people_who_agree_count_as_one() -> None:
    assert label_of(fix("relabel", "happy", who="Ada"), fix("keep", "happy", who="Ben")) == "happy"


@pytest.mark.parametrize("other", [fix("leave-out", who="Ben"), fix("relabel", "happy", who="Ben")])
def test_people_who_disagree_are_shown_and_not_obeyed(other: Fix) -> None:
    found = Fixes(PATH, [fix("keep", "sad", who="Ada"), other])
    assert found.decision(ONE, "a.jpg") is None
    assert {row.who for row in found.disagreement(ONE, "a.jpg")} == {"Ada", "Ben"}
    assert len(found.conflicts) == 1
    assert len(found) == 0


def test_different_faces_are_a_disagreement_and_the_same_is_none() -> None:
    ada = fix("keep", "sad", who="Ada", face=Box(0, 0, 50, 50))
    assert label_of(ada, fix("keep", "sad", who="Ben", face=Box(100, 0, 50, 50))) is None
    assert label_of(ada, fix("keep", "sad", who="Ben", face=Box(2, 0, 50, 50))) == "sad"


def test_a_settling_row_counts_alone_until_it_is_undone() -> None:
    rows = [fix("keep", "sad", who="Ada", when=1), fix("leave-out", who="Ben", when=2),
            fix("keep", "sad", who="Ada", when=3, settles=True)]  # fmt: skip
    assert label_of(*rows) == "sad"
    assert label_of(*rows, fix("undo", who="Ada", when=4)) is None
    assert label_of(*rows, fix("relabel", "happy", who="Ben", when=5)) is None  # a new disagreement


def test_a_decision_counts_for_copies_unless_they_have_their_own() -> None:
    rows = [fix("leave-out", when=1), fix("keep", "sad", path="b.jpg", when=2)]
    found = Fixes(PATH, rows)
    assert found.decision(ONE, "a.jpg") == rows[0]
    assert found.decision(ONE, "b.jpg") == rows[1]
    assert found.decision(ONE, "c.jpg") == rows[1]
    assert found.decision(OTHER, "a.jpg") is None


def test_a_later_row_about_another_copy_counts_for_what_was_not_decided_itself() -> None:
    found = Fixes(PATH, [fix("keep", "sad", path="b.jpg", when=2)])
    assert found.decision(ONE, "c.jpg") == found.rows[0]
    more = found.extended([fix("relabel", "happy", path="a.jpg", when=3)])
    assert more.decision(ONE, "c.jpg") == more.rows[1]
    assert more.decision(ONE, "b.jpg") == more.rows[0]
    assert found.decision(ONE, "c.jpg") == found.rows[0]


def test_many_decided_copies_of_one_file_cost_no_more_than_as_many_files() -> None:
    def decide_all(count: int) -> Callable[[], Any]:
        found = Fixes(PATH, [fix("keep", "sad", path=f"{number}.jpg") for number in range(count)])
        return lambda: (len(found), found.conflicts)

    assert grows_linearly(decide_all, 100)


def test_rows_come_back_from_json_without_people() -> None:
    found = Fixes(
        PATH, [fix("keep", "sad", who="Ada", face=Box(1, 2, 3, 4)), fix("leave-out", who="Ada", path="b.jpg")]
    )
    again = Fixes.from_rows(PATH, found.to_rows())
    assert [row.to_cells()[:6] for row in again] == [row.to_cells()[:6] for row in found]
    assert {row.who for row in again} == {""}


@pytest.mark.parametrize("rows", [None, [1], [["a"]], [["0", "a", "keep", "sad", "", ""]]])
def test_damaged_rows_of_json_are_refused(rows: object) -> None:
    with pytest.raises(ValueError, match=r"decision|hexadecimal"):
        Fixes.from_rows(PATH, rows)


def test_loading_is_a_public_name(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(
        b"sha256,path,decision,label,was,face,when,who,settles\n" + fix("keep", "sad").to_line()
    )
    found = mien.fixes.load(tmp_path)
    assert [row.sentence for row in found] == ["kept as sad"]
    with pytest.raises(DataError, match="cannot be read"):
        mien.fixes.load(tmp_path / "other")


def test_what_is_used(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(
        b"sha256,path,decision,label,was,face,when,who,settles\n" + fix("keep", "sad").to_line()
    )
    assert len(chosen_fixes(tmp_path, True) or ()) == 1
    assert chosen_fixes(tmp_path, False) is None
    assert chosen_fixes(tmp_path / "none", True) is None
    assert len(chosen_fixes(Path("elsewhere"), tmp_path / FILE_NAME) or ()) == 1
    with pytest.raises(DataError, match="cannot be read"):
        chosen_fixes(tmp_path, tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="fixes"):
        chosen_fixes(tmp_path, 3)  # type: ignore[arg-type]


def test_many_people_who_decided_copies_of_one_file_are_compared_once() -> None:
    def decide_all(count: int) -> Callable[[], Any]:
        found = Fixes(PATH, [fix("keep", "sad", path=f"{n}.jpg", who=f"w{n}") for n in range(count)])
        return lambda: (len(found), found.conflicts)

    assert grows_linearly(decide_all, 100)

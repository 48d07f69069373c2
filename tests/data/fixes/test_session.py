"""A session shows each image once, keeps every decision, and starts again where it ended."""

import shutil
from pathlib import Path

import pytest

from mien.data.audit import Audit, audit
from mien.data.dataset import read_manifest
from mien.data.fixes.opening import open_session
from mien.data.fixes.session import ChangedFileError, Choice, FixSession
from mien.errors import ConfigError, DataError, InputError


def begin(data: Path, who: str = "") -> FixSession:
    return open_session(data, detect=False, who=who)


@pytest.fixture
def session(data: Path) -> FixSession:
    return begin(data)


def test_every_image_is_shown_once(session: FixSession) -> None:
    assert len(session.order) == len(set(session.order)) == 40
    assert [item.name for item in session.items(0, 40)] == list(session.order)
    assert [item.name for item in session.items(10, 5)] == list(session.order[10:15])


def test_decisions_are_kept_counted_and_passed_over(session: FixSession, data: Path) -> None:
    first, second, third = (item.name for item in session.items(0, 3))
    session.decide(first, "keep")
    session.decide(second, "relabel", "sad" if session.item(second).label == "happy" else "happy")
    session.decide(third, "leave-out")
    progress = session.progress()
    assert (progress.decided, progress.kept, progress.relabelled, progress.left_out) == (3, 1, 1, 1)
    following = session.next()
    assert following is not None
    assert following.name == session.order[3]
    again = begin(data)
    assert again.order == session.order
    assert again.progress() == progress
    assert sum(session.counts().values()) == 39


def test_undo_goes_back_step_by_step(session: FixSession) -> None:
    first, second = (item.name for item in session.items(0, 2))
    session.decide(first, "keep")
    session.decide(second, "leave-out")
    assert [fix.path for fix in session.undo()] == [second]
    assert [fix.path for fix in session.undo()] == [first]
    assert session.undo() == []
    following = session.next()
    assert following is not None
    assert following.name == first
    assert len(session.fixes.rows) == 4  # nothing was deleted


def test_a_changed_file_is_not_decided_unseen(session: FixSession, data: Path) -> None:
    name = session.order[0]
    (data / name).write_bytes((data / name).read_bytes() + b"\0")
    with pytest.raises(ChangedFileError, match="has changed"):
        session.decide(name, "keep")
    assert not session.store.exists()


def test_a_file_that_changed_since_comes_first(session: FixSession, data: Path) -> None:
    name = session.order[20]
    session.decide(name, "leave-out")
    (data / name).write_bytes((data / name).read_bytes() + b"\0")
    again = begin(data)
    assert again.order[0] == name
    assert again.item(name).kind == "changed"
    assert again.progress().changed == 1
    again.decide(name, "keep")
    assert again.progress().changed == 0


def test_a_disagreement_comes_first_and_is_settled(data: Path) -> None:
    ada, ben = begin(data, "Ada"), begin(data, "Ben")
    name = ada.order[30]
    ada.decide(name, "keep")
    ben.decide(name, "leave-out")
    assert ada.refresh()
    assert ada.item(name).kind == "conflict"
    assert "Ada: kept as" in ada.item(name).reason
    assert ada.decision(name) is None
    assert ada.decide(name, "keep").settles
    assert ada.decision(name) is not None
    assert begin(data, "Ben").progress().conflicts == 0


def test_a_grid_is_decided_at_once(session: FixSession) -> None:
    batch = session.batch(8)
    assert batch is not None
    assert len({(item.label, item.kind) for item in batch.items}) == 1
    assert not any(item.sampled for item in batch.items)
    session.decide_many([Choice(item.name, "keep") for item in batch.items])
    assert session.progress().kept == len(batch.items)
    other = session.batch(8, skip=[item.name for item in session.items(0, 40)])
    assert other is None


def test_one_undo_takes_a_grid_back_also_after_a_new_start(session: FixSession, data: Path) -> None:
    first, *grid = session.order[:6]
    session.decide(first, "keep")
    stored, failed = session.decide_many([Choice(name, "leave-out") for name in grid])
    assert (len(stored), failed) == (5, [])
    again = begin(data)
    again.decide(again.order[6], "keep")
    assert [fix.path for fix in again.undo()] == [again.order[6]]
    assert [fix.path for fix in again.undo()] == grid
    assert [fix.path for fix in begin(data).undo()] == [first]


def test_what_cannot_be_decided_is_named_and_the_rest_of_the_grid_is_stored(session: FixSession, data: Path) -> None:
    gone, kept = session.order[:2]
    (data / gone).unlink()
    stored, failed = session.decide_many([Choice(gone, "keep"), Choice(kept, "keep"), Choice("none.jpg", "keep")])
    assert [fix.path for fix in stored] == [kept]
    assert [name for name, _ in failed] == [gone, "none.jpg"]


@pytest.mark.parametrize(
    ("decision", "label", "reason"),
    [("erase", None, "no decision"), ("relabel", "hapy", "did you mean 'happy'"), ("relabel", None, "not among")],
)  # fmt: skip
def test_a_bad_decision_is_refused(session: FixSession, decision: str, label: str | None, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        session.decide(session.order[0], decision, label)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not among the images"):
        session.decide("none.jpg", "keep")
    assert not session.store.exists()


def test_one_of_two_copies_stands_for_both(data: Path) -> None:
    shutil.copy(data / "sad" / sorted(path.name for path in (data / "sad").iterdir())[0], data / "sad" / "zz.png")
    session = begin(data)
    (item,) = (item for item in session.items(0, 50) if item.copies)
    session.decide(item.name, "leave-out")
    assert read_manifest(data).counts() == {"happy": 20, "sad": 19}


def test_the_answers_of_another_model_order_anew(session: FixSession) -> None:
    names = session.order
    wrong, sure = names[25], names[35]
    session.decide(names[0], "keep")
    answers = {}
    for name in names:
        label = session.item(name).label
        other = "sad" if label == "happy" else "happy"
        answers[name] = {label: 0.05, other: 0.95} if name == wrong else {label: 0.9, other: 0.1}
    answers[sure] = {session.item(sure).label: 1.0}
    session.rerank(answers)
    following = session.next()
    assert following is not None
    assert (following.name, following.kind) == (wrong, "label-issue")
    assert session.decision(names[0]) is not None
    assert sorted(session.order) == sorted(names)


def test_an_unsorted_folder_gets_its_labels(data: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in sorted(data.rglob("*.*")):
        shutil.copy(path, flat / f"{path.parent.name}-{path.name}")
    with pytest.raises(DataError, match="`classes=`"):
        open_session(flat)
    with pytest.raises(ConfigError, match="at least two"):
        open_session(flat, classes=["happy"])
    session = open_session(flat, classes=["glad", "blue"])
    assert session.unsorted
    assert session.remaining().sentence == "40 images without a label"
    names = {"happy": "glad", "sad": "blue"}
    proposals = 0
    while (item := session.next()) is not None:
        proposals += bool(item.probabilities)
        session.decide(item.name, "relabel", names[item.name.partition("-")[0]])
    assert session.counts() == {"glad": 20, "blue": 20}
    assert proposals >= 20  # after five of each
    assert read_manifest(flat).counts() == {"blue": 20, "glad": 20}
    again = open_session(flat)
    assert again.unsorted
    assert again.next() is None


def test_what_check_returns_is_ranked(data: Path) -> None:
    found: Audit = audit(read_manifest(data))
    assert {item.kind for item in found.ranked} == {"unseen"}
    assert len(found.ranked) == 40


def test_what_is_drawn_after_grids_is_drawn_again_at_the_next_start(data: Path) -> None:
    session = begin(data)
    before = session.order
    for _ in range(2):
        grid = session.batch(14)
        assert grid is not None
        session.decide_many([Choice(item.name, "keep") for item in grid.items])
        following = session.next()
        assert following is not None
        session.decide(following.name, "keep")
    assert session.order != before
    again = begin(data)
    left = [item.name for item in session.items(0, 40, decided=False)]
    assert [item.name for item in again.items(0, 40, decided=False)] == left
    assert again.remaining() == session.remaining()

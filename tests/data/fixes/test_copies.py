"""An image that has near copies is shown beside them and says so, whatever else it is shown for, and is in no grid."""

from pathlib import Path

import pytest
from PIL import Image

from mien.data.audit import Audit, audit, with_findings
from mien.data.dataset import read_manifest
from mien.data.fixes.queue import Item
from mien.data.fixes.session import FixSession
from mien.data.fixes.store import FixesFile
from mien.data.fixes.views import is_alone
from mien.data.issues import Finding
from mien.data.synthetic.faces import draw_face

SIDE = 96


def save_copies(folder: Path, seed: int, *names: str) -> None:
    """Save a drawn face under several names, each a little smaller than the one before."""
    face = Image.fromarray(draw_face("happy", seed, SIDE))
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        face.resize((SIDE - 8 * number, SIDE - 8 * number)).save(folder / name)


def doubted(folder: Path, *names: str) -> Audit:
    """Audit the files of a folder in which the labels of these images are probably wrong."""
    return with_findings(
        audit(read_manifest(folder, fixes=False)), [Finding(name, "label-issue", "labelled so") for name in names]
    )


def items(found: Audit) -> dict[str, Item]:
    return {item.name: item for item in found.ranked}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("happy", "sad"):
        for number in range(4):
            save_copies(tmp_path / "data", 100 + number + 50 * (label == "sad"), f"{label}/{number}.png")
    return tmp_path / "data"


def test_copies_whose_labels_are_all_doubted_are_called_copies(folder: Path) -> None:
    save_copies(folder, 1, "happy/one.png", "happy/two.png")
    found = items(doubted(folder, "happy/one.png", "happy/two.png", "happy/1.png", "happy/2.png"))
    one, two = found["happy/one.png"], found["happy/two.png"]
    assert one.group == two.group == ("happy/one.png", "happy/two.png")
    assert one.kind == two.kind == "label-issue", "the label is still the first reason"
    assert one.reason == one.detail == "labelled happy; near duplicate of happy/two.png"
    assert two.reason.endswith("near duplicate of happy/one.png")
    assert is_alone(one) and is_alone(two)
    assert not is_alone(found["happy/1.png"])


def test_each_of_several_copies_says_how_many_others_there_are(folder: Path) -> None:
    names = ("happy/one.png", "happy/three.png", "happy/two.png")
    save_copies(folder, 1, *names)
    found = items(doubted(folder, "happy/one.png"))
    assert {found[name].group for name in names} == {names}
    assert [found[name].kind for name in names] == ["label-issue", "near-duplicate", "near-duplicate"]
    assert found["happy/two.png"].reason == "near duplicate of 2 others; labelled happy"
    assert found["happy/two.png"].detail == "labelled happy", "the page has a title, and the others beside it"


def test_of_equal_files_one_stands_beside_the_near_copies(folder: Path) -> None:
    save_copies(folder, 1, "happy/one.png", "happy/two.png")
    (folder / "happy" / "same.png").write_bytes((folder / "happy" / "one.png").read_bytes())
    found = items(doubted(folder, "happy/one.png", "happy/two.png"))
    assert "happy/same.png" not in found
    assert found["happy/one.png"].copies == ("happy/same.png",)
    assert found["happy/two.png"].group == ("happy/one.png", "happy/two.png")
    assert found["happy/two.png"].reason.endswith("near duplicate of happy/one.png")


def test_copies_under_two_labels_are_beside_each_other_and_no_near_duplicates(folder: Path) -> None:
    save_copies(folder, 1, "happy/one.png", "happy/two.png", "sad/one.png")
    found = items(doubted(folder))
    for name in ("happy/one.png", "happy/two.png", "sad/one.png"):
        assert found[name].group == ("happy/one.png", "happy/two.png", "sad/one.png")
        assert found[name].reason.startswith("same image under two labels; labelled happy and sad")
        assert "near duplicate" not in found[name].reason


def test_copies_in_two_parts_are_called_copies(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label in ("happy", "sad"):
            for number in range(2):
                seed = 100 + 10 * number + 2 * (part == "test") + (label == "sad")
                save_copies(tmp_path, seed, f"{part}/{label}/{number}.png")
    save_copies(tmp_path, 1, "train/happy/one.png", "test/happy/one.png")
    found = doubted(tmp_path, "test/happy/one.png")
    assert found.left_out == {"train/happy/one.png": "split-leak"}
    by_name = items(found)
    leaked, kept = by_name["train/happy/one.png"], by_name["test/happy/one.png"]
    assert leaked.group == kept.group == ("test/happy/one.png", "train/happy/one.png")
    assert kept.reason == "labelled happy; near duplicate of train/happy/one.png"
    assert leaked.kind == "near-duplicate" and is_alone(leaked)


def test_a_copy_of_a_decided_image_is_in_no_grid(folder: Path) -> None:
    save_copies(folder, 1, "happy/one.png", "happy/two.png")
    found = doubted(folder, "happy/one.png", "happy/two.png", "happy/1.png", "happy/2.png", "happy/3.png")
    session = FixSession(found, FixesFile(folder / "mien-fixes.csv"), "", ("happy", "sad"), False)
    session.decide("happy/one.png", "keep")
    two = session.item("happy/two.png")
    assert two.group == ("happy/one.png", "happy/two.png")
    assert session.batch(like=two) is None
    grid = session.batch(like=next(item for item in session.items() if item.name == "happy/1.png"))
    assert grid is not None
    assert {"happy/one.png", "happy/two.png"}.isdisjoint(item.name for item in grid.items)


def test_another_model_that_doubts_the_label_does_not_hide_a_copy(folder: Path) -> None:
    save_copies(folder, 1, "happy/one.png", "sad/one.png")
    save_copies(folder, 2, "happy/two.png", "happy/twin.png")
    session = FixSession(doubted(folder), FixesFile(folder / "mien-fixes.csv"), "", ("happy", "sad"), False)
    answers = {name: {"happy": 0.9, "sad": 0.1} for name in session.order}
    doubts = ("happy/one.png", "happy/two.png")
    session.rerank(
        answers | {name: {"happy": 0.01, "sad": 0.99} for name in (*doubts, *map("sad/{}.png".format, range(4)))}
    )
    one, two = (session.item(name) for name in doubts)
    assert one.kind == two.kind == "label-issue"
    assert one.reason == "labelled happy, looks sad (0.99); same image under two labels (happy and sad)"
    assert two.reason == "labelled happy, looks sad (0.99); near duplicate of happy/twin.png"
    assert is_alone(one) and is_alone(two)

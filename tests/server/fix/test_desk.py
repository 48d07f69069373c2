"""The list of images to decide, without a browser."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.data.fixes.opening import open_session
from mien.data.fixes.session import FixSession
from mien.data.fixes.store import FixesFile
from mien.data.synthetic.faces import draw_face
from mien.server.fix.desk import BESIDE, Desk
from mien.server.fix.requests import OneDecision

_COPIES = BESIDE + 4


@pytest.fixture
def desk(tmp_path: Path, drawn_bundle: Path) -> Desk:
    """A desk with a group of near copies that is too large for the page."""
    for label in ("happy", "sad"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for seed in range(6):
            Image.fromarray(draw_face(label, seed, 96)).save(tmp_path / "data" / label / f"{seed}.png")
    face = draw_face("happy", 100, 96)
    for number in range(_COPIES):
        copy = face.copy()
        copy[0, 0] = np.uint8(number)
        Image.fromarray(copy).save(tmp_path / "data" / "happy" / f"copy-{number:02d}.png")
    return Desk(open_session(tmp_path / "data", model=drawn_bundle, detect=False, who="ann"))


def shown_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    return [item, *item["copies"]]


def test_a_large_group_of_near_copies_is_shown_in_parts(desk: Desk) -> None:
    seen: set[str] = set()
    for _ in range(_COPIES):
        item = desk.state()["queue"][0]
        if not item["copies"]:
            break
        assert len(item["copies"]) == BESIDE
        assert f"12 of {_COPIES} near copies, the others follow" in item["why"]
        fresh = [one for one in shown_of(item) if not one["decided"]]
        assert [one["decided"] is None for one in shown_of(item)] == sorted(
            (one["decided"] is None for one in shown_of(item)), reverse=True
        )
        seen |= {one["name"] for one in fresh}
        desk.decide(
            item["name"], [OneDecision(name=one["name"], sha256=one["sha256"], decision="keep") for one in fresh]
        )
    assert seen == {f"happy/copy-{number:02d}.png" for number in range(_COPIES)}


def test_what_was_undone_is_shown_next_and_other_people_are_left_alone(desk: Desk) -> None:
    first, second = desk.state()["queue"][0], desk.state()["queue"][1]
    desk.put_off("put-it-off", second["name"])
    keep = OneDecision(name=second["name"], sha256=second["sha256"], decision="keep")
    desk.decide("keep-it-1", [keep])
    state = desk.undo("undo-it-1")
    said = f"Undone: {second['name']} is undecided again; it was kept as {second['label']}"
    assert state["undone"] == {"text": said, "grid": False}
    assert [item["name"] for item in state["queue"][:2]] == [second["name"], first["name"]]
    assert desk.undo("undo-it-1")["undone"] is None, "a request that is sent again"
    other = FixSession(desk.session.audit, FixesFile(desk.session.store), "ben", desk.session.classes, False)
    other.decide(first["name"], "leave-out")
    assert "of other people" in desk.undo("undo-it-2")["undone"]["text"]
    assert desk.state()["progress"]["decided"] == 1

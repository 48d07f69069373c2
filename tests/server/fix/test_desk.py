"""The list of images to decide, without a browser."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.data.fixes.opening import open_session
from mien.data.fixes.session import Choice, FixSession
from mien.data.fixes.store import FixesFile
from mien.data.fixes.views import are_alike
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


def test_undo_takes_back_the_last_step_also_one_that_put_an_image_off(desk: Desk) -> None:
    first, second, third = desk.state()["queue"][:3]
    assert not desk.state()["undo"]
    assert desk.put_off("put-it-off-1", first["name"])["undo"]
    desk.decide("keep-it-1", [OneDecision(name=second["name"], sha256=second["sha256"], decision="keep")])
    desk.put_off("put-it-off-2", third["name"])
    state = desk.undo("undo-it-1")
    assert state["undone"] == {"text": f"Undone: {third['name']} is back; it was put off", "grid": False}
    assert (state["queue"][0]["name"], state["progress"]["decided"]) == (third["name"], 1)
    state = desk.undo("undo-it-2")
    assert (state["queue"][0]["name"], state["progress"]["decided"]) == (second["name"], 0)
    assert state["undo"], "one is still put off"
    state = desk.undo("undo-it-3")
    assert [item["name"] for item in state["queue"][:3]] == [first["name"], second["name"], third["name"]]
    assert not state["undo"]


def test_there_is_no_grid_where_the_others_are_picked_at_random(desk: Desk) -> None:
    items = desk.session.items(0, 99, decided=False)
    sampled = [item for item in items if item.sampled]
    pair = next((one, other) for one in sampled for other in sampled if are_alike(one, other))
    desk.session.decide_many([Choice(item.name, "keep") for item in items if item not in pair])
    assert "others like this one are picked at random" in desk.alike()["alone"]
    desk.session.decide(pair[1].name, "keep")
    assert desk.alike()["alone"] == "No other picture is like this one: there is no grid."


def test_marks_without_a_decision_are_counted(desk: Desk) -> None:
    kept, *names = [item.name for item in desk.session.items(0, 99, decided=False) if not item.group][:3]
    digest = desk.session.audit.facts[kept].digest
    desk.decide("keep-it-1", [OneDecision(name=kept, sha256=digest, decision="keep")], names)
    assert desk.undecided_marks() == 2
    desk.session.decide(names[0], "leave-out")
    assert desk.undecided_marks() == 1

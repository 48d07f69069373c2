"""A key for a whole grid decides only once every picture of it was in view: before, it scrolls to the next ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import PATIENCE, sync_api
from fix_tab import SIZE, save

from mien.data.fixes.opening import open_session
from mien.data.fixes.session import Choice
from mien.data.synthetic.faces import draw_face


def titles(page: Any) -> list[str]:
    return [tile.get_attribute("title") for tile in page.tab.locator(".tile").all()]


@pytest.fixture
def alike(serve: Callable[..., Any], tmp_path: Path, drawn_bundle: Path) -> Any:
    """Two classes of 24 faces, served; what the model doubts is decided."""
    for number in range(24):
        save(tmp_path / "data" / "happy" / f"{number}.png", draw_face("happy", 1000 + number, SIZE))
        save(tmp_path / "data" / "sad" / f"{number}.png", draw_face("sad", 5000 + number, SIZE))
    session = open_session(tmp_path / "data", model=drawn_bundle, detect=False)
    session.decide_many([Choice(item.name, "keep") for item in session.items(0, 48) if item.kind != "certain"])
    return serve(session)


def places(page: Any) -> Any:
    """Return where the pictures of a grid and its buttons are."""
    return page.tab.locator(".tile, #many-actions button").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect()).map(({ x, y, width, height }) => [x, y, width, height])"
    )


def in_view(page: Any) -> set[str]:
    """Return the names of the tiles that are whole in the window, and not behind the decisions."""
    bar = page.tab.locator("#many-actions").bounding_box()
    heads = page.tab.locator(".told").bounding_box()
    whole = set()
    for tile in page.tab.locator(".tile").all():
        box = tile.bounding_box()
        if box["y"] >= max(0, heads["y"] + heads["height"]) - 1 and box["y"] + box["height"] <= bar["y"] + 1:
            whole.add(tile.get_attribute("title"))
    return whole


@pytest.mark.parametrize("size", [(1280, 800), (390, 844), (1000, 560)], ids=["wide", "phone", "low"])
def test_nothing_is_decided_that_was_not_in_view(
    alike: Any, browser: Any, visit: Callable[..., Any], size: tuple[int, int]
) -> None:
    page = visit(browser, alike.url, viewport={"width": size[0], "height": size[1]})
    page.tab.locator(".stage[data-state=shown]").wait_for()
    decided = page.tab.text_content("#progress-text")
    page.press("b")
    note, keep = page.tab.locator("#many-actions small").first, page.tab.locator("#many-actions [data-key=k]")
    page.wait_for("#many-actions [data-key=k]", " seen: shows the next ones")
    names = titles(page)
    assert page.tab.locator("#many-actions button.primary").count() == 0
    page.check_accessible()
    before, seen = places(page), in_view(page)
    page.tab.locator(".tile").first.click()
    page.wait_for("#many-text", "1 marked")
    assert places(page) == before, "nothing moves"
    page.tab.locator(".tile").first.click()
    keys = iter("k1x2" * len(names))
    while "shows the next ones" in (said := note.text_content()):
        assert len(seen) <= int(said.split()[0]) < len(names)
        page.press(next(keys))
        sync_api.expect(note).not_to_have_text(said, timeout=PATIENCE)
        seen |= in_view(page)
    sync_api.expect(note).to_have_text(f"all {len(names)} seen")
    page.press("End")
    assert names[-1] in in_view(page), "the last one is not behind the decisions"
    assert page.tab.text_content("#progress-text") == decided
    sync_api.expect(keep).to_have_class("primary")
    page.press("b")
    page.tab.locator(".stage[data-state=shown]").wait_for()
    page.press("b")  # what was seen stays seen
    page.tab.locator(".tile img[src]").nth(len(names) - 1).wait_for()
    sync_api.expect(keep).to_have_class("primary")
    keep.click()
    sync_api.expect(page.tab.locator("#progress-text")).not_to_have_text(decided, timeout=PATIENCE)
    assert {row["path"] for row in alike.rows if row["decision"] == "keep"} >= set(names)


def test_a_picture_that_is_larger_than_the_room_for_it_is_seen_in_two_steps(
    alike: Any, browser: Any, visit: Callable[..., Any]
) -> None:
    page = visit(browser, alike.url, viewport={"width": 380, "height": 640})
    page.tab.locator(".stage[data-state=shown]").wait_for()
    page.press("b")
    page.tab.locator(".tile img[src]").last.wait_for()
    for _ in range(3):
        page.press("+")
    note, tiles = page.tab.locator("#many-actions small").first, page.tab.locator(".tile")
    assert tiles.first.bounding_box()["height"] > page.tab.locator("#tiles").bounding_box()["height"]
    count, keep = tiles.count(), page.tab.locator("#many-actions [data-key=k]")
    page.wait_for("#many-actions [data-key=k]", f"0 of {count} seen")
    presses = 0
    while keep.get_attribute("class") != "primary":
        page.press("k")
        page.tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        presses += 1
    sync_api.expect(note).to_have_text(f"all {count} seen")
    assert presses >= 2 * count, "each is seen in two steps"

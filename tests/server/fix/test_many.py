"""Many at once: a grid of alike pictures, the odd ones out marked by click or keyboard, one key for the rest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import sync_api
from fix_tab import SIZE, WRONG, save, write_data

from mien.data.fixes.opening import open_session
from mien.data.fixes.session import Choice

#: The labels that are surely wrong.
COUNT = 6


@pytest.fixture
def page(served: Any, browser: Any, visit: Callable[..., Any]) -> Any:
    """The page with a grid of the wrong labels."""
    opened = visit(browser, served.url)
    opened.tab.locator(".stage[data-state=shown]").wait_for()
    opened.press("b")
    opened.tab.locator(".tile img[src]").nth(COUNT - 1).wait_for()
    return opened


def titles(page: Any) -> list[str]:
    return [tile.get_attribute("title") for tile in page.tab.locator(".tile").all()]


def test_the_rest_is_decided_by_one_key_and_the_odd_one_comes_alone(page: Any, served: Any) -> None:
    page.wait_for("#many-title", "Label probably wrong: 6 images labelled happy that look sad")
    names = [tile.get_attribute("title") for tile in page.tab.locator(".tile").all()]
    assert len(names) == COUNT and set(names) < set(WRONG)
    odd = page.tab.locator(".tile").nth(1)
    odd.click()
    assert odd.get_attribute("aria-pressed") == "true"
    page.wait_for("#many-actions", "The other 5 are sad")
    assert page.tab.locator("#many-actions button.primary").count() == 0, "the model doubts the labels"
    page.check_accessible()
    page.press("2")
    page.wait_for("#progress-text", "5 decided")
    stored = [(row["path"], row["decision"], row["label"]) for row in served.rows]
    assert stored == [(name, "relabel", "sad") for name in names if name != names[1]]
    page.wait_until_shown(names[1])
    page.wait_for("#said", "The picture that you marked.")
    assert page.tab.is_hidden("#many")


def test_one_undo_brings_the_grid_back_with_its_marks(page: Any, served: Any) -> None:
    names = [tile.get_attribute("title") for tile in page.tab.locator(".tile").all()]
    page.tab.locator(".tile").nth(1).click()
    page.press("x")
    page.wait_for("#progress-text", "5 decided")
    page.wait_until_shown(names[1])
    page.press("2")
    page.wait_for("#progress-text", "6 decided")
    page.tab.reload()
    page.wait_for("#progress-text", "6 decided")
    page.tab.locator(".stage[data-state=shown]").first.wait_for()
    page.press("u")
    page.wait_for("#said", f"Undone: {names[1]} is undecided again; it was relabelled happy to sad.")
    page.wait_until_shown(names[1])
    page.press("u")
    page.wait_for("#said", "Undone: 5 pictures are undecided again; they were left out.")
    page.wait_for("#said", "The grid is back, with 1 marked.")
    page.wait_for("#progress-text", "0 decided")
    page.tab.locator(".tile img[src]").nth(COUNT - 1).wait_for()
    assert [tile.get_attribute("title") for tile in page.tab.locator(".tile").all()] == names
    marked = [tile.get_attribute("title") for tile in page.tab.locator(".tile[aria-pressed=true]").all()]
    assert marked == [names[1]]
    page.check_accessible()
    page.press("ArrowRight")  # from the one that was marked
    sync_api.expect(page.tab.locator(".tile").nth(2)).to_be_focused()
    page.press("2")
    page.wait_for("#progress-text", "5 decided")
    page.wait_until_shown(names[1])


def test_the_grid_works_by_keyboard_alone(page: Any, served: Any) -> None:
    tiles = page.tab.locator(".tile")
    sync_api.expect(tiles.nth(0)).to_be_focused()
    page.press("ArrowRight")
    sync_api.expect(tiles.nth(1)).to_be_focused()
    page.press("Space")
    assert tiles.nth(1).get_attribute("aria-pressed") == "true"
    page.press("End")
    sync_api.expect(tiles.nth(COUNT - 1)).to_be_focused()
    page.press("ArrowRight")  # there is none
    page.press("Home")
    sync_api.expect(tiles.nth(0)).to_be_focused()
    width = tiles.nth(0).bounding_box()["width"]
    page.press("+")
    page.press("+")
    assert tiles.nth(0).bounding_box()["width"] > 1.5 * width
    tops = [tile.bounding_box()["y"] for tile in tiles.all()]
    columns = tops.count(tops[0])
    page.press("ArrowDown")
    sync_api.expect(tiles.nth(columns)).to_be_focused()
    page.press("ArrowUp")
    sync_api.expect(tiles.nth(0)).to_be_focused()
    page.press("ArrowRight")
    page.press("Space")
    page.press("-")
    page.press("-")
    page.press("-")
    sizes = [page.tab.locator(one).first.bounding_box()["width"] for one in (".enlarge", ".tile")]
    assert 24 <= sizes[0] < 0.3 * sizes[1], "the button leaves the picture in sight"
    page.wait_for("#many-text", "Mark the odd ones out")
    assert page.tab.locator(".own-label").count() == 0, "all have the same"
    page.press("1")  # of their own class, as K
    page.wait_for("#progress-text", "6 decided")
    assert {row["decision"] for row in served.rows} == {"keep"}
    page.wait_for("#said", "6 pictures decided. The")


def test_a_grid_begins_with_the_picture_on_screen_and_says_why_there_is_none(page: Any, served: Any) -> None:
    desk = served.app.state.mien.desk
    page.press("b")
    while not page.tab.locator(".copy").count():
        name = page.name
        page.wait_until_shown(name)
        page.press("b")
        page.tab.locator(".tile").nth(1).wait_for()
        assert titles(page)[0] == name
        page.press("b")
        page.wait_until_shown(name)
        page.press("l")
        page.wait_until_not(name)
    page.press("b")
    page.wait_for("#said", "This picture needs a look of its own: it is in no grid.")
    assert page.tab.is_hidden("#many")
    while (first := desk.state()["queue"][0])["kind"] != "certain":
        desk.put_off(f"later-{first['name']}", first["name"])
    last = desk.session.items(0, 40, decided=False)
    served.session.decide_many([Choice(item.name, "keep") for item in last if item.name != first["name"]])
    page.tab.reload()
    page.wait_until_shown(first["name"])
    page.press("b")
    page.wait_for("#said", "No other picture is like this one: there is no grid.")


def test_a_picture_of_the_grid_is_enlarged_by_key_click_and_marked_there(page: Any) -> None:
    dialog, tiles = page.tab.locator("#zoom"), page.tab.locator(".tile")
    page.press("z")
    page.tab.locator("#zoom img").wait_for()
    first = tiles.first.get_attribute("title")
    assert page.tab.text_content("#zoom-title") == first
    page.wait_for("#zoom-why", "labelled happy, looks sad")
    page.check_accessible()
    assert page.tab.locator("#zoom img").bounding_box()["width"] > 1.5 * tiles.first.bounding_box()["width"]
    page.press("x")  # decides nothing while one looks closely
    page.press("ArrowRight")
    sync_api.expect(page.tab.locator("#zoom-title")).to_have_text(tiles.nth(1).get_attribute("title"))
    page.press("Space")
    sync_api.expect(page.tab.locator("#zoom-mark")).to_have_attribute("aria-pressed", "true")
    page.press("Escape")
    dialog.wait_for(state="hidden")
    sync_api.expect(tiles.nth(1)).to_be_focused()
    assert tiles.nth(1).get_attribute("aria-pressed") == "true"
    page.tab.get_by_role("button", name=f"Enlarge {first}").click()
    sync_api.expect(page.tab.locator("#zoom-title")).to_have_text(first)
    page.press("z")
    dialog.wait_for(state="hidden")
    page.wait_for("#progress-text", "0 decided")


def test_noise_under_both_labels_is_one_grid_that_says_what_waits_beside_it(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], tmp_path: Path, drawn_bundle: Path
) -> None:
    write_data(tmp_path / "data")
    noise = [f"{('happy', 'sad')[number % 2]}/noise-{number}.png" for number in range(4)]
    for number, name in enumerate(noise):
        save(tmp_path / "data" / name, np.random.default_rng(number).integers(0, 255, (SIZE, SIZE, 3), np.uint8))
    served = serve(open_session(tmp_path / "data", model=drawn_bundle, detect=True, classes=["happy", "sad"]))
    page = visit(browser, served.url, viewport={"width": 1280, "height": 800})
    page.tab.locator(".stage[data-state=shown]").first.wait_for()
    while page.name not in noise:
        name = page.name
        page.press("l")
        page.wait_until_not(name)
    on_screen = page.name
    page.press("b")
    page.wait_for("#many-title", "No face found: ")
    page.tab.locator(".tile img[src]").nth(3).wait_for()
    names = {tile.get_attribute("title") for tile in page.tab.locator(".tile").all()}
    assert names >= set(noise)
    page.wait_for("#many-title", "images labelled happy or sad")
    batch = served.session.batch_of(names)
    assert page.tab.locator(".tile").first.get_attribute("title") == on_screen
    page.wait_for("#many-left", f"{batch.others} other doubtful pictures wait. They come after these.")
    labels = [name.split("/")[0] for name in titles(page)]
    assert page.tab.locator(".own-label").all_text_contents() == labels, "of several labels each is shown"
    bar, row = page.tab.locator("#many-actions").bounding_box(), page.tab.locator("#tiles").bounding_box()
    assert row["y"] + row["height"] <= bar["y"] and bar["y"] + bar["height"] <= 800, "nothing is behind the decisions"
    page.check_accessible()
    page.press("x")
    page.wait_for("#progress-text", f"{len(names)} decided")
    assert {(row["path"], row["decision"]) for row in served.rows} == {(name, "leave-out") for name in names}


def test_a_picture_of_the_grid_that_was_decided_elsewhere_is_left_as_it_is(page: Any, served: Any) -> None:
    name = page.tab.locator(".tile").first.get_attribute("title")
    served.session.decide(name, "leave-out")
    page.press("2")
    page.wait_for("#progress-text", "6 decided")
    page.wait_for("#alert", f"{name}: was decided meanwhile (left out), so nothing was stored")
    found = [(row["path"] == name, row["decision"]) for row in served.rows]
    assert found == [(True, "leave-out")] + [(False, "relabel")] * (COUNT - 1)


def test_b_goes_back_to_one_by_one(page: Any) -> None:
    page.press("b")
    page.tab.locator(".stage[data-state=shown]").wait_for()
    assert page.tab.is_hidden("#many")


def test_the_decisions_stay_in_sight(served: Any, browser: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, served.url, viewport={"width": 390, "height": 560})
    page.tab.locator(".stage[data-state=shown]").wait_for()
    page.tab.click("#many-open")
    page.tab.locator(".tile img[src]").nth(COUNT - 1).wait_for()
    keep = page.tab.get_by_role("button", name="Keep all 6 as happy")
    box = keep.bounding_box()
    assert box["y"] + box["height"] <= 560, "without scrolling"
    page.tab.locator(".tile").last.focus()
    tile = page.tab.locator(".tile").last.bounding_box()
    assert tile["y"] + tile["height"] <= page.tab.locator("#many-actions").bounding_box()["y"]
    page.check_accessible()

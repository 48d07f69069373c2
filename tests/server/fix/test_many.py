"""Many at once: a grid of alike pictures, the odd ones out marked by click or keyboard, one key for the rest."""

from collections.abc import Callable
from typing import Any

import pytest
from fix_tab import WRONG

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


def test_the_rest_is_decided_by_one_key_and_the_odd_one_comes_alone(page: Any, served: Any) -> None:
    page.wait_for("#many-title", "Label probably wrong: 6 images labelled happy, look sad")
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
    page.tab.locator(f".tile[title='{names[1]}']").wait_for(state="detached")
    if page.tab.is_visible("#many"):
        page.tab.click("#many-open")
    page.wait_until_shown(names[1])


def test_one_undo_takes_the_grid_back(page: Any, served: Any) -> None:
    page.press("x")
    page.wait_for("#progress-text", "6 decided")
    page.press("u")
    page.wait_for("#progress-text", "0 decided")
    assert [row["decision"] for row in served.rows] == ["leave-out"] * COUNT + ["undo"] * COUNT


def test_the_grid_works_by_keyboard_alone(page: Any, served: Any) -> None:
    first = page.tab.locator(".tile").first
    first.focus()
    page.press("Space")
    assert first.get_attribute("aria-pressed") == "true"
    page.press("Space")
    assert first.get_attribute("aria-pressed") == "false"
    page.press("k")
    page.wait_for("#progress-text", "6 decided")
    assert {row["decision"] for row in served.rows} == {"keep"}
    page.tab.locator("#single:not([hidden]), #many:not([hidden])").first.wait_for()


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
    keep = page.tab.get_by_role("button", name="Keep all 6 as labelled")
    box = keep.bounding_box()
    assert box["y"] + box["height"] <= 560, "without scrolling"
    page.tab.locator(".tile").last.focus()
    tile = page.tab.locator(".tile").last.bounding_box()
    assert tile["y"] + tile["height"] <= page.tab.locator("#many-actions").bounding_box()["y"]
    page.check_accessible()

"""axe-core finds nothing in any state, in light and dark, wide and narrow, and a phone does all that keys do."""

from collections.abc import Callable
from typing import Any

import pytest
from chromium import PATIENCE, sync_api

LOOKS = [
    ("light", 1280), ("dark", 390),
    *(pytest.param(more, marks=pytest.mark.slow) for more in [("dark", 1280), ("light", 390)]),
]  # fmt: skip


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def test_every_state(serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], look: tuple[str, int]) -> None:
    served = serve()
    page = visit(browser, served.url, color_scheme=look[0], viewport={"width": look[1], "height": 844})
    page.tab.locator(".stage[data-state=shown]").wait_for()
    page.check_accessible()  # one picture
    page.tab.click("#enough-open")
    page.check_accessible()  # the estimate
    page.tab.click("#enough-close")
    page.tab.click("#many-open")
    page.tab.locator(".tile img[src]").nth(2).wait_for()
    page.tab.locator(".tile").first.click()
    page.check_accessible()  # a grid
    page.tab.click("#many-open")
    page.tab.locator(".stage[data-state=shown]").wait_for()
    while not page.tab.locator(".copy").count():
        name = page.name
        page.tab.get_by_role("button", name="Later").click()
        page.wait_until_not(name)
    page.tab.locator(".copy .stage[data-state=shown]").nth(1).wait_for()
    page.check_accessible()  # copies side by side
    if look[1] > 560:
        page.tab.click("#help-open")
        page.check_accessible()  # the keys


def test_a_phone_does_all_by_touch(serve: Callable[..., Any], browser: Any, visit: Callable[..., Any]) -> None:
    served = serve()
    page = visit(browser, served.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.tab.locator(".stage[data-state=shown]").wait_for()
    first = page.name
    for button in page.tab.locator("#actions button").all():
        box = button.bounding_box()
        assert box["height"] >= 44 and box["y"] + box["height"] <= 844, "in reach of the thumb"
    page.tab.get_by_role("button", name="It is sad").tap()
    page.wait_for("#progress-text", "1 decided")
    page.tab.get_by_role("button", name="Undo").tap()
    page.wait_for("#progress-text", "0 decided")
    page.wait_until_shown(first)
    page.tab.locator("#many-open").tap()
    page.tab.locator(".tile img[src]").nth(2).wait_for()
    page.tab.locator(".tile").first.tap()
    page.wait_for("#many-actions", " of 6 seen: shows the next ones")
    page.check_accessible()
    note = page.tab.locator("#many-actions small").first
    while (said := note.text_content()) != "all 6 seen":
        page.tab.get_by_role("button", name="Leave the other 5 out").tap()
        sync_api.expect(note).not_to_have_text(said, timeout=PATIENCE)
    page.tab.get_by_role("button", name="Leave the other 5 out").tap()
    page.wait_for("#progress-text", "5 decided")
    page.check_accessible()


def test_a_screen_reader_hears_the_next_picture(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any]
) -> None:
    page = visit(browser, serve().url)
    page.tab.locator(".stage[data-state=shown]").wait_for()
    page.press("2")
    page.wait_for("#progress-text", "1 decided")
    page.wait_for("#announcer", page.name)


def test_the_focus_stays_where_it_was(serve: Callable[..., Any], browser: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, serve().url)
    page.tab.locator(".stage[data-state=shown]").wait_for()
    page.tab.locator("#actions button[data-key=x]").focus()
    page.press("Enter")
    page.wait_for("#progress-text", "1 decided")
    assert page.tab.evaluate("document.activeElement.dataset.key") == "x"

"""The page asks for consent before it opens the camera."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: How often the page has asked the browser for a camera.
ASKED = "window.asked"
COUNT = """() => {
  window.asked = 0;
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (wanted) => { window.asked += 1; return ask(wanted); };
}"""
OWN = "Smile!\n<b>You</b> are on camera."


@pytest.fixture(scope="module")
def webcam_browser(start_browser: Callable[..., Any]) -> Any:
    return start_browser("--use-fake-ui-for-media-stream")


def test_the_camera_opens_once_all_agree(webcam_browser: Any, server: Any, visit: Callable[..., Any]) -> None:
    page = visit(webcam_browser, server.url)
    page.tab.evaluate(COUNT)
    page.tab.click("#webcam")
    page.wait_for("#consent-dialog", "Tell everyone who may be seen.")
    page.wait_for("#consent-where", "Nothing leaves this machine.")
    page.check_accessible()
    page.tab.click("#consent-refuse")
    page.tab.locator("#consent-dialog").wait_for(state="hidden")
    page.tab.click("#webcam")
    page.tab.keyboard.press("Escape")
    page.tab.locator("#consent-dialog").wait_for(state="hidden")
    assert page.tab.evaluate(ASKED) == 0
    assert page.tab.get_attribute("body", "data-mode") == "empty"
    page.open_webcam()
    page.wait_for("#webcam", "Close the webcam")
    assert page.tab.evaluate(ASKED) == 1
    page.tab.click("#webcam")
    page.tab.click("#webcam")  # somebody else may sit there by now
    page.tab.locator("#consent-dialog").wait_for()


def test_by_keyboard(webcam_browser: Any, server: Any, visit: Callable[..., Any]) -> None:
    page = visit(webcam_browser, server.url, viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.tab.focus("#webcam")
    page.tab.keyboard.press("Enter")
    page.tab.locator("#consent-dialog").wait_for()
    page.check_accessible()
    page.tab.keyboard.press("Tab")
    assert page.tab.evaluate("document.activeElement.id") == "consent-refuse"
    page.tab.keyboard.press("Enter")
    page.tab.locator("#consent-dialog").wait_for(state="hidden")
    assert page.tab.evaluate("document.activeElement.id") == "webcam"
    page.tab.keyboard.press("Enter")
    page.tab.locator("#consent-dialog").wait_for()
    assert page.tab.evaluate("document.activeElement.id") == "consent-agree"
    page.tab.keyboard.press("Enter")
    page.wait_for("#webcam", "Close the webcam")


def test_a_text_of_ones_own(
    webcam_browser: Any, start_page_server: Callable[..., Any], brightness_bundle: Path, visit: Callable[..., Any]
) -> None:
    page = visit(webcam_browser, start_page_server("--model", brightness_bundle, "--notice", OWN).url)
    page.tab.click("#webcam")
    page.tab.locator("#consent-dialog").wait_for()
    assert page.tab.text_content("#consent-text") == OWN, "no markup"
    assert re.search("Smile!\n+<b>", page.tab.locator("#consent-text").inner_text()), "in two lines"


def test_nobody_is_asked(
    webcam_browser: Any, start_page_server: Callable[..., Any], brightness_bundle: Path, visit: Callable[..., Any]
) -> None:
    page = visit(webcam_browser, start_page_server("--model", brightness_bundle, "--no-notice").url)
    page.tab.click("#webcam")
    page.wait_for("#webcam", "Close the webcam")
    assert page.tab.is_hidden("#consent-dialog")

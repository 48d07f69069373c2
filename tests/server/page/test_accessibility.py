"""axe-core finds no violation in any state of the page, in light and dark, on wide and narrow screens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawn import write_clip
from PIL import Image

LOOKS = [
    ("light", 1280), ("dark", 390),
    *(pytest.param(more, marks=pytest.mark.slow) for more in [("dark", 1280), ("light", 390)]),
]  # fmt: skip
NO_CAMERA = """() => {
  const refuse = () => Promise.reject(new DOMException("", "NotFoundError"));
  Object.defineProperty(navigator, "mediaDevices", { value: { getUserMedia: refuse }, configurable: true });
}"""
DRAGGED = """() => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([""], "photo.jpg", { type: "image/jpeg" }));
  document.body.dispatchEvent(new DragEvent("dragenter", { dataTransfer: transfer, bubbles: true }));
}"""


@pytest.fixture(scope="module")
def webcam_browser(start_browser: Callable[..., Any], tmp_path_factory: Any, two_people: Any) -> Any:
    """A browser whose webcam shows two people."""
    clip = tmp_path_factory.mktemp("clip") / "two.y4m"
    write_clip(clip, [two_people(0, True, False)] * 4, fps=2)
    return start_browser("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={clip}")


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def look(request: Any) -> dict[str, Any]:
    """Options of the browser context."""
    scheme, width = request.param
    return {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}


def test_every_state(
    webcam_browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path, tmp_path: Path, look: dict[str, Any]
) -> None:
    page = visit(webcam_browser, server.url, **look)
    page.tab.locator("#model-field").wait_for()
    page.check_accessible()  # empty
    bad = tmp_path / f"{'x' * 200}.jpg"
    bad.write_bytes(b"not an image")
    page.add(astronaut, bad, astronaut)
    page.tab.locator(".face").wait_for()
    page.tab.check("#heat-on")
    page.tab.locator("#heat").wait_for()
    page.check_accessible()  # a result, with its heatmap
    page.tab.click("#strip li:nth-child(2) button")
    page.tab.locator("#faces-note").wait_for()
    page.check_accessible()  # a file that is not an image
    page.open_webcam()
    page.tab.locator(".lanes li").first.wait_for()
    page.check_accessible()  # live
    server.stop()
    page.wait_for("#banner", "The server does not answer. Next try in")
    page.check_accessible()  # live, and the server does not answer
    server.start()
    page.tab.dispatch_event("#banner-button", "click")  # by event: the button hides if the page retries first
    page.tab.locator("#banner").wait_for(state="hidden")
    page.allow_errors("503", "ERR_", "WebSocket")


def test_the_camera_is_refused_or_absent(
    browser: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any]
) -> None:
    page = visit(browser, server.url, **look)
    page.open_webcam()
    page.wait_for("#alert", "The webcam was refused")
    page.check_accessible()
    page.tab.evaluate(NO_CAMERA)
    page.open_webcam()
    page.wait_for("#alert", "No webcam was found")
    page.check_accessible()


def test_no_face(
    browser: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any], astronaut: Path, tmp_path: Path
) -> None:
    page = visit(browser, server.url, **look)
    path = tmp_path / "sleeve.png"
    Image.open(astronaut).crop((0, 300, 200, 512)).save(path)
    page.tab.select_option("#model", "bright")  # the smaller one
    page.add(path)
    page.wait_for("#faces-note", "No face was found")
    assert page.tab.is_visible("#faces-note-button")
    page.check_accessible()


def test_the_server_does_not_answer(
    browser: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any], astronaut: Path
) -> None:
    page = visit(browser, server.url, **look)
    page.tab.locator("#model-field").wait_for()
    page.context.set_offline(True)
    page.tab.set_input_files("#files", [astronaut, astronaut])
    page.wait_for("#banner", "The server does not answer. Next try in")
    page.wait_for("#banner-button", "Try now")
    page.check_accessible()
    page.context.set_offline(False)
    page.tab.dispatch_event("#banner-button", "click")
    page.tab.locator("#banner").wait_for(state="hidden")
    page.allow_errors("ERR_")


def test_the_server_is_busy(
    browser: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any], astronaut: Path
) -> None:
    page = visit(browser, server.url, **look)
    body = '{"title": "Busy", "status": 503, "code": "busy", "detail": "all places are taken"}'
    headers = {"Retry-After": "1", "Content-Type": "application/problem+json"}
    page.tab.route("**/v1/predict*", lambda route: route.fulfill(status=503, headers=headers, body=body))
    page.tab.set_input_files("#files", [astronaut, astronaut])
    page.wait_for("#banner", "The server is busy")
    page.check_accessible()
    assert page.tab.is_visible("#banner"), "the banner stays"
    page.tab.close()  # it would retry, and log another error
    page.allow_errors("503")


def test_the_key(browser: Any, locked_server: Any, visit: Callable[..., Any], look: dict[str, Any]) -> None:
    page = visit(browser, locked_server.url, **look)
    page.tab.locator("#key-dialog[open]").wait_for()
    page.check_accessible()  # the dialog
    page.tab.fill("#key", "not-the-key-not-the-key")
    page.tab.keyboard.press("Enter")
    page.wait_for("#key-wrong", "does not accept this key")
    page.check_accessible()  # a wrong key
    page.tab.keyboard.press("Escape")
    page.wait_for("#banner", "This server needs an API key.")
    assert page.tab.is_visible("#banner-button")
    page.check_accessible()  # no key
    page.allow_errors("401")


def test_a_file_is_dragged_over_the_page(
    browser: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any]
) -> None:
    page = visit(browser, server.url, **look)
    page.tab.evaluate(DRAGGED)
    assert page.tab.is_visible("#drop-overlay")
    page.check_accessible()


def test_reduced_motion_stops_transitions(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path
) -> None:
    page = visit(browser, server.url, reduced_motion="reduce")
    page.add(astronaut)
    page.tab.locator(".fill").first.wait_for(state="attached")
    moving = "[...document.querySelectorAll('*')].filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0)"
    assert page.tab.evaluate(f"{moving}.length") == 0


def test_the_page_names_no_other_site(browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path) -> None:
    page = visit(browser, server.url)
    policy = page.tab.request.get(server.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    markup = str(page.tab.content())
    for outside in ("http://", "https://", "//cdn", " style=", " onclick="):
        assert outside not in markup.replace("http://www.w3.org/2000/svg", "")

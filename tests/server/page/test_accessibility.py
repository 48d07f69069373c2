"""axe-core finds no violation in any state of the page, light and dark, wide and narrow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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
def server(serve: Callable[..., Any], three_way: Path, brightness_bundle: Path) -> Any:
    return serve("--model", three_way, "--model", f"bright={brightness_bundle}")


@pytest.fixture(scope="module")
def locked(serve: Callable[..., Any], brightness_bundle: Path) -> Any:
    return serve("--model", brightness_bundle, key="a-key-of-the-tests-only")


@pytest.fixture(scope="module")
def browser(start_browser: Callable[..., Any], tmp_path_factory: Any, write_clip: Any, two_people: Any) -> Any:
    clip = tmp_path_factory.mktemp("clip") / "two.y4m"
    write_clip(clip, [two_people(0, True, False)] * 4, fps=2)
    return start_browser("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={clip}")


@pytest.fixture(scope="module")
def blind(start_browser: Callable[..., Any]) -> Any:
    """A browser that gives no camera."""
    return start_browser("--deny-permission-prompts")


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def look(request: Any) -> dict[str, Any]:
    """Options with which a page is opened."""
    scheme, width = request.param
    return {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}


def test_every_state(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path, tmp_path: Path, look: dict[str, Any]
) -> None:
    page = visit(browser, server.url, **look)
    page.page.locator("#model-field").wait_for()
    page.check_accessible()  # empty
    bad = tmp_path / f"{'x' * 200}.jpg"
    bad.write_bytes(b"not a picture")
    page.add(astronaut, bad, astronaut)
    page.page.locator(".face").wait_for()
    page.page.check("#heat-on")
    page.page.locator("#heat").wait_for()
    page.check_accessible()  # a result, with its heatmap
    page.page.click("#strip li:nth-child(2) button")
    page.page.locator("#faces-note").wait_for()
    page.check_accessible()  # a file that is no picture
    page.page.click("#webcam")
    page.page.locator(".lanes li").first.wait_for()
    page.check_accessible()  # live
    server.stop()
    page.wait_for("#banner", "The server does not answer. Next try in")
    page.check_accessible()  # live, and the server is gone
    server.start()
    page.page.locator("#banner").wait_for(state="hidden")
    assert all("ERR_" in text or "WebSocket" in text for text in page.complaints)
    page.complaints.clear()


def test_the_camera_is_refused_or_absent(
    blind: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any]
) -> None:
    page = visit(blind, server.url, **look)
    page.page.click("#webcam")
    page.wait_for("#alert", "The webcam was refused")
    page.check_accessible()
    page.page.evaluate(NO_CAMERA)
    page.page.click("#webcam")
    page.wait_for("#alert", "No webcam was found")
    page.check_accessible()


def test_no_face(
    blind: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any], astronaut: Path, tmp_path: Path
) -> None:
    page = visit(blind, server.url, **look)
    path = tmp_path / "sleeve.png"
    Image.open(astronaut).crop((0, 300, 200, 512)).save(path)
    page.page.select_option("#model", "bright")  # which looks for faces
    page.add(path)
    page.wait_for("#faces-note", "No face was found")
    assert page.page.is_visible("#faces-note-button")
    page.check_accessible()


def test_the_server_is_gone(
    blind: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any], astronaut: Path
) -> None:
    page = visit(blind, server.url, **look)
    page.page.locator("#model-field").wait_for()
    server.stop()
    page.page.set_input_files("#files", [astronaut, astronaut])
    page.wait_for("#banner", "The server does not answer. Next try in")
    page.wait_for("#banner-button", "Try now")
    page.check_accessible()
    server.start()
    page.page.locator("#banner").wait_for(state="hidden")
    assert all("ERR_" in text for text in page.complaints)
    page.complaints.clear()


def test_the_server_is_busy(
    blind: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any], astronaut: Path
) -> None:
    page = visit(blind, server.url, **look)
    body = '{"title": "Busy", "status": 503, "code": "busy", "detail": "all places are taken"}'
    headers = {"Retry-After": "1", "Content-Type": "application/problem+json"}
    page.page.route("**/v1/predict*", lambda route: route.fulfill(status=503, headers=headers, body=body))
    page.page.set_input_files("#files", [astronaut, astronaut])
    page.wait_for("#banner", "The server is busy")
    page.check_accessible()
    assert page.page.is_visible("#banner"), "still"
    assert all("503" in text for text in page.complaints)
    page.complaints.clear()


def test_the_key(blind: Any, locked: Any, visit: Callable[..., Any], look: dict[str, Any]) -> None:
    page = visit(blind, locked.url, **look)
    page.page.locator("#key-dialog[open]").wait_for()
    page.check_accessible()  # asked for
    page.page.fill("#key", "not-the-key-not-the-key")
    page.page.keyboard.press("Enter")
    page.wait_for("#key-wrong", "does not accept this key")
    page.check_accessible()  # and wrong
    page.page.keyboard.press("Escape")
    page.wait_for("#banner", "This server needs an API key.")
    assert page.page.is_visible("#banner-button")
    page.check_accessible()  # and not given
    assert all("401" in text for text in page.complaints)
    page.complaints.clear()


def test_something_is_dragged_over_the_page(
    blind: Any, server: Any, visit: Callable[..., Any], look: dict[str, Any]
) -> None:
    page = visit(blind, server.url, **look)
    page.page.evaluate(DRAGGED)
    assert page.page.is_visible("#drop-overlay")
    page.check_accessible()


def test_less_motion_where_it_is_wished(browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path) -> None:
    page = visit(browser, server.url, reduced_motion="reduce")
    page.add(astronaut)
    page.page.locator(".fill").first.wait_for(state="attached")
    moving = "[...document.querySelectorAll('*')].filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0)"
    assert page.page.evaluate(f"{moving}.length") == 0


def test_it_works_without_any_network_but_the_server(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path
) -> None:
    page = visit(browser, server.url)
    policy = page.page.request.get(server.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    markup = str(page.page.content())
    for outside in ("http://", "https://", "//cdn", " style=", " onclick="):
        assert outside not in markup.replace("http://www.w3.org/2000/svg", "")

"""What the page says and does when something is not as it should be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import mien

KEY = "a-key-of-the-tests-only"


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any], three_way: Path, brightness_bundle: Path) -> Any:
    return serve(
        "--model",
        three_way,
        "--model",
        f"bright={brightness_bundle}",
        "--max-body",
        1,
        "--max-pixels",
        0.5,
        "--allow-host",
        "mien.test",
    )


@pytest.fixture(scope="module")
def locked(serve: Callable[..., Any], brightness_bundle: Path) -> Any:
    return serve("--model", brightness_bundle, key=KEY)


@pytest.fixture(scope="module")
def browser(start_browser: Callable[..., Any]) -> Any:
    return start_browser("--deny-permission-prompts", "--host-resolver-rules=MAP mien.test 127.0.0.1")


def test_the_camera_is_refused(browser: Any, server: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, server.url)
    page.page.click("#webcam")
    page.wait_for("#alert", "The webcam was refused. Allow it for this page")
    assert page.page.get_attribute("#alert", "role") == "alert"
    assert page.page.is_visible("#choose")


def test_other_reasons_why_there_is_no_camera(browser: Any, server: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, server.url)
    reasons = {
        "NotFoundError": "No webcam was found",
        "NotReadableError": "Another program may be using it",
    }
    for name, words in reasons.items():
        page.page.evaluate(
            """(name) => {
              const refuse = () => Promise.reject(new DOMException("", name));
              const value = { getUserMedia: refuse };
              Object.defineProperty(navigator, "mediaDevices", { value, configurable: true });
            }""",
            name,
        )
        page.page.click("#webcam")
        page.wait_for("#alert", words)


def test_a_server_elsewhere_is_named_and_has_no_camera(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path
) -> None:
    page = visit(browser, server.url.replace("127.0.0.1", "mien.test"))
    page.wait_for("#where", "Images go to mien.test and are not stored there.")
    page.page.click("#webcam")
    page.wait_for("#alert", "only on pages from this machine or over HTTPS")
    page.add(astronaut)
    page.page.locator(".face .answer").wait_for()
    # Chromium itself notes that it trusts no plain HTTP from elsewhere with this header.
    assert all("Cross-Origin-Opener-Policy" in text for text in page.complaints)
    page.complaints.clear()


def test_too_large_is_said_before_it_is_sent(
    browser: Any, server: Any, visit: Callable[..., Any], tmp_path: Path
) -> None:
    page = visit(browser, server.url)
    path = tmp_path / "large.jpg"
    path.write_bytes(b"\xff\xd8" + bytes(3_000_000))
    page.add(path)
    page.wait_for("#faces-note", "too large for this server. It has 3.0 MB; the limit is 1.0 MB.")


def test_too_many_pixels_is_said_by_the_server(
    browser: Any, server: Any, visit: Callable[..., Any], tmp_path: Path
) -> None:
    page = visit(browser, server.url)
    path = tmp_path / "wide.png"
    Image.new("L", (1000, 1000)).save(path)
    page.add(path)
    page.page.locator("#faces-note").wait_for()
    assert "too many pixels for this server" in str(page.page.text_content("#faces-note"))
    assert all("413" in text for text in page.complaints)
    page.complaints.clear()


def test_a_busy_server_is_asked_again(browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path) -> None:
    page = visit(browser, server.url)
    turns = []

    def busy(route: Any) -> None:
        turns.append(route.request.url)
        if len(turns) > 2:
            route.continue_()
            return
        body = '{"title": "Busy", "status": 503, "code": "busy", "detail": "all places are taken"}'
        headers = {"Retry-After": "1", "Content-Type": "application/problem+json"}
        route.fulfill(status=503, headers=headers, body=body)

    page.page.route("**/v1/predict*", busy)
    page.page.set_input_files("#files", astronaut)
    page.wait_for("#banner", "The server is busy. Retrying automatically.")
    page.page.locator(".face .answer").wait_for()
    page.page.locator("#banner").wait_for(state="hidden")
    assert len(turns) == 3
    assert all("503" in text for text in page.complaints)
    page.complaints.clear()


def test_photos_wait_for_a_server_that_is_gone(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path
) -> None:
    page = visit(browser, server.url)
    page.page.locator("#model-field").wait_for()
    server.stop()
    page.page.set_input_files("#files", astronaut)
    page.wait_for("#banner", "The server does not answer.")
    page.wait_for("#banner-button", "Try now")
    server.start()
    page.page.dispatch_event("#banner-button", "click")  # it may be gone: the page tries by itself too
    page.page.locator(".face .answer").wait_for()
    page.page.locator("#banner").wait_for(state="hidden")
    assert all("ERR_" in text for text in page.complaints)
    page.complaints.clear()


def test_the_key_is_asked_for_once_and_kept_for_the_tab(
    browser: Any, locked: Any, visit: Callable[..., Any], astronaut: Path
) -> None:
    page = visit(browser, locked.url)
    page.page.locator("#key-dialog[open]").wait_for()
    page.page.fill("#key", "no-key-has-an-\u00fc-or-\u2013")  # which no header can hold: it must not be sent
    page.page.keyboard.press("Enter")
    page.wait_for("#key-wrong", "does not accept this key")
    assert page.page.evaluate("sessionStorage.length") == 0
    page.page.fill("#key", "not-the-key-not-the-key")
    page.page.keyboard.press("Enter")
    page.wait_for("#key-wrong", "does not accept this key")
    page.page.fill("#key", KEY)
    page.page.keyboard.press("Enter")
    page.page.locator("#key-dialog").wait_for(state="hidden")
    page.add(astronaut, astronaut)
    page.page.locator(".face .answer").wait_for()
    page.page.reload()
    page.add(astronaut)
    page.page.locator(".face .answer").wait_for()
    assert page.page.is_hidden("#key-dialog")
    stored = page.page.evaluate("[{ ...sessionStorage }, { ...localStorage }, document.cookie]")
    assert stored == [{"mien-key": KEY}, {}, ""]
    other = page.context.new_page()
    other.goto(locked.url)
    other.locator("#key-dialog[open]").wait_for()
    assert all(KEY not in url for url in page.requests)
    assert all("401" in text for text in page.complaints)
    page.complaints.clear()


def test_without_a_key_the_page_says_what_is_missing(browser: Any, locked: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, locked.url)
    page.page.locator("#key-dialog[open]").wait_for()
    page.page.keyboard.press("Escape")
    page.wait_for("#banner", "This server needs an API key.")
    page.page.click("#banner-button")
    page.page.fill("#key", KEY)
    page.page.keyboard.press("Enter")
    page.page.locator("#banner").wait_for(state="hidden")
    assert all("401" in text for text in page.complaints)
    page.complaints.clear()


def test_a_stream_needs_the_key_too(start_browser: Callable[..., Any], locked: Any, visit: Callable[..., Any]) -> None:
    page = visit(start_browser("--use-fake-ui-for-media-stream"), locked.url)
    page.page.fill("#key", KEY)
    page.page.keyboard.press("Enter")
    page.page.click("#webcam")
    page.wait_for("#stage-note", "No face in this frame")  # the fake camera shows a green disc


def test_another_model_reads_all_photos_again(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path, three_way: Path, brightness_bundle: Path
) -> None:
    page = visit(browser, server.url)
    page.add(astronaut)
    first = mien.load(three_way, threads=1).predict(astronaut)
    page.wait_for(".face .answer", first.answer)
    assert page.page.locator(".bars .name").count() == 7
    page.page.select_option("#model", "bright")
    second = mien.load(brightness_bundle, threads=1).predict(astronaut)
    page.wait_for(".face .probability", f"{second.probability:.0%}")
    page.wait_for(".face .answer", second.answer)

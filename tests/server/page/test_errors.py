"""What the page shows and does when something fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

import mien


def test_the_camera_is_refused(browser: Any, server: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, server.url)
    page.open_webcam()
    page.wait_for("#alert", "The webcam was refused. Allow it for this page")
    assert page.tab.get_attribute("#alert", "role") == "alert"
    assert page.tab.is_visible("#choose")


def test_other_reasons_for_no_camera(browser: Any, server: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, server.url)
    reasons = {
        "NotFoundError": "No webcam was found",
        "NotReadableError": "Another program may be using it",
    }
    for name, words in reasons.items():
        page.tab.evaluate(
            """(name) => {
              const refuse = () => Promise.reject(new DOMException("", name));
              const value = { getUserMedia: refuse };
              Object.defineProperty(navigator, "mediaDevices", { value, configurable: true });
            }""",
            name,
        )
        page.open_webcam()
        page.wait_for("#alert", words)


def test_a_server_elsewhere_is_named_and_has_no_camera(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path
) -> None:
    page = visit(browser, server.url.replace("127.0.0.1", "mien.test"))
    page.wait_for("#where", "Images go to mien.test and are not stored there.")
    page.tab.click("#webcam")
    page.wait_for("#alert", "only on pages from this machine or over HTTPS")
    page.add(astronaut)
    page.tab.locator(".face .answer").wait_for()
    # Chromium warns that it ignores this header over plain HTTP from another host.
    page.allow_errors("Cross-Origin-Opener-Policy")


def test_a_file_that_is_too_large_is_not_sent(
    browser: Any, server: Any, visit: Callable[..., Any], tmp_path: Path
) -> None:
    page = visit(browser, server.url)
    path = tmp_path / "large.jpg"
    path.write_bytes(b"\xff\xd8" + bytes(3_000_000))
    page.add(path)
    page.wait_for("#faces-note", "too large for this server. It has 3.0 MB; the limit is 1.0 MB.")


def test_the_server_refuses_too_many_pixels(
    browser: Any, server: Any, visit: Callable[..., Any], tmp_path: Path
) -> None:
    page = visit(browser, server.url)
    path = tmp_path / "wide.png"
    Image.new("L", (1000, 1000)).save(path)
    page.add(path)
    page.tab.locator("#faces-note").wait_for()
    assert "too many pixels for this server" in str(page.tab.text_content("#faces-note"))
    page.allow_errors("413")


def test_requests_are_repeated_if_the_server_is_busy(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path
) -> None:
    page = visit(browser, server.url)
    attempts, seen = list[str](), list[bool]()

    def busy(route: Any) -> None:
        attempts.append(route.request.url)
        if seen and len(attempts) > 2:
            route.continue_()
            return
        body = '{"title": "Busy", "status": 503, "code": "busy", "detail": "all places are taken"}'
        headers = {"Retry-After": "1", "Content-Type": "application/problem+json"}
        route.fulfill(status=503, headers=headers, body=body)

    page.tab.route("**/v1/predict*", busy)
    page.tab.set_input_files("#files", astronaut)
    page.wait_for("#banner", "The server is busy. Retrying automatically.")
    seen.append(True)
    page.tab.locator(".face .answer").wait_for()
    page.tab.locator("#banner").wait_for(state="hidden")
    assert len(attempts) > 2
    page.allow_errors("503")


def test_photos_wait_until_the_server_answers_again(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path
) -> None:
    page = visit(browser, server.url)
    page.tab.locator("#model-field").wait_for()
    server.stop()
    page.tab.set_input_files("#files", astronaut)
    page.wait_for("#banner", "The server does not answer.")
    page.wait_for("#banner-button", "Try now")
    server.start()
    page.tab.dispatch_event("#banner-button", "click")  # by event: the button hides if the page retries first
    page.tab.locator(".face .answer").wait_for()
    page.tab.locator("#banner").wait_for(state="hidden")
    page.allow_errors("503", "ERR_")


def test_the_key_is_asked_for_once_and_kept_for_the_tab(
    browser: Any, locked_server: Any, api_key: str, visit: Callable[..., Any], astronaut: Path
) -> None:
    page = visit(browser, locked_server.url)
    page.tab.locator("#key-dialog[open]").wait_for()
    page.tab.fill("#key", "no-key-has-an-\u00fc-or-\u2013")  # no header can hold it: it must not be sent
    page.tab.keyboard.press("Enter")
    page.wait_for("#key-wrong", "does not accept this key")
    assert page.tab.evaluate("sessionStorage.length") == 0
    page.tab.fill("#key", "not-the-key-not-the-key")
    page.tab.keyboard.press("Enter")
    page.wait_for("#key-wrong", "does not accept this key")
    page.tab.fill("#key", api_key)
    page.tab.keyboard.press("Enter")
    page.tab.locator("#key-dialog").wait_for(state="hidden")
    page.add(astronaut, astronaut)
    page.tab.locator(".face .answer").wait_for()
    page.tab.reload()
    page.add(astronaut)
    page.tab.locator(".face .answer").wait_for()
    assert page.tab.is_hidden("#key-dialog")
    stored = page.tab.evaluate("[{ ...sessionStorage }, { ...localStorage }, document.cookie]")
    assert stored == [{"mien-key": api_key}, {}, ""]
    other = page.context.new_page()
    other.goto(locked_server.url)
    other.locator("#key-dialog[open]").wait_for()
    assert all(api_key not in url for url in page.requests)
    page.allow_errors("401")


def test_without_a_key_the_page_asks_for_one(
    browser: Any, locked_server: Any, api_key: str, visit: Callable[..., Any]
) -> None:
    page = visit(browser, locked_server.url)
    page.tab.locator("#key-dialog[open]").wait_for()
    page.tab.keyboard.press("Escape")
    page.wait_for("#banner", "This server needs an API key.")
    page.tab.click("#banner-button")
    page.tab.fill("#key", api_key)
    page.tab.keyboard.press("Enter")
    page.tab.locator("#banner").wait_for(state="hidden")
    page.allow_errors("401")


def test_a_stream_needs_the_key_too(browser: Any, locked_server: Any, api_key: str, visit: Callable[..., Any]) -> None:
    page = visit(browser, locked_server.url, permissions=["camera"])
    page.tab.fill("#key", api_key)
    page.tab.keyboard.press("Enter")
    page.open_webcam()
    page.wait_for("#stage-note", "No face in this frame")  # Chromium's own fake webcam shows no face


def test_another_model_predicts_all_photos_again(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path, reader: Any, brightness_bundle: Path
) -> None:
    page = visit(browser, server.url)
    page.add(astronaut)
    first = reader.predict(astronaut)
    page.wait_for(".face .answer", first.answer)
    assert page.tab.locator(".bars .name").count() == 7
    page.tab.select_option("#model", "bright")
    second = mien.load(brightness_bundle, threads=1).predict(astronaut)
    page.wait_for(".face .probability", f"{second.probability:.0%}")
    page.wait_for(".face .answer", second.answer)

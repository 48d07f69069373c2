"""axe-core finds no violation in any state of the page, light and dark, wide and narrow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")

LOOKS = [("light", 1280), ("dark", 390)]
MORE_LOOKS = [("dark", 1280), ("light", 390)]


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


def check(page: Any) -> None:
    found = axe_api.Axe().run(page.page)
    assert not found.response["violations"], found.generate_report()
    wide = page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], "nothing sticks out at the side"


@pytest.mark.parametrize(
    ("scheme", "width"), [*LOOKS, *(pytest.param(*look, marks=pytest.mark.slow) for look in MORE_LOOKS)]
)
def test_every_state(
    browser: Any, server: Any, visit: Callable[..., Any], astronaut: Path, two_people: Any, tmp_path: Path,
    scheme: str, width: int,
) -> None:  # fmt: skip
    page = visit(browser, server.url, color_scheme=scheme, viewport={"width": width, "height": 800})
    page.page.locator("#model-field").wait_for()
    check(page)  # empty
    bad = tmp_path / f"{'x' * 200}.jpg"
    bad.write_bytes(b"not a picture")
    page.add(astronaut, bad, astronaut)
    page.page.locator(".face").wait_for()
    page.page.check("#heat-on")
    page.page.locator("#heat").wait_for()
    check(page)  # a result, with its heatmap
    page.page.click("#strip li:nth-child(2) button")
    page.page.locator("#faces-note").wait_for()
    check(page)  # a fault
    page.page.click("#webcam")
    page.page.locator(".lanes li").first.wait_for()
    page.page.evaluate("document.getElementById('banner').hidden = false")
    check(page)  # live, under a banner


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_question_for_the_key(browser: Any, locked: Any, visit: Callable[..., Any], scheme: str) -> None:
    page = visit(browser, locked.url, color_scheme=scheme)
    page.page.locator("#key-dialog[open]").wait_for()
    check(page)


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

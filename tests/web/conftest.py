"""Run the JavaScript library in a real browser, on a static host of this machine."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from chromium import start_browser, watch_tabs
from drawn import drawn_bundle
from page_tab import Visit
from PIL import Image
from static_site import StaticSite
from web_build import find_node, run_in_web
from web_library import Browser

from mien.inference.bundle import SHIPPED

__all__ = ["drawn_bundle", "start_browser"]  # fixtures


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, built from its source; beside it the page."""
    out = tmp_path_factory.mktemp("library") / "dist"
    run_in_web(find_node(), "build.mjs", "--out", str(out), "--page", str(out.with_name("page")))
    return out


@pytest.fixture(scope="session")
def page_folder(library: Path) -> Path:
    """The static page, built from its source; copy it before changing it."""
    return library.with_name("page")


@pytest.fixture(scope="session")
def site_folder(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site: a page, the library in `dist/`, the shipped models in `models/`; tests add files."""
    folder = tmp_path_factory.mktemp("site") / "site"
    shutil.copytree(Path(__file__).parent / "page", folder)
    (folder / "dist").symlink_to(library)
    (folder / "models").symlink_to(SHIPPED)
    Image.new("RGB", (16, 16), "white").save(folder / "icon.png")
    return folder


@pytest.fixture(scope="session")
def site(site_folder: Path) -> Iterator[StaticSite]:
    """A static host of that folder."""
    found = StaticSite(site_folder)
    yield found
    found.close()


@pytest.fixture
def start_host() -> Iterator[Callable[..., StaticSite]]:
    """Return a function that serves a folder until the end of the test, as `StaticSite` does."""
    with ExitStack() as stack:

        def start(folder: Path, **options: Any) -> StaticSite:
            return stack.enter_context(closing(StaticSite(folder, **options)))

        yield start


# The tabs close before the hosts: a service worker that still fetches files from a closed host logs an error.
@pytest.fixture
def open_tab(start_host: Callable[..., StaticSite]) -> Iterator[Callable[..., Browser]]:
    """Return a function that opens the page in a browser, as `watch_tabs` does."""
    yield from watch_tabs(Browser)


@pytest.fixture
def visit(start_host: Callable[..., StaticSite]) -> Iterator[Callable[..., Visit]]:
    """Return a function that opens the static page in a browser, as `watch_tabs` does."""
    yield from watch_tabs(Visit)


@pytest.fixture
def tab(start_browser: Callable[..., Any], open_tab: Callable[..., Browser], site: StaticSite) -> Browser:
    """The page in a browser tab."""
    return open_tab(start_browser(), site.url)


@pytest.fixture
def open_page(
    start_browser: Callable[..., Any], visit: Callable[..., Visit], start_host: Callable[..., StaticSite],
    page_folder: Path,
) -> Callable[..., Visit]:  # fmt: skip
    """Return a function that opens the page, or that of another folder, in a browser."""

    def start(folder: Path = page_folder, browser: Any = None, **options: Any) -> Visit:
        return visit(browser or start_browser("--deny-permission-prompts"), start_host(folder).url, **options)

    return start

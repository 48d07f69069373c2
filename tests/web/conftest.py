"""Run the JavaScript library in a real browser, on a static host of this machine."""

import shutil
from collections.abc import Callable, Iterator
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
def open_tab() -> Iterator[Callable[..., Browser]]:
    """Return a function that opens the page in a browser, as `watch_tabs` does."""
    yield from watch_tabs(Browser)


@pytest.fixture
def visit() -> Iterator[Callable[..., Visit]]:
    """Return a function that opens the static page in a browser, as `watch_tabs` does."""
    yield from watch_tabs(Visit)


@pytest.fixture
def tab(start_browser: Callable[..., Any], open_tab: Callable[..., Browser], site: StaticSite) -> Browser:
    """The page in a browser tab."""
    return open_tab(start_browser(), site.url)


@pytest.fixture
def open_page(
    start_browser: Callable[..., Any], visit: Callable[..., Visit], page_folder: Path
) -> Iterator[Callable[..., Visit]]:
    """Return a function that opens the page, or that of another folder, in a browser."""
    sites = []

    def start(folder: Path = page_folder, browser: Any = None, **options: Any) -> Visit:
        sites.append(StaticSite(folder))
        return visit(browser or start_browser("--deny-permission-prompts"), sites[-1].url, **options)

    yield start
    for site in sites:
        site.close()

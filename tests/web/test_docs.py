"""The page of docs/web.md works as it stands there."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import sync_api
from photographs import ASTRONAUT
from snippets import snippets
from static_site import StaticSite
from web_library import Browser

PAGE = Path(__file__).parents[2] / "docs" / "web.md"


@pytest.fixture
def folder(library: Path, tmp_path: Path) -> Path:
    """A site made of the blocks of the page."""
    (html,) = snippets(PAGE, "html")
    (script,) = snippets(PAGE, "js")
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(html.code.replace("<title>", '<link rel="icon" href="icon.png"><title>'), "utf-8")
    ASTRONAUT.resize((16, 16)).save(site / "icon.png")
    (site / "app.js").write_text(script.code, "utf-8")
    (site / "mien").symlink_to(library)
    return site


def test_the_ten_lines_answer(
    folder: Path, start_browser: Callable[..., Any], open_tab: Callable[..., Browser], tmp_path: Path
) -> None:
    assert len((folder / "app.js").read_text("utf-8").splitlines()) <= 10
    ASTRONAUT.save(tmp_path / "photo.png")
    site = StaticSite(folder)
    try:
        tab = open_tab(start_browser(), site.url)
        tab.tab.wait_for_load_state("networkidle")
        tab.tab.set_input_files("#photo", tmp_path / "photo.png")
        sync_api.expect(tab.tab.locator("#answer")).to_contain_text("happy 1.00", timeout=60_000)
    finally:
        site.close()


def test_the_size_in_the_docs_is_that_of_the_files(library: Path) -> None:
    names = ("mien.js", "worker.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm", "yunet_2023mar.onnx")
    files = [*(library / name for name in names), *(library / "models" / "mien-int8").glob("[cm]*.*")]
    total = sum(len(gzip.compress(path.read_bytes(), 6)) for path in files)
    assert len(files) == 7
    assert f"first load is {total / 1e6:.1f} MB compressed" in " ".join(PAGE.read_text("utf-8").split())
    assert total < 6_000_000

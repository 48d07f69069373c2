"""The page of docs/web.md works as it stands there."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import PATIENCE, sync_api
from photographs import ASTRONAUT
from snippets import snippets
from static_site import StaticSite
from web_library import Browser

PAGE = Path(__file__).parents[2] / "docs" / "web.md"


@pytest.fixture
def folder(page_folder: Path, tmp_path: Path) -> Path:
    """A site made of the blocks of the page, beside the library and the model of the static page."""
    (html,) = snippets(PAGE, "html")
    (script,) = snippets(PAGE, "js")
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(html.code.replace("<title>", '<link rel="icon" href="icon.png"><title>'), "utf-8")
    ASTRONAUT.resize((16, 16)).save(site / "icon.png")
    (site / "app.js").write_text(script.code, "utf-8")
    for name in ("mien", "models"):
        (site / name).symlink_to(page_folder / name)
    return site


def test_the_ten_lines_answer(
    folder: Path,
    start_browser: Callable[..., Any],
    open_tab: Callable[..., Browser],
    start_host: Callable[..., StaticSite],
    tmp_path: Path,
) -> None:
    assert len((folder / "app.js").read_text("utf-8").splitlines()) <= 10
    ASTRONAUT.save(tmp_path / "photo.png")
    site = start_host(folder)
    tab = open_tab(start_browser(), site.url)
    tab.tab.set_input_files("#photo", tmp_path / "photo.png")
    sync_api.expect(tab.tab.locator("#answer")).to_contain_text("happy 1.00", timeout=PATIENCE)


#: Files of each row of the table of sizes, by how their paths begin; the last has the others.
PARTS = {
    "onnxruntime-web": "mien/ort-", "the shipped 8-bit model": "models/", "the face detector": "mien/yunet",
    "the library and the page": "",
}  # fmt: skip


def test_the_sizes_in_the_docs_are_those_of_the_files(page_folder: Path) -> None:
    text = " ".join(PAGE.read_text("utf-8").split())
    files = [page_folder / name for name in json.loads((page_folder / "files.json").read_text("utf-8"))]
    packed = {path.relative_to(page_folder).as_posix(): len(gzip.compress(path.read_bytes(), 6)) for path in files}
    total = sum(packed.values())
    for part, beginning in PARTS.items():
        names = [name for name in packed if name.startswith(beginning)]
        plain = sum((page_folder / name).stat().st_size for name in names)
        assert f"| {part} | {sum(map(packed.pop, names)) / 1e6:.1f} | {plain / 1e6:.1f} |" in text
    assert f"The first load is {total / 1e6:.1f} MB compressed" in text
    assert total < 6_000_000

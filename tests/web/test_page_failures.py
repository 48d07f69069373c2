"""Whatever is wrong, the static page says one clear sentence and stays usable."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from page_tab import Visit

from mien.faces.yunet import WEIGHTS
from mien.inference.bundle import CONFIG_FILE, MODEL_FILE

REFUSED = "This page cannot read images here: "


@pytest.fixture
def use_model(page_folder: Path, tmp_path: Path) -> Callable[[Path], Path]:
    """Return a function that makes a bundle the only model of a copy of the page, and returns the folder."""

    def use(bundle: Path) -> Path:
        folder = tmp_path / "site"
        if not folder.exists():  # else the host would send half-written files, and the list of the page itself
            shutil.copytree(page_folder, folder)
        shutil.rmtree(folder / "models" / "own", ignore_errors=True)
        shutil.copytree(bundle, folder / "models" / "own")
        (folder / "models" / "models.json").write_text(json.dumps({"models": ["own"]}))
        return folder

    return use


def publish(folder: Path, clock: Iterator[int] = count(2_000_000_000, 10)) -> None:  # noqa: B008 - one clock for all
    """Make the models newer than they were at the last call: a host tells the browser so by whole seconds."""
    now = next(clock)
    for path in (folder / "models").rglob("*"):
        os.utime(path, (now, now))


def check_banner(page: Visit, *words: str) -> None:
    """Check the one sentence of the banner."""
    for each in (REFUSED, *words):
        page.wait_for("#banner-text", each)
    text = str(page.tab.text_content("#banner-text"))
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 400


def test_bundles_that_are_corrupt_or_foreign(
    open_page: Callable[..., Visit], use_model: Callable[[Path], Path], make_bundle: Callable[..., Path], photo: Path
) -> None:
    sound = make_bundle(framing="face")
    folder = use_model(sound)
    config = folder / "models" / "own" / CONFIG_FILE
    text = config.read_text("utf-8")
    config.write_text(text[: len(text) // 2])
    page = open_page(folder)
    check_banner(page, f"{REFUSED}models/own/config.json: is not valid JSON; give the folder of a bundle.")
    page.check_accessible()
    config.write_text('{"labels": ["happy", "sad"]}')
    publish(folder)
    page.tab.reload()
    check_banner(page, "config.json: was not written by mien; make a bundle with mien export.")
    config.write_text(text)
    model = folder / "models" / "own" / MODEL_FILE
    model.write_bytes(model.read_bytes()[:-9])
    publish(folder)
    page.tab.reload()
    check_banner(page, "models/own/model.onnx: sha256 is", "the file was changed or damaged, upload it again.")
    use_model(make_bundle(graph=WEIGHTS.read_bytes(), framing="face"))  # a face detector is an ONNX file, too
    publish(folder)
    page.tab.reload()
    check_banner(
        page,
        "the graph takes input",
        "and 10 more, the config says image N,16,16,3 and 2 labels; export the model again.",
    )
    (folder / "models" / "models.json").write_text("<!doctype html>")
    publish(folder)
    page.tab.click("#banner-button")
    check_banner(page, "models/models.json is damaged: upload it again.")
    use_model(sound)
    publish(folder)
    page.tab.click("#banner-button")
    page.tab.locator("#banner").wait_for(state="hidden")
    page.add(photo)
    page.tab.locator(".face").wait_for()


def test_a_camera_that_is_denied(open_page: Callable[..., Visit]) -> None:
    page = open_page()
    page.open_webcam()
    page.wait_for("#alert", "The webcam was refused. Allow it for this page (the icon beside the address)")
    page.check_accessible()


def test_a_browser_without_simd(open_page: Callable[..., Visit], start_browser: Callable[..., Any]) -> None:
    """V8 has no SIMD in WebAssembly without SSE 4.1."""
    page = open_page(browser=start_browser("--js-flags=--no-enable-sse4-1"))
    if page.tab.evaluate("navigator.userAgent.includes('aarch64')"):
        pytest.skip("SIMD cannot be switched off on this processor")
    assert page.tab.evaluate("typeof WebAssembly") == "object"
    check_banner(page, "this browser has no WebAssembly with SIMD", "use a current version of Chrome")
    assert page.tab.is_hidden("#banner-button"), "trying again cannot help"
    page.check_accessible()


def test_a_page_that_was_opened_as_a_file(
    start_browser: Callable[..., Any], visit: Callable[..., Visit], page_folder: Path
) -> None:
    page = visit(start_browser(), (page_folder / "index.html").as_uri())
    page.wait_for("#alert", "This page works from a web server, not as a file.")
    assert page.tab.is_hidden("#intake")
    page.allow_errors("blocked by CORS policy", "ERR_FAILED")
    page.requests = []  # files of this folder

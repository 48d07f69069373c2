"""Whatever is wrong, the page gets one clear sentence and a code for programs."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bundles import rewrite
from static_site import StaticSite
from web_library import Browser

from mien.inference.bundle import CONFIG_FILE, MODEL_FILE


@pytest.fixture
def bundle(site_folder: Path, make_bundle: Callable[..., Path]) -> Iterator[Path]:
    """A bundle beside the page, as `spoilt/`, for a test to spoil."""
    folder = site_folder / "spoilt"
    shutil.copytree(make_bundle(framing="face"), folder)
    yield folder
    shutil.rmtree(folder)


def check_refused(found: dict[str, Any], code: str, *words: str) -> None:
    assert found.get("code") == code, found
    text = found["message"]
    assert all(word in text for word in words), text
    assert "\n" not in text
    assert len(text) < 400
    assert not text.endswith(".")


def test_a_sound_bundle_is_read(tab: Browser, bundle: Path) -> None:
    """The others are refused for what was spoilt."""
    assert tab.load("spoilt/")["answers"] == ["happy", "sad"]


def test_weights_that_were_changed(tab: Browser, bundle: Path) -> None:
    path = bundle / MODEL_FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    check_refused(tab.load("spoilt/"), "wrong-hash", "model.onnx: sha256 is", "it should be", "upload it again")
    path.write_bytes(data[:-40])
    check_refused(tab.load("spoilt/"), "wrong-hash", "model.onnx: sha256 is")


def test_a_config_that_is_not_the_one_of_the_page(tab: Browser, bundle: Path) -> None:
    path = bundle / CONFIG_FILE
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert tab.load("spoilt/", sha256=digest)["answers"] == ["happy", "sad"]
    rewrite(bundle, temperature=2.0)
    assert tab.load("spoilt/")["answers"] == ["happy", "sad"]
    found = tab.load("spoilt/", sha256=digest)
    check_refused(found, "wrong-hash", "config.json: sha256 is", f"it should be {digest[:12]}", "upload it again")


def test_a_config_that_mien_did_not_write(tab: Browser, bundle: Path) -> None:
    for text in (
        '{"labels": ["a", "b"]}',
        "<!doctype html><title>404</title>",
        "[]",
        "null",
        '{"format": "mien-bundle"',
    ):
        (bundle / CONFIG_FILE).write_text(text)
        check_refused(tab.load("spoilt/"), "foreign-bundle", "spoilt/config.json", ";")


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"version": 7}, "foreign-bundle", "bundle version 7"),
        ({"temperature": 0}, "damaged-bundle", "temperature 0: between 0.01 and 100"),
        ({"sha256": None}, "damaged-bundle", "the field 'sha256' is missing"),
        ({"resize": "magic"}, "damaged-bundle", "resize 'magic'"),
        ({"labels": ["happy", "sad", "cat"]}, "damaged-bundle", "3 labels"),
        ({"size": 24}, "damaged-bundle", "the config says image N,24,24,3"),
        ({"maps": True}, "damaged-bundle", "gives logits"),
    ],
)
def test_fields_that_do_not_fit(tab: Browser, bundle: Path, changes: dict[str, Any], code: str, word: str) -> None:
    if "resize" in changes:  # not in the file yet, so `rewrite` would not know where it belongs
        raw = json.loads((bundle / CONFIG_FILE).read_text("utf-8"))
        (bundle / CONFIG_FILE).write_text(json.dumps({**raw, "input": {**raw["input"], **changes}}))
    else:
        rewrite(bundle, **changes)
    check_refused(tab.load("spoilt/"), code, word)


def test_a_graph_that_is_none(tab: Browser, site_folder: Path, make_bundle: Callable[..., Path]) -> None:
    folder = site_folder / "no-graph"
    shutil.copytree(make_bundle(graph=b"these are no weights"), folder)
    found = tab.load("no-graph/")
    tab.allow_errors("")  # onnxruntime says so on the console, in its words
    check_refused(found, "damaged-bundle", "the graph cannot be loaded", "export the model again")


def test_a_bundle_that_is_not_there(tab: Browser) -> None:
    found = tab.load("nowhere")
    tab.allow_errors("404")
    check_refused(found, "unreachable", "nowhere/config.json: the server answers 404")
    found = tab.load("http://127.0.0.1:9/")
    tab.allow_errors("Content Security Policy", "violates", "Refused", "Fetch API")
    check_refused(found, "unreachable", "cannot be fetched")
    check_refused(tab.load("http://["), "bad-option", "is not an address")
    tab.requests = [url for url in tab.requests if "127.0.0.1:9/" not in url]


def test_files_of_the_library_that_were_changed_or_lost(
    site_folder: Path, library: Path, start_browser: Callable[..., Any], open_tab: Callable[..., Browser],
    start_host: Callable[..., StaticSite], tmp_path: Path,
) -> None:  # fmt: skip
    shutil.copytree(site_folder, tmp_path / "site", symlinks=True)
    dist = tmp_path / "site" / "dist"
    dist.unlink()
    shutil.copytree(library, dist)
    (dist / "yunet_2023mar.onnx").write_bytes(b"another detector")
    site = start_host(tmp_path / "site")
    tab = open_tab(start_browser(), site.url)
    check_refused(tab.load("dist/models/mien-int8/"), "wrong-hash", "yunet_2023mar.onnx: sha256 is")
    assert tab.load("dist/models/mien-int8/", detect=False)["detect"] is False
    for lost, words in (
        ("ort-wasm-simd-threaded.wasm", "onnxruntime-web cannot be started"),
        ("worker.js", "worker.js: the worker has failed"),
    ):
        (dist / lost).unlink()
        tab = open_tab(start_browser(), site.url)  # nothing of it is in a cache
        found = tab.load("dist/models/mien-int8/", detect=False)
        tab.allow_errors("")  # the browser and onnxruntime say so on the console, in their words
        check_refused(found, "failed", words)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"faces": "few"}, "faces few: give all or largest"),
        ({"threads": 0}, "threads 0"),
        ({"sha256": "abc"}, "sha256 abc: give 64 hexadecimal digits"),
        ({"threshold": 1.5}, "threshold sad 1.5: give a number between 0 and 1"),
        ({"threshold": {"cat": 0.5}}, "threshold cat: this model has thresholds for happy and sad"),
    ],
)
def test_options_that_do_not_fit(tab: Browser, bundle: Path, options: dict[str, Any], word: str) -> None:
    check_refused(tab.load("spoilt/", **options), "bad-option", word)


def test_things_that_are_no_images(tab: Browser, bundle: Path) -> None:
    tab.load("spoilt/")
    for thing in ("a text", 5, None, {"width": 5}):
        check_refused(tab.run("(thing) => page.refused(thing)", thing), "bad-image", "this is no image: give a Blob")
    found = tab.run("() => page.refused(new OffscreenCanvas(0, 0))")
    check_refused(found, "bad-image", "the pixels of this canvas cannot be read")
    found = tab.run("() => page.refused(document.createElement('video'))")
    check_refused(found, "bad-image", "the pixels of this video cannot be read")
    found = tab.run("(url) => page.explain(url)", "icon.png")
    check_refused(found, "bad-option", "gives no class activation maps")
    found = tab.run("() => { page.reader.close(); return page.refused(new Blob(['x'])); }")
    check_refused(found, "closed", "the reader was closed; load the model again")


def test_a_browser_without_webassembly(
    start_browser: Callable[..., Any], open_tab: Callable[..., Browser], site: StaticSite
) -> None:
    """V8 has none without a compiler: `--jitless`."""
    tab = open_tab(start_browser("--js-flags=--jitless"), site.url)
    assert tab.run("() => typeof WebAssembly") == "undefined"
    found = tab.load("dist/models/mien-int8/")
    check_refused(
        found, "unsupported-browser", "this browser has no WebAssembly with SIMD", "current version of Chrome"
    )

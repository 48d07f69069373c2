"""The static page: the page of `mien serve` without a server, on a host that only serves files."""

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drawn import write_clip
from page_tab import Visit

import mien
from mien.inference.bundle import MODEL_FILE


def test_the_files_of_the_page_are_listed_with_their_sha256(page_folder: Path) -> None:
    listed = json.loads((page_folder / "files.json").read_text("utf-8"))
    paths = {path.relative_to(page_folder).as_posix(): path for path in page_folder.rglob("*") if path.is_file()}
    for_people = {name for name in paths if "LICENSE" in name or name.endswith(("CARD.md", "Notices-onnxruntime.txt"))}
    assert list(listed) == sorted(paths.keys() - for_people - {"files.json"})
    assert len(for_people) == 5
    assert listed == {name: hashlib.sha256(paths[name].read_bytes()).hexdigest() for name in listed}


def test_photos_are_answered_in_the_page(open_page: Callable[..., Visit], photo: Path, tmp_path: Path) -> None:
    page = open_page()
    text = tmp_path / "notes.jpg"
    text.write_text("no image")
    page.add(photo, text)
    page.tab.click(".thumb >> nth=0")
    page.wait_for("#faces-title", "1 face")
    page.wait_for(".face .answer", "happy")
    page.tab.check("#heat-on")
    page.wait_for("#heat-text", "Bright: evidence for each face's answer")
    page.tab.locator("#heat[src]").wait_for()
    assert page.tab.evaluate("document.getElementById('heat').decode().then(() => true)")
    page.check_accessible()
    with page.tab.expect_download() as waiting:
        page.tab.click("#csv")
    rows = list(csv.DictReader(Path(waiting.value.path()).read_text("utf-8-sig").splitlines()))
    wanted = mien.load("mien-int8", threads=1).predict(photo)
    assert [row["source"] for row in rows] == ["astronaut.png", "notes.jpg"]
    assert (rows[0]["answer"], rows[1]["status"]) == (wanted.answer, "unreadable")
    with page.tab.expect_download():
        page.tab.click("#png")
    page.tab.select_option("#scope", "whole")
    page.wait_for("#faces-title", "Whole image")
    page.tab.click(".thumb >> nth=1")
    page.wait_for("#faces-note-text", "This file is not an image that can be decoded.")
    assert not page.tab.locator("#key-dialog").count()
    assert "server" not in page.tab.locator("body").inner_text().lower()


def test_a_narrow_dark_page_is_accessible(open_page: Callable[..., Visit], photo: Path) -> None:
    page = open_page(color_scheme="dark", viewport={"width": 390, "height": 800})
    page.check_accessible()
    page.add(photo)
    page.wait_for(".face .answer", "happy")
    page.check_accessible()


def test_photos_by_keyboard_drop_and_paste(open_page: Callable[..., Visit], photo: Path) -> None:
    page = open_page(viewport={"width": 390, "height": 800})
    with page.tab.expect_file_chooser() as chooser:
        page.tab_to("choose")
        page.tab.keyboard.press("Enter")
    chooser.value.set_files([photo, photo])
    page.wait_for(".face .answer", "happy")
    page.tab_to("heat-on")
    page.tab.keyboard.press("Space")
    page.tab.locator("#heat[src]").wait_for()
    for key in ("png", "csv"):
        page.tab_to(key)
        with page.tab.expect_download():
            page.tab.keyboard.press("Enter")
    page.tab_to("clear")
    page.tab.keyboard.press("Enter")
    assert page.tab.evaluate("document.activeElement.id") == "choose"
    page.drop(photo)
    page.wait_for(".face .answer", "happy")
    page.paste(photo)
    page.wait_for("#title", "pasted 1.png")
    page.wait_for(".face .answer", "happy")


def test_the_webcam_is_answered_in_the_page(
    open_page: Callable[..., Visit], start_browser: Callable[..., Any], two_people: Any, tmp_path_factory: Any
) -> None:
    clip = tmp_path_factory.mktemp("clip") / "two.y4m"
    write_clip(clip, [two_people(0)] * 4, fps=2)
    browser = start_browser("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={clip}")
    page = open_page(browser=browser)
    page.open_webcam()
    page.tab.locator(".face >> nth=1").wait_for()
    page.tab.locator("#lanes li >> nth=1").wait_for()
    page.check_accessible()
    page.tab.click("#snapshot")
    page.wait_for("#faces-title", "2 faces")
    assert page.tab.is_hidden("#video")


def test_a_bundle_of_ones_own(
    open_page: Callable[..., Visit], page_folder: Path, drawn_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    shutil.copytree(page_folder, folder)
    shutil.copytree(drawn_bundle, folder / "models" / "drawn")
    (folder / "models" / "models.json").write_text(json.dumps({"default": "drawn", "models": ["drawn"]}))
    page = open_page(folder)
    page.wait_for("#whole-banner", "reads each image whole")
    page.add(photo)
    page.wait_for(".face .why", "read whole, though it is as large as a photograph")


def test_a_damaged_model_is_said_and_tried_again(
    open_page: Callable[..., Visit], page_folder: Path, photo: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(page_folder, folder)
    model = folder / "models" / "mien-int8" / MODEL_FILE
    whole = model.read_bytes()
    model.write_bytes(whole[:-1])
    page = open_page(folder)
    page.wait_for("#banner-text", "This page cannot read images here")
    page.wait_for("#banner-text", "model.onnx: sha256 is")
    page.check_accessible()
    model.write_bytes(whole)
    page.tab.click("#banner-button")
    page.tab.locator("#banner").wait_for(state="hidden")
    page.add(photo)
    page.wait_for(".face .answer", "happy")


def test_the_notice_before_the_camera_opens(
    open_page: Callable[..., Visit], page_folder: Path, tmp_path: Path, start_browser: Callable[..., Any]
) -> None:
    browser = start_browser("--use-fake-ui-for-media-stream")
    page = open_page(browser=browser)
    page.tab.click("#webcam")
    page.wait_for("#consent-text", "Tell everyone who may be seen.")
    page.check_accessible()
    folder = tmp_path / "own"
    shutil.copytree(page_folder, folder)
    (folder / "site.json").write_text('{"notice": "Who is here is read."}')
    page = open_page(folder, browser)
    page.tab.click("#webcam")
    page.wait_for("#consent-text", "Who is here is read.")
    (folder / "site.json").write_text('{"notice": null}')
    page.tab.reload()
    page.tab.click("#webcam")
    page.wait_for("#webcam", "Close the webcam")
    (folder / "site.json").write_text('{"notice": false}')
    page.tab.reload()
    page.wait_for("#banner-text", "site.json: notice must be a text, or null for none.")

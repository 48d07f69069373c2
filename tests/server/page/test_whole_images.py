"""A model of whole images: the page says so, counts no faces, and warns of photographs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import write_clip
from PIL import Image

from mien.data.synthetic.faces import draw_face


@pytest.fixture(scope="module")
def whole_server(start_page_server: Callable[..., Any], drawn_bundle: Path) -> Any:
    """A server of a model that reads drawn faces whole."""
    return start_page_server("--model", drawn_bundle)


def test_a_whole_image_is_no_face(browser: Any, whole_server: Any, visit: Any, astronaut: Path, tmp_path: Path) -> None:
    page = visit(browser, whole_server.url)
    page.wait_for("#whole-banner", "reads each image whole")
    assert not page.tab.is_visible("#scope-field")
    crop = tmp_path / "crop.png"
    Image.fromarray(draw_face("happy", 3, 96)).save(crop)
    page.add(crop)
    page.wait_for("#faces-title", "Whole image")
    page.wait_for(".face", "happy")
    assert not page.tab.is_visible(".face .number")
    assert not page.tab.is_visible(".face .why")
    page.add(astronaut)
    page.wait_for(".face .why", "read whole, though it is as large as a photograph")
    words = page.tab.locator("main").inner_text() + page.tab.locator("#photo").get_attribute("alt")
    assert "1 face" not in words
    assert "No faces" not in words
    page.check_accessible()
    with page.tab.expect_download() as waiting:
        page.tab.click("#csv")
    assert ",false," in Path(waiting.value.path()).read_text(encoding="utf-8")


def test_a_small_face_is_read_and_said(page: Any, astronaut: Path, tmp_path: Path) -> None:
    little = tmp_path / "little.png"
    Image.open(astronaut).resize((96, 96)).save(little)
    page.add(little)
    page.wait_for("#faces-title", "1 face")
    page.wait_for(".face .why", "the face has only")
    assert not page.tab.is_visible("#whole-banner")


def test_the_webcam_of_a_whole_model_has_no_persons(
    start_browser: Callable[..., Any], whole_server: Any, visit: Any, tmp_path: Path
) -> None:
    clip = tmp_path / "whole.y4m"
    write_clip(clip, [np.asarray(Image.fromarray(draw_face("sad", 5, 96)).resize((320, 240)))] * 4, fps=2)
    browser = start_browser("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={clip}")
    page = visit(browser, whole_server.url)
    page.open_webcam()
    page.wait_for(".lanes", "Whole image")
    page.wait_for("#faces-title", "Whole image")
    assert "Person" not in page.tab.locator("main").inner_text()

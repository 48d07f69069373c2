"""Several photos on the page, some of them unreadable: what is shown, explained and saved."""

import csv
import io
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image
from polling import wait_until


def upload(name: str, pixels: Any, kind: str = "PNG") -> dict[str, Any]:
    """Return a file for the file input."""
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(stream, kind)
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": stream.getvalue()}


def saved(page: Any, button: str) -> bytes:
    """Return the file that a button saves."""
    with page.tab.expect_download() as waiting:
        page.tab.click(button)
    return Path(waiting.value.path()).read_bytes()


@pytest.fixture
def mixed(astronaut: Path, two_people: Any) -> list[dict[str, Any]]:
    """One face; a truncated file; no face; a file that is not an image; two faces."""
    pixels = np.asarray(Image.open(astronaut))
    whole = upload("one.png", pixels)
    broken = whole | {"name": "broken.png", "buffer": whole["buffer"][:20_000]}
    nothing = {"name": "notes.png", "mimeType": "image/png", "buffer": b"not an image"}
    return [whole, broken, upload("sleeve.png", pixels[300:, :200]), nothing, upload("two.png", two_people(0))]


def test_an_unreadable_file_stops_none_of_the_others(page: Any, mixed: list[dict[str, Any]]) -> None:
    page.add(*mixed)
    page.wait_for("#announcer", "5 photos done, 2 with faces")
    thumbs = page.tab.locator("#strip .thumb")
    assert [thumbs.nth(n).get_attribute("data-state") for n in range(5)] == [
        "done", "failed", "failed", "failed", "done",
    ]  # fmt: skip
    shown = [
        (True, True, False, False),
        (False, False, True, False),
        (True, True, True, True),  # it offers to use the whole image
        (False, False, True, False),
        (True, True, False, False),
    ]
    for number, expected in enumerate(shown):
        thumbs.nth(number).click()
        page.wait_for("#title", mixed[number]["name"])
        page.tab.locator(f"#strip li:nth-child({number + 1}) [aria-current]").wait_for()
        page.wait_for("#faces-title", ("1 face", "No faces", "No faces", "No faces", "2 faces")[number])
        parts = ("#photo", "#png", "#faces-note", "#faces-note-button")
        for name, visible in zip(parts, expected, strict=True):  # once the image, which says the same, is decoded
            page.tab.locator(name).wait_for(state="visible" if visible else "hidden")
    thumbs.nth(1).click()
    page.wait_for("#faces-note", "This file is truncated or damaged")
    assert (thumbs.nth(1).text_content() or "").startswith("broken.png: is truncated or damaged: ")
    thumbs.nth(2).click()
    page.wait_for("#faces-note", "No face was found")


def test_the_csv_has_a_row_for_unreadable_files_too(page: Any, reader: Any, mixed: list[dict[str, Any]]) -> None:
    page.add(*mixed)
    rows = list(csv.DictReader(saved(page, "#csv").decode().splitlines()))
    assert [(row["source"], row["status"], bool(row["answer"])) for row in rows] == [
        ("one.png", "ok", True), ("broken.png", "unreadable", False), ("sleeve.png", "no_face", False),
        ("notes.png", "unreadable", False), ("two.png", "ok", True), ("two.png", "ok", True),
    ]  # fmt: skip
    assert "truncated" in rows[1]["reason"]
    expected = [face for file in (mixed[0], mixed[4]) for face in reader.predict(file["buffer"]).faces]
    found = [row for row in rows if row["status"] == "ok"]
    assert [int(row["x"]) for row in found] == [face.box.x for face in expected]
    assert [float(row["probability"]) for row in found] == pytest.approx(
        [face.probability for face in expected], abs=1e-4
    )


def test_a_removed_photo_is_not_saved(page: Any, mixed: list[dict[str, Any]]) -> None:
    page.add(*mixed)
    page.tab.locator("#strip .thumb").nth(1).click()
    page.wait_for("#title", "broken.png")
    page.tab.click("#remove")
    page.wait_for("#title", "sleeve.png")
    rows = list(csv.DictReader(saved(page, "#csv").decode().splitlines()))
    assert "broken.png" not in {row["source"] for row in rows}
    page.tab.click("#clear")
    page.add(mixed[4])
    page.wait_for("#faces-title", "2 faces")
    assert str(page.tab.get_attribute("#photo", "alt")).startswith("two.png: 2 faces: ")
    rows = list(csv.DictReader(saved(page, "#csv").decode().splitlines()))
    assert {row["source"] for row in rows} == {"two.png"}


def test_pasted_photos_are_numbered_and_named_files_keep_their_names(page: Any, astronaut: Path) -> None:
    paste = """([bytes, names]) => {
      const transfer = new DataTransfer();
      for (const name of names) transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
      document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
    }"""
    face = upload("", Image.open(astronaut).crop((120, 30, 320, 230)), "JPEG")
    data = list(face["buffer"])
    for names, title in ((["image.png"], "pasted 1.jpeg"), (["image.png"], "pasted 2.jpeg"), (["me.jpg"], "me.jpg")):
        page.tab.evaluate(paste, [data, names])
        page.wait_for("#title", title)
    page.tab.evaluate(paste, [data, ["a.jpg", "b.jpg"]])
    page.wait_for("#title", "a.jpg")
    page.tab.locator(".thumb[data-state=done]").nth(4).wait_for()
    assert [item["title"] for item in thumbs(page)] == ["pasted 1.jpeg", "pasted 2.jpeg", "me.jpg", "a.jpg", "b.jpg"]
    page.tab.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.setData("text/plain", "words");
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }"""
    )
    assert len(thumbs(page)) == 5, "text is not an image"


def thumbs(page: Any) -> Any:
    return page.tab.locator("#strip .thumb").evaluate_all("all => all.map(({ title }) => ({ title }))")


def test_heatmaps_show_the_chosen_faces_and_are_requested_once(page: Any, mixed: list[dict[str, Any]]) -> None:
    page.add(mixed[4])
    page.wait_for("#faces-title", "2 faces")
    page.tab.check("#heat-on")
    both = heated(page)
    assert both == (True, True)
    page.tab.uncheck("#heat-on")
    page.tab.locator("#heat").wait_for(state="hidden")
    page.tab.check("#heat-on")
    heated(page)
    assert len(explained(page)) == 1
    page.tab.select_option("#scope", "largest")
    page.wait_for("#faces-title", "1 face")
    assert sum(heated(page)) == 1
    assert [one.get("faces") for one in explained(page)] == [None, ["largest"]]


def test_a_heatmap_that_is_on_its_way_is_not_requested_again(page: Any, mixed: list[dict[str, Any]]) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.tab.route("**/v1/explain?*", hold)
    page.add(mixed[4])
    page.tab.check("#heat-on")
    wait_until(lambda: page.tab.evaluate("true") and len(held) > 0)
    page.tab.uncheck("#heat-on")
    page.tab.check("#heat-on")
    page.wait_for("#heat-text", "Working")
    assert page.tab.evaluate("document.getElementById('photo').decode().then(() => true)")
    for route in held:
        route.continue_()
    heated(page)
    assert len(explained(page)) == 1


def heated(page: Any) -> tuple[bool, bool]:
    """Return whether the heatmap is visible in the left and in the right half of the image."""
    page.tab.locator("#heat").wait_for()
    script = """async () => {
      const heat = document.getElementById("heat");
      await heat.decode();
      const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 36 });
      const context = canvas.getContext("2d");
      context.drawImage(heat, 0, 0, 64, 36);
      return [...context.getImageData(0, 0, 64, 36).data];
    }"""
    alpha = np.array(page.tab.evaluate(script)).reshape(36, 64, 4)[..., 3]
    return bool(alpha[:, :32].max() > 30), bool(alpha[:, 32:].max() > 30)


def explained(page: Any) -> list[dict[str, list[str]]]:
    """Return the parameters of all requests for heatmaps."""
    return [parse_qs(urlsplit(url).query) for url in page.requests if "/v1/explain" in url]


def test_a_saved_image_has_the_heatmap(page: Any, reader: Any, mixed: list[dict[str, Any]]) -> None:
    page.add(mixed[0])
    page.wait_for(".face .answer", "happy")
    without = pixels(saved(page, "#png"))
    page.tab.check("#heat-on")
    heated(page)
    with_heat = pixels(saved(page, "#png"))
    face = reader.predict(mixed[0]["buffer"]).face.box
    inside = np.s_[face.y + 30 : face.y + face.height - 30, face.x + 30 : face.x + face.width - 30]
    assert np.abs(with_heat - without)[inside].max() > 40
    assert np.abs(with_heat - without)[300:].max() == 0


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_format_that_the_browser_cannot_show_is_shown_as_the_server_reads_it(page: Any, astronaut: Path) -> None:
    page.add(upload("scan.tiff", Image.open(astronaut), "TIFF"))
    page.wait_for(".face .answer", "happy")
    page.tab.wait_for_selector("#photo", state="visible")
    assert page.tab.is_hidden("#stage-note")
    shown = pixels(saved(page, "#png"))
    assert np.abs(shown[300:] - pixels(astronaut.read_bytes())[300:]).max() == 0
    page.tab.check("#heat-on")
    page.tab.wait_for_selector("#heat", state="visible")


def test_without_the_server_copy_the_page_says_so(page: Any, astronaut: Path) -> None:
    page.tab.route(
        "**/v1/explain?*", lambda route: route.fulfill(status=400, content_type="application/json", body="{}")
    )
    page.add(upload("scan.tiff", Image.open(astronaut), "TIFF"))
    page.wait_for(".face .answer", "happy")
    page.wait_for("#stage-note", "This browser cannot show files of this kind")
    assert page.tab.is_hidden("#png")
    assert page.tab.is_hidden("#heat-field")
    page.allow_errors("400")

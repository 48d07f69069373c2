"""Photos on the page: predicted, drawn, explained and saved, by mouse and by keyboard."""

import base64
import csv
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heif_files import encode_heic
from PIL import Image
from polling import wait_until

from mien.io.cells import csv_line

ORANGE = np.array([230, 159, 0])  # the colour of happy


def drawn(page: Any) -> np.ndarray[Any, Any]:
    """Return what is drawn over the image, uint8 (H, W, 4), RGBA."""
    url = page.tab.evaluate("document.getElementById('boxes').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_a_dropped_photo_is_predicted_and_drawn(page: Any, reader: Any, astronaut: Path) -> None:
    page.drop(astronaut)
    page.wait_for(".face .answer", "happy")
    face = reader.predict(astronaut).face
    page.wait_for(".face .probability", f"{face.probability:.0%}")
    names = page.tab.locator(".bars .name").all_text_contents()
    assert names == list(face.expressions or ())
    values = page.tab.locator(".bars .value").all_text_contents()
    assert values == [f"{share:.0%}" for share in (face.expressions or {}).values()]
    assert page.tab.locator(".ends").text_content() == "happy 100%sad 0%"
    page.wait_for("#announcer", "astronaut.jpg: 1 face: happy 100%")
    assert page.tab.get_attribute("#photo", "alt") == "astronaut.jpg: 1 face: happy 100%"


def test_an_answer_may_come_while_the_image_is_still_decoded(page: Any, astronaut: Path) -> None:
    page.tab.evaluate(
        """() => {
          const decode = HTMLImageElement.prototype.decode;
          const answered = () => document.querySelector("#strip li button")?.dataset.state === "done";
          HTMLImageElement.prototype.decode = async function () {
            while (!answered()) await new Promise((done) => setTimeout(done, 5));
            return decode.call(this);
          };
        }"""
    )
    page.add(astronaut)
    page.wait_for(".face .answer", "happy")
    page.wait_for("#faces-title", "1 face")


def test_the_box_is_drawn_where_the_face_is(page: Any, reader: Any, astronaut: Path) -> None:
    page.add(astronaut)
    page.wait_for(".face .answer", "happy")
    overlay = drawn(page)
    scale = overlay.shape[1] / 512
    box = reader.predict(astronaut).face.box
    orange = (np.abs(overlay[..., :3].astype(int) - ORANGE).max(axis=2) < 12) & (overlay[..., 3] > 200)
    rows, columns = np.nonzero(orange)
    assert abs(columns.min() - box.x * scale) < 4
    assert abs(rows.max() - (box.y + box.height) * scale) < 4
    middle = overlay[round((box.y + 0.5 * box.height) * scale), round((box.x + 0.5 * box.width) * scale)]
    assert middle[3] == 0, "nothing is drawn over the face"


def test_a_pasted_photo(page: Any, astronaut: Path) -> None:
    page.paste(astronaut)
    page.wait_for(".face .answer", "happy")
    page.wait_for("#title", "pasted 1.png")


def test_a_photo_of_a_phone_whose_type_the_system_does_not_know(page: Any, reader: Any, astronaut: Path) -> None:
    """Chromium has no name for HEIC and does not show it: the server's copy is shown."""
    with Image.open(astronaut) as image:
        photo = encode_heic(image)
    page.tab.evaluate(
        """(bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "IMG_0001.HEIC"));
          transfer.items.add(new File(["words"], "notes.txt"));
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }""",
        list(photo),
    )
    page.wait_for(".face .answer", "happy")
    page.wait_for(".face .probability", f"{reader.predict(photo).face.probability:.0%}")
    page.wait_for("#title", "IMG_0001.HEIC")
    page.tab.wait_for_selector("#photo", state="visible")
    assert page.tab.evaluate("document.getElementById('photo').naturalWidth") == 512
    assert page.tab.is_hidden("#stage-note")
    assert page.tab.locator("#strip li").count() == 1
    pixel = """() => {
      // A copy: the browser warns of a canvas that is read more than once.
      const context = new OffscreenCanvas(120, 120).getContext("2d");
      context.drawImage(document.querySelector(".thumb canvas"), 0, 0);
      return context.getImageData(60, 60, 1, 1).data[3];
    }"""
    wait_until(lambda: page.tab.evaluate(pixel) == 255)
    assert (drawn(page)[..., 3] > 0).any(), "no box is drawn"
    assert ".heic" in (page.tab.get_attribute("#files", "accept") or "").split(",")


def test_a_link_is_not_a_file(page: Any) -> None:
    page.tab.evaluate(
        """() => {
          const transfer = new DataTransfer();
          transfer.setData("text/uri-list", "http://203.0.113.1/party.jpg");
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
        }"""
    )
    page.wait_for("#alert", "Links are not followed")


def named(data: bytes, name: str) -> dict[str, Any]:
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


def test_the_csv_has_every_face_and_no_formula(page: Any, reader: Any, astronaut: Path) -> None:
    names = ['=HYPERLINK("http://203.0.113.1","x").jpg', 'say "cheese", please.jpg', "<img src=x onerror=alert(1)>.jpg"]
    page.add(*(named(astronaut.read_bytes(), name) for name in names), named(b"not an image", "+bad.jpg"))
    assert page.tab.locator("#strip li").count() == 4
    with page.tab.expect_download() as waiting:
        page.tab.click("#csv")
    assert waiting.value.suggested_filename == "photos-mien.csv"
    rows = list(csv.DictReader(Path(waiting.value.path()).read_text(encoding="utf-8").splitlines()))
    assert [row["source"] for row in rows] == ["'" + names[0], *names[1:], "'+bad.jpg"]
    assert [row["status"] for row in rows] == ["ok", "ok", "ok", "unreadable"]
    face = reader.predict(astronaut).face
    for row in rows[:3]:
        assert [int(row[key]) for key in ("x", "y", "width", "height")] == list(face.box.to_dict().values())
        assert row["answer"] == "happy"
        assert float(row["p_happy"]) == pytest.approx(face.probabilities["happy"], abs=2e-6)
        assert float(row["p_surprise"]) == pytest.approx((face.expressions or {})["surprise"], abs=2e-6)
    assert rows[3]["reason"]
    assert not page.tab.locator("img[src=x]").count(), "a name is never markup"


def test_the_columns_are_those_of_the_command(
    page: Any, astronaut: Path, tmp_path: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    page.add(astronaut)
    with page.tab.expect_download() as waiting:
        page.tab.click("#csv")
    _, out, _ = call("predict", astronaut, "--csv", "-")
    assert Path(waiting.value.path()).read_text().splitlines()[0] == out.splitlines()[0]


def test_the_png_shows_image_and_answers(page: Any, reader: Any, astronaut: Path) -> None:
    page.add(astronaut)
    page.wait_for(".face .answer", "happy")
    with page.tab.expect_download() as waiting:
        page.tab.click("#png")
    assert waiting.value.suggested_filename == "astronaut-mien.png"
    copy = np.asarray(Image.open(waiting.value.path()).convert("RGB")).astype(int)
    original = np.asarray(Image.open(astronaut)).astype(int)
    assert copy.shape == original.shape
    assert np.abs(copy[300:] - original[300:]).max() < 4, "untouched where no face is"
    box = reader.predict(astronaut).face.box
    edge = copy[box.y + 30 : box.y + 80, box.x - 1 : box.x + 2]
    assert np.abs(edge - ORANGE).max(axis=2).min(axis=1).max() < 12, "an orange line on the left edge of the box"


def test_the_heatmap_covers_the_face(page: Any, astronaut: Path) -> None:
    page.add(astronaut)
    assert not page.tab.is_visible("#heat")
    page.tab.check("#heat-on")
    page.wait_for("#heat-text", "each face's answer")
    page.tab.locator("#heat").wait_for()
    url = page.tab.get_attribute("#heat", "src")
    page.tab.select_option("#heat-label", "sad")
    page.wait_for("#heat-text", "“sad”")
    assert page.tab.get_attribute("#heat", "src") != url
    page.tab.uncheck("#heat-on")
    page.tab.locator("#heat").wait_for(state="hidden")


def test_a_photo_without_a_face_can_be_answered_whole(page: Any, tmp_path: Path, astronaut: Path) -> None:
    path = tmp_path / "sleeve.png"
    Image.open(astronaut).crop((0, 300, 200, 512)).save(path)
    page.add(path)
    page.wait_for("#faces-note", "No face was found")
    page.tab.click("#faces-note-button")
    page.tab.locator(".face").wait_for()
    assert page.tab.input_value("#scope") == "whole"
    assert page.tab.is_hidden("#faces-note")


def test_a_file_that_is_not_an_image_is_named(page: Any) -> None:
    page.add(named(b"not an image", "notes.jpg"))
    page.wait_for("#faces-note", "is text, not an image")
    assert page.tab.is_hidden("#png")


def test_several_faces_are_numbered_and_highlighted(page: Any, tmp_path: Path, two_people: Any) -> None:
    path = tmp_path / "two.png"
    Image.fromarray(two_people(0)).save(path)
    page.add(path)
    page.wait_for("#faces-title", "2 faces")
    before = drawn(page)
    page.tab.focus(".face:nth-child(2) summary")
    after = drawn(page)
    assert after[..., 3].sum() < before[..., 3].sum(), "the other one is faint"


def test_everything_by_keyboard(page: Any, astronaut: Path) -> None:
    keys = page.tab.keyboard
    focused = []
    with page.tab.expect_file_chooser() as chooser:
        for _ in range(6):
            keys.press("Tab")
            focused.append(page.tab.evaluate("document.activeElement.id"))
            if focused[-1] == "choose":
                keys.press("Enter")
                break
    assert focused[-1] == "choose"
    chooser.value.set_files([astronaut, astronaut])
    page.wait_for(".face .answer", "happy")
    page.tab.locator("#strip [aria-current]").wait_for()
    page.tab.focus(".skip")
    keys.press("Enter")
    page.tab.locator("#result:focus").wait_for()
    page.tab.focus("#strip li:first-child button")
    keys.press("ArrowRight")
    assert page.tab.get_attribute("#strip li:nth-child(2) button", "aria-current") == "true"
    page.wait_for(".face .answer", "happy")  # wait: a photo in progress has no heatmap
    page.tab.focus("#heat-on")
    keys.press("Space")
    page.tab.locator("#heat").wait_for()
    page.tab.focus("#remove")
    keys.press("Enter")
    assert page.tab.locator("#strip li").count() == 1
    page.tab.focus("#clear")
    keys.press("Enter")
    assert page.tab.evaluate("document.activeElement.id") == "choose"
    assert page.tab.is_hidden("#result")


CELLS: list[tuple[object, str]] = [
    ("=1+1", "'=1+1"), (" =1", "' =1"), ("\t=1", '"\'\t=1"'), ("@x", "'@x"), ("-1", "'-1"), ("+1", "'+1"),
    ('a"b', '"a""b"'), ("a,b", '"a,b"'), ("a\nb", '"a\nb"'), ("\r=1", "\\u000d=1"), ("＝1", "'＝1"),
    (-0.5, "-0.5"), (None, ""),
    ("plain", "plain"), ("a=b", "a=b"), ("a\x1b[2J\u202eb", "a\\u001b[2J\\u202eb"), ("\\u001b", "\\u005cu001b"),
    ("😀👩\u200d🚀", "😀👩\u200d🚀"), ("'=1", "''=1"), ("a;b", '"a;b"'), (" a ", '" a "'),
]  # fmt: skip


def test_cells(page: Any) -> None:
    script = "async (values) => { const { cell } = await import('/page/csv.js'); return values.map(cell); }"
    expected = [cell for _, cell in CELLS]
    assert page.tab.evaluate(script, [value for value, _ in CELLS]) == expected
    assert [csv_line([value]).removesuffix("\n") for value, _ in CELLS] == expected, "as the command writes them"
    pieces = [*"=+-@'\\u \t\n\",;|05bc\x1b\x9b\u202e\u2066\u2028\u00a0\ufeff＝é喜😀", "\\u001b", "\\u005c", "\\udce9"]
    chosen = random.Random(0)
    texts = ["".join(chosen.choices(pieces, k=chosen.randrange(8))) for _ in range(1000)]
    assert page.tab.evaluate(script, texts) == [csv_line([text]).removesuffix("\n") for text in texts]


def test_rows_of_a_webcam_come_back_whole_from_a_fiftieth_of_their_size(page: Any) -> None:
    script = """async (count) => {
      const { KeptRows } = await import('/page/kept-rows.js');
      const kept = new KeptRows();
      const row = (n) => ({ frame: n, faces: [{ box: { x: n / 7, y: null }, answer: "é" }], note: "same".repeat(99) });
      for (let n = 0; n < count; n += 1) kept.add(row(n));
      const late = kept.all();
      kept.add(row(count));
      const rows = await late;
      const same = rows.every((one) => JSON.stringify(one) === JSON.stringify(row(one.frame)));
      const packed = (await Promise.all(kept.packed)).reduce((sum, block) => sum + block.byteLength, 0);
      return { frames: rows.map((one) => one.frame), same, ratio: packed / JSON.stringify(rows).length };
    }"""
    for count, oldest in ((0, 0), (3, 0), (1000, 0), (36_499, 0), (36_500, 500), (37_001, 1000)):
        found = page.tab.evaluate(script, count)
        assert found["frames"] == list(range(oldest, count)), "those added before the question, in order"
        assert found["same"]
        if count >= 1000:
            assert found["ratio"] < 1 / 50


def test_packed_rows_of_a_webcam_are_freed(page: Any) -> None:
    script = """async (count) => {
      const { KeptRows } = await import('/page/kept-rows.js');
      globalThis.kept = new KeptRows();
      globalThis.added = [];
      for (let n = 0; n < count; n += 1) {
        const row = { frame: n, faces: [{ box: { x: n / 7 } }] };
        added.push(new WeakRef(row));
        kept.add(row);
      }
      await Promise.all(kept.packed);
    }"""
    page.tab.evaluate(script, 5 * 500 + 100)
    devtools = page.tab.context.new_cdp_session(page.tab)
    devtools.send("HeapProfiler.collectGarbage")
    held = page.tab.evaluate("added.filter((row) => row.deref()).length")
    assert 100 <= held < 500, "those of the block that is not full yet, not all 2600"
    assert page.tab.evaluate("kept.all().then((rows) => rows.length)") == 2600


def test_labels_stay_inside_and_never_overlap(page: Any) -> None:
    rng = np.random.default_rng(0)
    for count in (1, 3, 12, 40):
        boxes = [
            {"x": float(x), "y": float(y), "width": float(side), "height": float(side)}
            for x, y, side in zip(rng.uniform(-5, 380, count), rng.uniform(-5, 280, count), rng.uniform(8, 120, count),
                                  strict=True)
        ]  # fmt: skip
        sizes = [[{"width": 110, "height": 24}, {"width": 22, "height": 24}]] * count
        script = "async ([b, s]) => (await import('/page/placement.js')).placeLabels(b, s, 400, 300)"
        places = page.tab.evaluate(script, [boxes, sizes])
        assert len(places) == count
        found = [place for place in places if place]
        assert found
        for place in found:
            assert place["x"] >= 0
            assert place["y"] >= 0
            assert place["x"] + place["width"] <= 400
            assert place["y"] + place["height"] <= 300
        for number, one in enumerate(found):
            for other in found[:number]:
                gaps = [
                    max(one[at] - other[at] - other[side], other[at] - one[at] - one[side])
                    for at, side in (("x", "width"), ("y", "height"))
                ]
                assert max(gaps) >= -1e-9

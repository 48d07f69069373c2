"""The contact sheet shows copies beside their originals."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mien.arrays import UInt8
from mien.data import contact_sheet as module
from mien.data.audit import audit, with_findings
from mien.data.contact_sheet import contact_sheet
from mien.data.dataset import read_manifest
from mien.data.issues import Finding
from mien.data.look import Look
from mien.results import Box
from mien.viz.mosaic import mosaic

Drawn = dict[str, list[str]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """The headings of the sheet that is drawn, each with the captions below its thumbnails."""
    found: Drawn = {}
    draw: Callable[..., Image.Image] = mosaic

    def record(rows: Mapping[str, Sequence[UInt8]], *arguments: object, captions: Drawn) -> Image.Image:
        assert {heading: len(images) for heading, images in rows.items()} == {
            heading: len(texts) for heading, texts in captions.items()
        }
        found.update(captions)
        return draw(rows, *arguments, captions=captions)

    monkeypatch.setattr(module, "mosaic", record)
    return found


@pytest.fixture
def data(faces: Path, tmp_path: Path) -> Path:
    return shutil.copytree(faces, tmp_path / "d")


def test_copies_stand_beside_their_originals(data: Path, drawn: Drawn) -> None:
    happy = data / "happy"
    one, two = sorted(happy.iterdir())[:2]
    shutil.copy(one, happy / "z copy.jpg")
    shutil.copy(one, happy / "z another copy.jpg")
    with Image.open(two) as image:
        image.resize((image.width // 2, image.height // 2)).save(happy / "0 small.png")
    contact_sheet(audit(read_manifest(data)))
    assert drawn["exact duplicate, in happy: 2, beside their originals (*)"] == [
        f"* {one.name}",
        "z another copy.jpg",
        "z copy.jpg",
    ]
    assert drawn["near duplicate, in happy: 1, beside their originals (*)"] == [f"* {two.name}", "0 small.png"]


def test_of_a_doubtful_label_the_face_is_shown_not_the_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("happy", "sad"):
        (tmp_path / label).mkdir()
        photo = Image.new("RGB", (1000, 600), "white")
        photo.paste("black", (900, 500, 940, 540))
        photo.save(tmp_path / label / f"{label}.png")
    rows: dict[str, list[UInt8]] = {}
    monkeypatch.setattr(module, "mosaic", lambda found, *_, **__: rows.update(found))
    known = replace(audit(read_manifest(tmp_path)), looks={"sad/sad.png": Look((Box(900, 500, 40, 40),))})
    contact_sheet(with_findings(known, [Finding("sad/sad.png", "label-issue", "looks happy (0.90)")]))
    (shown,) = rows["label probably wrong, in sad: 1"]
    assert shown.shape[:2] == (80, 80) and (shown == 0).mean() == 0.25  # the face, half of the side, in the middle
    (whole,) = rows["same image under two labels: 2"][1:]
    assert whole.shape[:2] == (67, 112)


def test_an_image_under_two_labels_is_shown_twice_in_one_row(data: Path, drawn: Drawn) -> None:
    one = min((data / "happy").iterdir())
    shutil.copy(one, data / "sad" / "a.jpg")
    contact_sheet(audit(read_manifest(data)))
    assert drawn["same image under two labels: 2"] == [f"happy: …{one.name[-12:]}", "sad: a.jpg"]


def test_the_leaked_copy_stands_after_the_one_that_is_kept(data: Path, drawn: Drawn) -> None:
    for part in ("train", "validation"):
        shutil.copytree(data, data / part, ignore=shutil.ignore_patterns("train", "validation"))
    for label in ("happy", "sad"):
        shutil.rmtree(data / label)
        for file in sorted((data / "train" / label).iterdir())[1:]:
            file.rename(file.with_name(f"t-{file.name}"))
        for file in sorted((data / "validation" / label).iterdir())[1:]:
            file.write_bytes(b"")
    contact_sheet(audit(read_manifest(data)))
    leaks = [texts for heading, texts in drawn.items() if heading.startswith("same image in train and held-out part")]
    assert len(leaks) == 2
    assert all(texts[0] == f"* {texts[1]}" for texts in leaks)


def test_headings_ask_no_questions_and_count_what_is_left(
    data: Path, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    known = audit(read_manifest(data))
    names = [sample.name for sample in known.manifest.samples if sample.label == "sad"][:2]
    contact_sheet(with_findings(known, [Finding(name, "not-a-photograph", "flat colours") for name in names]))
    assert drawn["drawing, emoji or statue, in sad: 2 (the worst 1)"] == [Path(names[0]).name]

"""Photos are told from crops of faces and from images of other things, by a sample that only the names decide."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.dataset import read_manifest
from mien.data.detection import DetectionChoice, choose_detection, choose_sample
from mien.data.synthetic.faces import draw_face

Draw = Callable[[str, int], Image.Image]


def scene(label: str, seed: int, side: int = 96) -> Image.Image:
    """A drawn face somewhere in a picture of 400 by 300 pixels."""
    picture = thing(label, seed)
    rng = np.random.default_rng(seed)
    where = int(rng.integers(0, 400 - side)), int(rng.integers(0, 300 - side))
    picture.paste(Image.fromarray(draw_face(label, seed, size=side)), where)
    return picture


def thing(label: str, seed: int) -> Image.Image:
    """Blotches, 400 by 300 pixels."""
    blotches = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    return Image.fromarray(blotches).resize((400, 300))


def cropped(label: str, seed: int) -> Image.Image:
    return Image.fromarray(draw_face(label, seed, size=64))


def dataset(folder: Path, draw: dict[str, Draw], count: int = 8) -> Path:
    """Write `count` images of each class, `happy` and `sad`, drawn by the functions in turn."""
    functions = list(draw.values())
    for label in ("happy", "sad"):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            functions[number % len(functions)](label, number).save(folder / label / f"{label}{number}.png")
    return folder


def choose(folder: Path) -> DetectionChoice:
    return choose_detection(read_manifest(folder))


@pytest.mark.parametrize(
    ("draw", "kind"),
    [
        ({"scene": scene}, "photos"),
        ({"crop": cropped}, "crops"),
        ({"thing": thing}, "other"),
        ({"scene": scene, "thing": thing}, "photos"),
        ({"scene": scene, "crop": cropped}, "photos"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value,
)
def test_the_kind_of_a_dataset(tmp_path: Path, draw: dict[str, Draw], kind: str) -> None:
    found = choose(dataset(tmp_path / "data", draw))
    assert found.kind == kind
    assert found.detect == (kind == "photos")
    assert found.sampled == 16


def test_a_larger_crop_is_a_photo_if_the_face_is_loosely_framed(tmp_path: Path) -> None:
    """The face fills about 0.4 of the picture: the network should see it larger."""
    found = choose(dataset(tmp_path / "data", {"loose": lambda label, seed: scene(label, seed, side=220)}))
    assert found.kind == "photos"


def test_classes_that_differ_in_whether_they_show_people_are_used_whole(tmp_path: Path) -> None:
    """Cropping would leave one class without images."""
    folder = tmp_path / "data"
    for label, draw in (("people", scene), ("streets", thing)):
        (folder / label).mkdir(parents=True)
        for number in range(8):
            draw("happy", number).save(folder / label / f"{number}.png")
    assert choose(folder).kind == "other"


def test_unreadable_files_do_not_count(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "data", {"scene": scene})
    for number in range(0, 8, 2):
        (folder / "sad" / f"sad{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    found = choose(folder)
    assert (found.kind, found.sampled) == ("photos", 12)


def test_nothing_readable_is_used_whole(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "data", {"scene": scene}, count=2)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no image")
    found = choose(folder)
    assert found == DetectionChoice(False, "other")
    assert "none of the sample could be read" in found.sentence


def test_the_callers_choice_opens_no_image(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "data", {"scene": scene}, count=2)
    manifest = read_manifest(folder)
    for path in folder.rglob("*.png"):
        path.unlink()
    assert choose_detection(manifest, False) == DetectionChoice(False)
    assert choose_detection(manifest, True) == DetectionChoice(True)


def test_the_sample_is_balanced_and_decided_by_the_names(tmp_path: Path) -> None:
    for label, count in (("happy", 40), ("sad", 5)):
        (tmp_path / label).mkdir()
        for number in range(count):
            (tmp_path / label / f"{label}{number}.png").touch()
    manifest = read_manifest(tmp_path)
    sample = choose_sample(manifest, 8)
    assert sorted(one.label for one in sample) == ["happy"] * 4 + ["sad"] * 4
    assert [one.label for one in choose_sample(manifest, 20)].count("sad") == 5
    shuffled = list(manifest.samples)
    random.Random(0).shuffle(shuffled)
    assert choose_sample(type(manifest)(**{**vars(manifest), "samples": tuple(shuffled)}), 8) == sample
    often = (*manifest.samples, *[one for one in manifest.samples if one in sample] * 9)
    assert choose_sample(type(manifest)(**{**vars(manifest), "samples": often}), 8) == sample, "rows are no images"


@pytest.mark.parametrize("choice", [DetectionChoice(True, "photos", 64, 61), DetectionChoice(False)], ids=str)
def test_a_choice_is_stored_and_read_again(choice: DetectionChoice) -> None:
    assert DetectionChoice.from_dict(choice.to_dict()) == choice


@pytest.mark.parametrize(
    "choice",
    [
        DetectionChoice(True, "photos", 64, 61), DetectionChoice(False, "crops", 64, 60, 58),
        DetectionChoice(False, "other", 64), DetectionChoice(True), DetectionChoice(False),
    ],
    ids=lambda choice: str(choice.kind),
)  # fmt: skip
def test_the_sentence_names_the_flag_and_only_people_are_said_to_have_faces(choice: DetectionChoice) -> None:
    assert "`detect=" in choice.sentence
    assert ("face" in choice.sentence) == (choice.kind in ("photos", "crops") or choice.detect)

"""Heatmaps of images: what they show, where they lie, and and what is said if there is none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image

import mien
from mien.errors import ConfigError, ImageError
from mien.explanation.explainer import (
    MAX_EXPLAINED_FACES,
    MAX_SLOW_FACES,
    default_method,
    explain_crops,
    explain_image,
    explain_labels,
    label_to_explain,
)
from mien.faces.crop import crop, face_region
from mien.results import Box, Detection

MakeBundle = Callable[..., Path]
Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    return np.asarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def colourful(make_bundle: MakeBundle) -> mien.Reader:
    """Two labels, a bundle with maps that looks at colours, pixel by pixel."""
    return mien.load(make_bundle(maps=True), threads=1)


@pytest.fixture(scope="module")
def finding(make_bundle: MakeBundle) -> mien.Reader:
    return mien.load(make_bundle(maps=True, framing="face"), threads=1)


@pytest.fixture(scope="module")
def mapless(make_bundle: MakeBundle) -> mien.Reader:
    return mien.load(make_bundle(), threads=1)


def half_and_half(reader: mien.Reader) -> tuple[Pixels, str]:
    """An image whose left half alone is evidence for a label, and that label."""
    strips = np.array([[[255, 0, 0]], [[0, 255, 0]], [[0, 0, 255]]], np.uint8)
    logits = reader.logits(np.stack([np.broadcast_to(colour, (16, 16, 3)) for colour in strips]))
    margin = logits[:, 0] - logits[:, 1]
    image = np.empty((40, 80, 3), np.uint8)
    image[:, :40], image[:, 40:] = strips[margin.argmax()], strips[margin.argmin()]
    return image, reader.config.labels[0]


@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_the_heat_lies_on_the_side_with_evidence_for_the_label(colourful: mien.Reader, method: Any) -> None:
    image, label = half_and_half(colourful)
    found = explain_image(colourful, image, label, method)
    heat = found.faces[0].heat
    assert heat[:, :6].mean() > 10 * heat[:, 10:].mean()
    assert (found.faces[0].label, found.faces[0].method) == (label, method)
    other = explain_image(colourful, image, colourful.config.labels[1], method).faces[0].heat
    assert other[:, 10:].mean() > 10 * other[:, :6].mean()


def test_the_mean_of_the_maps_is_the_logits(colourful: mien.Reader) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    np.testing.assert_allclose(colourful.maps(crops, 2).mean(axis=(1, 2)), colourful.logits(crops), atol=1e-4)
    assert colourful.maps(crops[:0]).shape == (0, 16, 16, 2)


def test_without_a_label_each_face_is_explained_for_its_answer(colourful: mien.Reader) -> None:
    image, _ = half_and_half(colourful)
    for part in (image[:, :40], image[:, 40:]):
        found = explain_image(colourful, part)
        assert found.faces[0].label == found.result.answer


def test_a_face_answered_neither_is_explained_for_its_most_probable_label(three_way: Path, astronaut: Pixels) -> None:
    reader = mien.load(three_way, threads=1)
    rng = np.random.default_rng(0)
    faces = [reader.predict(rng.integers(0, 256, (48, 48, 3), np.uint8)).face for _ in range(60)]
    neither = next(face for face in faces if face.answer == "neither")
    assert neither.expressions is not None
    assert label_to_explain(reader, neither) == max(neither.expressions, key=neither.expressions.__getitem__)
    sad = next(face for face in faces if face.answer != "neither")
    assert label_to_explain(reader, sad) == sad.answer


def test_a_whole_image_is_explained_to_its_corners(colourful: mien.Reader) -> None:
    found = explain_image(colourful, np.zeros((30, 50, 3), np.uint8))
    np.testing.assert_array_equal(found.faces[0].corners, [[0, 0], [50, 0], [50, 30], [0, 30]])
    assert found.image.shape == (30, 50, 3)
    assert found.faces[0].crop.shape == (16, 16, 3) and found.faces[0].heat.shape == (16, 16)


def turned(image: Pixels, degrees: float) -> Pixels:
    return np.asarray(Image.fromarray(image).rotate(-degrees, Image.Resampling.BICUBIC, expand=True))


@pytest.mark.parametrize("degrees", [0, -60, 90, 180])
def test_corners_say_where_the_crop_was_cut_also_of_a_turned_face(
    finding: mien.Reader, astronaut: Pixels, degrees: float
) -> None:
    image = turned(astronaut, degrees)
    face = explain_image(finding, image).faces[0]
    corners = face.corners
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    np.testing.assert_allclose(sides, sides[0])
    # The upper edge is turned as the image is, as far as the detector finds it.
    edge = corners[1] - corners[0]
    angle = np.degrees(np.arctan2(edge[1], edge[0])) - degrees
    assert abs((angle + 180) % 360 - 180) < 35
    # What lies between the corners is what the network saw.
    steps = (np.arange(16) + 0.5) / 16
    places = corners[0] + steps[:, None, None] * (corners[3] - corners[0]) + steps[None, :, None] * edge
    columns, rows = places.round().astype(int).clip(0, np.array(image.shape[1::-1]) - 1).transpose(2, 0, 1)
    difference = image[rows, columns].astype(float) - face.crop
    assert np.abs(difference).mean() < 30
    assert np.abs(image[rows, columns].astype(float) - face.crop[::-1]).mean() > 1.5 * np.abs(difference).mean()


def test_corners_of_a_region_are_those_of_its_crop() -> None:
    ramp = np.zeros((60, 80, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(80)[None], np.arange(60)[:, None]
    from mien.faces.crop import Region

    for angle in (0.0, 30.0, -75.0, 90.0, 180.0):
        region = Region(40, 30, 24, angle)
        found = crop(ramp, 24, 3, region).astype(float)
        corners = region.corners
        for place, (row, column) in zip(corners, ((0, 0), (0, 23), (23, 23), (23, 0)), strict=True):
            np.testing.assert_allclose(found[row, column, :2], place, atol=1.8)


def test_several_faces_each_get_their_own(finding: mien.Reader, two_people: Callable[..., Pixels]) -> None:
    found = explain_image(finding, two_people(0.0))
    assert len(found.faces) == len(found.result.faces) == 2
    for face, read in zip(found.faces, found.result.faces, strict=True):
        middle = face.corners.mean(axis=0)
        assert read.box.x < middle[0] < read.box.x + read.box.width
        assert read.box.y < middle[1] < read.box.y + read.box.height


def test_an_image_without_a_face_has_no_heat(finding: mien.Reader) -> None:
    found = explain_image(finding, np.full((200, 300, 3), 90, np.uint8))
    assert (found.result.status, found.faces) == ("no_face", ())


def test_several_labels_at_once_are_the_same_as_one_by_one(colourful: mien.Reader, astronaut: Pixels) -> None:
    labels = colourful.config.labels
    for (face,), label in zip(explain_labels(colourful, astronaut, labels).heatmaps, labels, strict=True):
        np.testing.assert_array_equal(face.heat, explain_image(colourful, astronaut, label).faces[0].heat)


def test_crops_are_explained_as_images_are(finding: mien.Reader, astronaut: Pixels) -> None:
    found = explain_image(finding, astronaut, "sad")
    detection = finding.detector(astronaut)[0]
    alone = crop(astronaut, 16, 3, face_region(detection))
    np.testing.assert_allclose(explain_crops(finding, alone[None], np.array([1]))[0], found.faces[0].heat, atol=1e-5)


def test_a_bundle_without_maps_is_explained_by_occlusion(mapless: mien.Reader, astronaut: Pixels) -> None:
    assert default_method(mapless) == "occlusion"
    assert explain_image(mapless, astronaut).faces[0].method == "occlusion"
    with pytest.raises(ConfigError, match=r"has no class activation maps.*use occlusion"):
        explain_image(mapless, astronaut, method="cam")
    with pytest.raises(ConfigError, match="no class activation maps"):
        mapless.maps(np.zeros((1, 16, 16, 3), np.uint8))


def test_what_cannot_be_explained_is_said_in_one_line(colourful: mien.Reader, astronaut: Pixels) -> None:
    with pytest.raises(ConfigError, match="`label='joyful'`: this model has happy, sad"):
        explain_image(colourful, astronaut, "joyful")
    with pytest.raises(ConfigError, match=r"grad-cam: needs the Keras model.*`model=RUN`.*use cam"):
        explain_image(colourful, astronaut, method="grad-cam")
    with pytest.raises(ImageError, match="<bytes>: "):
        explain_image(colourful, b"no image")


def test_an_explainer_of_ones_own_is_asked_once_for_all_faces(
    finding: mien.Reader, two_people: Callable[..., Pixels]
) -> None:
    asked: list[tuple[tuple[int, ...], list[int]]] = []

    def flat(crops: Pixels, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        asked.append((crops.shape, labels.tolist()))
        return np.ones(crops.shape[:3], np.float32)

    found = explain_image(finding, two_people(0.0), "sad", "grad-cam", flat)
    assert asked == [((2, 16, 16, 3), [1, 1])]
    assert all(face.heat.min() == 1 and face.method == "grad-cam" for face in found.faces)


@pytest.mark.parametrize(("method", "most"), [("cam", MAX_EXPLAINED_FACES), ("occlusion", MAX_SLOW_FACES)])
def test_of_a_crowd_the_largest_faces_are_explained_and_the_result_says_so(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, method: Any, most: int
) -> None:
    reader = mien.load(make_bundle(maps=True, framing="face"), threads=1)
    crowd = [Detection(Box(number, 0, 20, 200 - number), ((1.0, 1.0),) * 5, 0.9) for number in range(120)]
    monkeypatch.setattr(reader._preprocess, "_detector", lambda rgb, tiles=True: crowd)
    found = explain_labels(reader, np.full((300, 300, 3), 90, np.uint8), reader.config.labels, method)
    assert {len(row) for row in found.heatmaps} == {len(found.result.faces)} == {most}
    assert found.result.reason == f"only the largest {most} of 120 faces were explained"
    assert [face.box for face in found.result.faces] == [one.box for one in crowd[:most]]


def test_a_large_file_is_explained_and_drawn_shrunk(
    colourful: mien.Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its box and corners are those of the file; the figure shows the heat where the small one does."""
    image, label = half_and_half(colourful)
    large = Image.fromarray(image).resize((1600, 800), Image.Resampling.NEAREST)
    large.save(tmp_path / "large.png")
    monkeypatch.setattr("mien.explanation.explainer.MAX_READ_PIXELS", 800 * 400)
    found = explain_image(colourful, tmp_path / "large.png", label)
    assert found.image.shape == (400, 800, 3)
    assert (found.result.width, found.faces[0].corners.max()) == (1600, 1600)
    assert found.faces_in_image()[0].corners.max() == 800
    monkeypatch.setattr("mien.explanation.explainer.MAX_READ_PIXELS", 10**9)
    shrunk = explain_image(colourful, np.asarray(large.reduce(2)), label)
    small, wanted = np.asarray(found.figure()).astype(int), np.asarray(shrunk.figure()).astype(int)
    assert small.shape == wanted.shape
    assert np.abs(small - wanted).mean() < 2

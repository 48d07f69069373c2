"""Detecting faces: the real network on public images with and without faces, in every position and size."""

import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from skimage import data

from mien.errors import ConfigError, DetectorError
from mien.faces import yunet
from mien.faces.detector import Detector, clip_box, only_tiny, to_detections
from mien.faces.tiling import render, whole_view
from mien.faces.yunet import INPUT_SIDE, Candidates, YuNet
from mien.results import Detection

Pixels = npt.NDArray[np.uint8]

#: Where the astronaut's eyes and nose are, in pixels of her 512x512 image, read off by hand.
RIGHT_EYE, LEFT_EYE, NOSE = (201, 101), (247, 102), (220, 125)
GREY_IMAGES = ("brick", "grass", "gravel", "coins", "text", "page", "moon", "cell", "clock")
COLOUR_IMAGES = ("coffee", "rocket", "hubble_deep_field", "chelsea", "retina", "immunohistochemistry")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(threads=1)


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    return sample("astronaut")


def sample(name: str) -> Pixels:
    """An image that comes with scikit-image, as RGB."""
    return np.asarray(Image.fromarray(getattr(data, name)()).convert("RGB"))


def resized(image: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def pasted(part: Pixels, x: int, y: int, width: int, height: int) -> Pixels:
    """A large image of grass with a part in it."""
    image = resized(sample("grass"), width, height).copy()
    image[y : y + part.shape[0], x : x + part.shape[1]] = part
    return image


def turned_point(point: tuple[float, float], side: int, turns: int) -> tuple[float, float]:
    """Where a point of a square image lies after `np.rot90(image, turns)`."""
    x, y = point
    for _ in range(turns % 4):
        x, y = y, side - x
    return x, y


def assert_is_her(face: Detection, scale: float = 1.0, x: float = 0, y: float = 0, turns: int = 0) -> None:
    """Whether a detection is the astronaut's face, in her image scaled, turned and moved."""
    for landmark, point in zip(face.landmarks, (RIGHT_EYE, LEFT_EYE, NOSE), strict=False):
        there = turned_point(point, 512, turns)
        assert landmark == pytest.approx((x + there[0] * scale, y + there[1] * scale), abs=10 * scale + 2)
    assert face.box.x < face.landmarks[2][0] < face.box.x + face.box.width
    assert face.box.y < face.landmarks[2][1] < face.box.y + face.box.height
    assert 60 * scale < min(face.box.width, face.box.height) <= max(face.box.width, face.box.height) < 140 * scale
    assert face.score > 0.7


def test_one_upright_face(detector: Detector, astronaut: Pixels) -> None:
    (face,) = detector(astronaut)
    assert_is_her(face)
    assert abs(face.roll) < 5
    right, left = face.landmarks[3:]
    assert right[0] < face.landmarks[2][0] < left[0]
    assert min(right[1], left[1]) > face.landmarks[2][1]


@pytest.mark.parametrize("size", [(512, 512), (256, 256), (448, 320), (1024, 768)])
def test_more_grey_around_an_image_changes_nothing(astronaut: Pixels, size: tuple[int, int]) -> None:
    """The input is cut to the image: in the largest one, with the rest grey, the answers are the same."""
    network = YuNet(threads=1)
    image = np.asarray(Image.fromarray(astronaut[: 512 * size[1] // size[0]]).resize(size, Image.Resampling.LANCZOS))
    view = whole_view(size)
    _, _, height, width = render(image, [view]).shape
    amid = replace(
        view, x=view.x + (INPUT_SIDE - width) // 2 // 32 * 32, y=view.y + (INPUT_SIDE - height) // 2 // 32 * 32
    )
    canvas = np.full((1, 3, INPUT_SIDE, INPUT_SIDE), 128, np.float32)
    canvas[:, :, amid.y - view.y :, amid.x - view.x :][:, :, :height, :width] = render(image, [view])
    cut = view.to_image(network(render(image, [view]), 0.65))
    whole = amid.to_image(network(canvas, 0.65))
    scale = max(size) / max(view.columns, view.rows)
    assert len(cut) == 1
    assert cut.boxes == pytest.approx(whole.boxes, abs=1.5 * scale)
    assert cut.landmarks == pytest.approx(whole.landmarks, abs=scale)
    assert cut.scores == pytest.approx(whole.scores, abs=0.02)


@pytest.mark.parametrize(("turns", "roll"), [(1, -90), (2, 180), (3, 90)])
def test_a_turned_image(detector: Detector, astronaut: Pixels, turns: int, roll: float) -> None:
    (face,) = detector(np.rot90(astronaut, turns))
    assert_is_her(face, turns=turns)
    assert abs((face.roll - roll + 180) % 360 - 180) < 8


def test_a_turned_large_photograph_gives_every_face(detector: Detector, astronaut: Pixels) -> None:
    small = resized(astronaut, 256, 256)
    image = pasted(small, 100, 120, 1400, 1000)
    image[500:756, 900:1156] = small
    for turns in (1, 2, 3):
        faces = detector(np.rot90(image, turns))
        assert len(faces) == 2
        assert max(abs((face.roll + 90 * turns + 180) % 360 - 180) for face in faces) < 15
    faces = detector(np.rot90(image, 2))
    assert sorted(face.landmarks[2][0] for face in faces) == pytest.approx([1400 - 1010, 1400 - 210], abs=8)


def test_what_resembles_a_face_does_not_hide_a_turned_one(detector: Detector, astronaut: Pixels) -> None:
    """Upside down, the cup of this image is found as a face, with a low score."""
    image = resized(sample("coffee"), 1600, 1200).copy()
    cup = detector(image[::-1, ::-1])
    assert all(face.score < 0.8 for face in cup)
    image[300:556, 400:656] = resized(astronaut, 256, 256)
    for turns in range(4):
        face = detector(np.rot90(image, turns))[0]
        assert abs((face.roll + 90 * turns + 180) % 360 - 180) < 15
        assert face.score > 0.85


@pytest.mark.parametrize("scale", [1 / 2, 1 / 4])
def test_a_small_face_in_a_large_image(detector: Detector, astronaut: Pixels, scale: float) -> None:
    small = resized(astronaut, round(512 * scale), round(512 * scale))
    (face,) = detector(pasted(small, 1000, 700, 3000, 2000))
    assert_is_her(face, scale, 1000, 700)


def test_tiles_are_searched_only_if_asked_and_if_faces_are_tiny(detector: Detector, astronaut: Pixels) -> None:
    small = pasted(resized(astronaut, 128, 128), 1000, 700, 3000, 2000)
    assert detector(small, tiles=False) == []
    assert only_tiny([], small.shape)
    assert only_tiny(detector(small), small.shape)
    large = pasted(astronaut, 1000, 700, 2000, 1500)
    assert detector(large, tiles=False) == detector(large)
    assert not only_tiny(detector(large), large.shape)


@pytest.mark.parametrize("side", [48, 96, 350, 640, 1200])
def test_a_face_that_fills_the_frame(detector: Detector, astronaut: Pixels, side: int) -> None:
    cut = resized(astronaut[70:180, 170:280], side, side)
    (face,) = detector(cut)
    scale = side / 110
    for landmark, point in zip(face.landmarks, (RIGHT_EYE, LEFT_EYE, NOSE), strict=False):
        assert landmark == pytest.approx(((point[0] - 170) * scale, (point[1] - 70) * scale), abs=8 * scale + 1)
    assert 0 <= face.box.x < face.box.x + face.box.width <= side
    assert 0 <= face.box.y < face.box.y + face.box.height <= side


def test_several_faces_come_largest_first(detector: Detector, astronaut: Pixels) -> None:
    image = pasted(resized(astronaut, 200, 200), 20, 30, 1000, 700)
    image[100:612, 400:912] = astronaut
    image[400:700, 50:350] = resized(astronaut, 300, 300)
    faces = detector(image)
    assert len(faces) == 3
    areas = [face.box.width * face.box.height for face in faces]
    assert areas == sorted(areas, reverse=True)
    assert_is_her(faces[0], 1, 400, 100)
    assert_is_her(faces[1], 300 / 512, 50, 400)
    assert_is_her(faces[2], 200 / 512, 20, 30)


def test_a_higher_threshold_finds_less(astronaut: Pixels) -> None:
    image = pasted(resized(astronaut, 100, 100), 20, 30, 640, 640)
    found = Detector(threads=1)(image)
    assert len(found) == 1
    assert Detector(threads=1, threshold=min(found[0].score + 0.03, 0.99))(image) == []


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, 65.0, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Detector(threshold=threshold)


def test_threads_share_one_detector(astronaut: Pixels) -> None:
    shared, answers = Detector(threads=1), dict[int, Any]()
    images = [np.rot90(astronaut, turns) for turns in range(4)]
    workers = [
        threading.Thread(target=lambda index=index: answers.update({index: shared(images[index % 4])}))
        for index in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert answers == {index: shared(images[index % 4]) for index in range(8)}


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (13, 4000), (2, 2)])
def test_a_sliver_is_searched_without_complaint(detector: Detector, shape: tuple[int, int]) -> None:
    assert detector(np.full((*shape, 3), 90, np.uint8)) == []


def test_missing_weights_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut: Pixels) -> None:
    monkeypatch.setattr(yunet, "WEIGHTS", tmp_path / "yunet.onnx")
    detector = Detector()
    with pytest.raises(
        DetectorError, match=r"yunet\.onnx: the face detector's weights are missing; install mien again"
    ):
        detector(astronaut)
    (tmp_path / "yunet.onnx").write_bytes(b"something else")
    with pytest.raises(DetectorError, match="is not the face detector's weights file; install mien again") as caught:
        detector(astronaut)
    assert "\n" not in str(caught.value)


# Images without faces


def quarters(name: str) -> list[Pixels]:
    """An image without faces, whole, upside down, and its quarters."""
    whole = sample(name)
    height, width = (side // 2 for side in whole.shape[:2])
    parts = [whole[y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
    return [whole, whole[::-1], *parts]


def drawings(count: int) -> list[Pixels]:
    """Seeded drawings of no face: discs and boxes, bar charts, pie charts, noise."""
    rng = np.random.default_rng(0)
    found = []
    for index in range(count):
        image = Image.new("RGB", (480, 360), tuple(rng.integers(0, 256, 3).tolist()))
        draw = ImageDraw.Draw(image)
        if index % 4 == 0:
            for number in range(12):
                x, y, width, height = rng.integers(0, 240, 4).tolist()
                shape = draw.ellipse if number % 2 else draw.rectangle
                shape((x, y, x + width, y + height), fill=tuple(rng.integers(0, 256, 3).tolist()))
        elif index % 4 == 1:
            for number, height in enumerate(rng.integers(20, 300, 8).tolist()):
                draw.rectangle((40 + 50 * number, 340 - height, 75 + 50 * number, 340), fill=(30, 100, 200))
                draw.text((45 + 50 * number, 345), str(height), fill="black")
        elif index % 4 == 2:
            edges = [0, *sorted(rng.integers(1, 360, 4).tolist()), 360]
            for start, end in pairwise(edges):
                draw.pieslice((80, 20, 400, 340), start, end, fill=tuple(rng.integers(0, 256, 3).tolist()))
        else:
            image = Image.fromarray(rng.integers(0, 256, (360, 480, 3), dtype=np.uint8))
        found.append(np.asarray(image))
    return found


@pytest.mark.parametrize("name", ["brick", "text", "coffee", "chelsea"])
def test_no_face_where_there_is_none(detector: Detector, name: str) -> None:
    assert detector(sample(name)) == []


def test_no_face_in_drawings(detector: Detector) -> None:
    assert [detector(image) for image in drawings(8)] == [[]] * 8


@pytest.mark.slow
def test_at_most_one_false_alarm_in_two_hundred_images(detector: Detector) -> None:
    images = [part for name in (*GREY_IMAGES, *COLOUR_IMAGES) for part in quarters(name)] + drawings(20)
    # The second hundred of scikit-image's sample of "Labeled Faces in the Wild" are 25-pixel pieces of no face.
    patches = np.load(Path(data.__file__).parent / "lfw_subset.npy", allow_pickle=False)[100:]
    images += [np.repeat((patch[..., np.newaxis] * 255).astype(np.uint8), 3, axis=2) for patch in patches]
    assert len(images) >= 200
    assert sum(len(detector(image)) for image in images) <= 1


# From candidates to to_detections

SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))
FAR = st.floats(-5000, 5000, width=32)


@given(corners=st.lists(FAR, min_size=4, max_size=4), size=SIZES)
def test_a_clipped_box_lies_in_the_image(corners: list[float], size: tuple[int, int]) -> None:
    left, right = sorted(corners[::2])
    top, bottom = sorted(corners[1::2])
    box = clip_box([left, top, right, bottom], size)
    if box is not None:
        assert 0 <= box.x < box.x + box.width <= size[0]
        assert 0 <= box.y < box.y + box.height <= size[1]
        assert box.x >= round(left) and box.x + box.width <= round(right)
    else:
        whole = (max(round(left), 0) >= min(round(right), size[0]), max(round(top), 0) >= min(round(bottom), size[1]))
        assert any(whole)


def test_a_box_beyond_the_image_is_dropped() -> None:
    boxes = np.array([[5, 5, 20, 25], [-30, 5, -10, 25], [-5, -5, 60, 60]], np.float32)
    found = Candidates(boxes, np.zeros((3, 5, 2), np.float32), np.array([0.9, 0.8, 0.7], np.float32))
    faces = to_detections(found, (40, 30))
    assert [(face.box.width, face.box.height) for face in faces] == [(40, 30), (15, 20)]
    assert [face.score for face in faces] == pytest.approx([0.7, 0.9])

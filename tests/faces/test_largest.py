"""The largest face alone: found in a quick look, or left to the search for all faces."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage import data

from mien.arrays import Float32
from mien.faces.detector import Detector
from mien.faces.yunet import Candidates, YuNet, iou
from mien.results import Box, Detection

Pixels = npt.NDArray[np.uint8]


@dataclass
class Counting:
    """The real network; remembers how many pixels each of its inputs has."""

    network: YuNet = field(default_factory=lambda: YuNet(threads=1))
    pixels: list[int] = field(default_factory=list)
    device: str = "cpu"

    def __call__(self, bgr: Float32, threshold: float) -> Candidates:
        self.pixels.append(bgr.shape[2] * bgr.shape[3])
        return self.network(bgr, threshold)


@pytest.fixture(scope="module")
def network() -> Counting:
    return Counting()


@pytest.fixture
def detector(network: Counting) -> Detector:
    network.pixels.clear()
    return Detector(threads=1, network=network)  # type: ignore[arg-type]


def sample(name: str, width: int, height: int) -> Pixels:
    image = Image.fromarray(getattr(data, name)()).convert("RGB")
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def portrait(width: int, height: int) -> Pixels:
    """The astronaut's head and shoulders."""
    image = Image.fromarray(data.astronaut()).crop((60, 0, 60 + 400, round(400 * height / width)))  # type: ignore[no-untyped-call]
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def crowd(*sides: int) -> Pixels:
    """Heads side by side, each about 0.45 of its side wide, on grass."""
    image = sample("grass", 1024, 700).copy()
    left = 10
    for side in sides:
        head = Image.fromarray(data.astronaut()).crop((130, 10, 330, 210))  # type: ignore[no-untyped-call]
        image[90 : 90 + side, left : left + side] = np.asarray(head.resize((side, side), Image.Resampling.LANCZOS))
        left += side + 10
    return image


def overlap(one: Box, other: Box) -> float:
    corners = np.array([[box.x, box.y, box.x + box.width, box.y + box.height] for box in (one, other)], np.float32)
    return float(iou(corners[0], corners[1:])[0])


@pytest.mark.parametrize("size", [(1024, 1024), (1024, 683), (700, 1024), (640, 640), (2000, 1500), (4100, 3000)])
def test_a_portrait_gives_the_same_face_for_less(detector: Detector, network: Counting, size: tuple[int, int]) -> None:
    image = portrait(*size)
    (expected,) = detector(image)
    usual = sum(network.pixels)
    network.pixels.clear()
    found = detector.find_largest(image)
    assert found is not None
    assert overlap(found.box, expected.box) > 0.94
    scale = expected.box.width
    for mark, other in zip(found.landmarks, expected.landmarks, strict=True):
        assert mark == pytest.approx(other, abs=0.05 * scale)
    assert found.score == pytest.approx(expected.score, abs=0.02)
    assert len(network.pixels) == 2
    assert sum(network.pixels) < 0.75 * usual


def test_a_smaller_copy_is_looked_at_as_closely_as_the_image_in_full(detector: Detector) -> None:
    image = portrait(1280, 1000)
    small = np.asarray(Image.fromarray(image).reduce(2))
    full, half = detector.find_largest(image), detector.find_largest(small, (1280, 1000))
    assert full is not None
    assert half is not None
    assert overlap(half.rescaled((500, 640), (1000, 1280)).box, full.box) > 0.97


def test_the_largest_of_several(detector: Detector) -> None:
    image = crowd(200, 420, 250)
    found = detector.find_largest(image)
    assert found is not None
    assert overlap(found.box, detector(image)[0].box) > 0.94
    assert 220 < found.box.x < 640


@pytest.mark.parametrize(
    "image",
    [
        crowd(300, 330),  # which is the largest is seen closer
        crowd(60),
        sample("coffee", 1024, 700),
        np.rot90(portrait(1024, 1024)),
        np.rot90(portrait(1024, 1024), 2),
        np.full((1, 1500, 3), 90, np.uint8),
        np.full((700, 1, 3), 90, np.uint8),
    ],
    ids=["two alike", "tiny", "none", "on its side", "upside down", "a line", "a column"],
)
def test_what_is_not_certain_is_left_to_the_search(detector: Detector, network: Counting, image: Pixels) -> None:
    assert detector.find_largest(image) is None
    assert len(network.pixels) == 1, "one quick look, and no closer one"


def test_an_image_that_is_small_itself_has_no_quick_look(detector: Detector, network: Counting) -> None:
    assert detector.find_largest(portrait(480, 480)) is None
    assert network.pixels == []


def test_a_face_that_is_not_confirmed_closer_is_left_to_the_search(
    network: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = portrait(1024, 1024)
    shown: list[int] = []

    def doubting(bgr: Float32, threshold: float) -> Candidates:
        shown.append(len(shown))
        found = network(bgr, 0.1)
        return found if len(shown) == 1 else found[found.scores < 0.5]

    assert Detector(network=doubting).find_largest(image) is None  # type: ignore[arg-type]
    assert len(shown) == 2


def head_alone(side: int) -> Pixels:
    """The astronaut's head, which fills the frame."""
    head = Image.fromarray(data.astronaut()).crop((165, 55, 285, 185))  # type: ignore[no-untyped-call]
    return np.asarray(head.resize((side, side), Image.Resampling.LANCZOS))


def test_a_face_that_fills_the_frame_needs_no_closer_look(detector: Detector, network: Counting) -> None:
    """In the usual run it is too large to be certain; copies are looked at, and the best one gives the box."""
    found = detector.find_largest(head_alone(1024))
    assert found is not None
    assert len(network.pixels) == 1
    network.pixels.clear()
    assert overlap(found.box, detector(head_alone(1024))[0].box) > 0.9
    assert len(network.pixels) > 1


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_face_that_fills_the_frame_is_left_to_the_search(detector: Detector, turns: int) -> None:
    assert detector.find_largest(np.rot90(head_alone(1024), turns)) is None


def test_a_higher_threshold_is_kept_in_both_looks(network: Counting) -> None:
    image = portrait(1024, 1024)
    network.pixels.clear()
    assert Detector(threshold=0.99, network=network).find_largest(image) is None  # type: ignore[arg-type]
    assert len(network.pixels) == 1


def test_all_faces_are_found_as_before(detector: Detector, network: Counting) -> None:
    """The quick look changes nothing for those who want all: one run on the whole image."""
    faces: list[Detection] = detector(crowd(200, 420, 250))
    assert len(faces) == 3
    assert network.pixels == [640 * 448]

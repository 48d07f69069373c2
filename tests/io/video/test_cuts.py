"""Hard cuts are found at their frame; motion, zooms, lights, flashes and fades are none."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import skimage.data
from PIL import Image

from mien.arrays import UInt8
from mien.io.video.cuts import THUMBNAIL, find_cuts, thumbnail

#: What a camera does: from the time in seconds, where it looks (x, y), the width of its view (all in parts of the
#: image), and the light.
Camera = Callable[[float], tuple[float, float, float, float]]
RATES = [5, 12, 30]


@pytest.fixture(scope="module")
def images() -> list[UInt8]:
    return [np.asarray(skimage.data.astronaut()), np.asarray(skimage.data.coffee()), np.asarray(skimage.data.chelsea())]  # type: ignore[no-untyped-call]


def view(image: UInt8, x: float, y: float, width: float, light: float, noise: int) -> UInt8:
    """A thumbnail of what a camera sees, with the noise of its sensor."""
    high, wide = image.shape[:2]
    across = width * wide
    down = across * THUMBNAIL[1] / THUMBNAIL[0]
    left, top = x * wide - across / 2, y * high - down / 2
    shown = Image.fromarray(image).transform(
        (256, 192), Image.Transform.EXTENT, (left, top, left + across, top + down), Image.Resampling.BILINEAR
    )
    values = np.asarray(shown, np.float32) * light + np.random.default_rng(noise).normal(0, 3, (192, 256, 3))
    return thumbnail(np.clip(values, 0, 255).astype(np.uint8))


def cuts(frames: Sequence[UInt8], rate: float, settle: float = 0.15) -> list[int]:
    timed = ((number / rate, frame, number) for number, frame in enumerate(frames))
    found = list(find_cuts(timed, settle))
    assert [number for number, _ in found] == list(range(len(frames))), "no frame is lost or moved"
    return [number for number, cut in found if cut]


def pan(time: float) -> tuple[float, float, float, float]:
    return 0.3 + 0.2 * time, 0.5, 0.5, 1.0


def zoom(time: float) -> tuple[float, float, float, float]:
    return 0.5, 0.5, 0.7 * math.exp(-0.4 * time), 1.0


def shake(time: float) -> tuple[float, float, float, float]:
    return 0.5 + 0.02 * math.sin(40 * time), 0.5 + 0.02 * math.cos(37 * time), 0.6, 1.0


def fade(time: float) -> tuple[float, float, float, float]:
    return 0.5, 0.5, 0.6, abs(1 - 1.2 * time)


def lamp(time: float) -> tuple[float, float, float, float]:
    return 0.5, 0.5, 0.6, 0.5 if 0.4 < time < 1.1 else 1.0


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("camera", [pan, zoom, shake, fade, lamp])
def test_one_scene_has_no_cut(images: list[UInt8], camera: Camera, rate: int) -> None:
    for image in images:
        frames = [view(image, *camera(number / rate), number) for number in range(2 * rate)]
        assert cuts(frames, rate) == []


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("first", "second"), [(pan, zoom), (shake, pan), (lamp, shake)])
def test_a_cut_is_found_at_its_frame(images: list[UInt8], first: Camera, second: Camera, rate: int) -> None:
    others = [*images[1:], images[0], images[0]]
    for before, after in zip([*images, images[0]], [*others[:3], images[0][:, ::-1]], strict=True):
        frames = [view(before, *first(number / rate), number) for number in range(rate)]
        frames += [view(after, *second(number / rate), number) for number in range(rate)]
        assert cuts(frames, rate) == cuts(frames, rate, settle=0) == [rate]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("shade", [0, 250])
def test_a_flash_and_a_black_frame_are_no_cuts(images: list[UInt8], rate: int, shade: int) -> None:
    frames = [view(images[0], *pan(number / rate), number) for number in range(2 * rate)]
    frames[rate] = np.full_like(frames[0], shade)
    half = np.clip(frames[rate // 2].astype(int) * 3 + 100, 0, 255).astype(np.uint8)
    frames[rate // 2] = half  # most of it is white
    assert cuts(frames, rate) == []


def test_a_scene_after_black_is_a_new_one(images: list[UInt8]) -> None:
    black = [np.zeros((THUMBNAIL[1], THUMBNAIL[0], 3), np.uint8)] * 10
    first, second = ([view(image, *pan(n / 30), n) for n in range(20)] for image in images[:2])
    assert cuts([*first, *black, *second], 30) == [30]
    assert cuts([*first, *black, *first[-1:]], 30) == []
    assert cuts([*black, *first], 30) == [], "a video may begin black"


def test_cuts_in_quick_succession_are_all_found(images: list[UInt8]) -> None:
    frames = [view(images[number // 8 % 3], *shake(number / 30), number) for number in range(48)]
    assert cuts(frames, 30) == [8, 16, 24, 32, 40]
    assert cuts(frames[:9], 30) == [8], "also in the last frame"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_short_videos(count: int) -> None:
    assert cuts([np.full((THUMBNAIL[1], THUMBNAIL[0], 3), 90, np.uint8)] * count, 5) == []

"""A photographed face is told from a drawn one, also after compression, resizing and loss of colour."""

import io

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image, ImageDraw

from mien.data.drawings import DRAWING_THRESHOLD, drawing_score, measure_face
from mien.results import Box

FACE = Box(176, 68, 92, 124)  # in the astronaut


def packaged(name: str) -> npt.NDArray[np.uint8]:
    """One of scikit-image's images, which are free to use."""
    return np.asarray(getattr(skimage.data, name)())


def astronaut() -> Image.Image:
    return Image.fromarray(packaged("astronaut"))


def emoji(side: int) -> Image.Image:
    """A round yellow face of flat colours with a black mouth and eyes."""
    image = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse([side * 0.05, side * 0.05, side * 0.95, side * 0.95], (255, 204, 77), "black", max(side // 60, 1))
    for x in (0.35, 0.65):
        pen.ellipse([side * (x - 0.06), side * 0.3, side * (x + 0.06), side * 0.48], (102, 69, 0))
    pen.arc([side * 0.25, side * 0.35, side * 0.75, side * 0.8], 20, 160, (102, 69, 0), max(side // 25, 1))
    return image


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def score(image: Image.Image, box: Box, detector_score: float = 0.9) -> float:
    return drawing_score(np.asarray(image.convert("RGB")), box, detector_score)


def test_a_photo_stays_one_when_it_is_compressed_turned_grey_or_made_small() -> None:
    image = astronaut()
    half = image.resize((256, 256), Image.Resampling.LANCZOS)
    assert score(image, FACE) < DRAWING_THRESHOLD
    assert score(as_jpeg(image, 30), FACE) < DRAWING_THRESHOLD
    assert score(image.convert("L"), FACE) < DRAWING_THRESHOLD
    assert score(half, Box(88, 34, 46, 62)) < DRAWING_THRESHOLD
    assert score(image.resize((1536, 1536), Image.Resampling.BICUBIC), Box(528, 204, 276, 372)) < DRAWING_THRESHOLD


@pytest.mark.parametrize("side", [48, 128, 500])
@pytest.mark.parametrize("quality", [None, 40])
def test_an_emoji_is_drawn(side: int, quality: int | None) -> None:
    image = emoji(side) if quality is None else as_jpeg(emoji(side), quality)
    assert score(image, Box(0, 0, side, side)) >= DRAWING_THRESHOLD


def test_a_photo_in_a_few_colours_is_more_like_a_drawing() -> None:
    poster = astronaut().quantize(5, dither=Image.Dither.NONE).convert("RGB")
    assert score(poster, FACE) >= DRAWING_THRESHOLD


def test_a_face_with_a_low_score_is_more_likely_drawn() -> None:
    scores = [score(astronaut(), FACE, value) for value in (0.95, 0.8, 0.65)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]


def test_a_grey_face_in_a_colourful_image_is_of_stone() -> None:
    image = packaged("astronaut").copy()
    image[..., 1] = np.minimum(image[..., 1] // 3 * 2, 255)  # a colourful scene
    part = image[FACE.y - 10 : FACE.y + FACE.height + 10, FACE.x - 10 : FACE.x + FACE.width + 10]
    part[:] = part.mean(axis=2, keepdims=True).astype(np.uint8)
    assert measure_face(image, FACE, 0.92).stone > 0.9
    assert drawing_score(image, FACE, 0.92) >= DRAWING_THRESHOLD
    grey = np.repeat(packaged("astronaut").mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert measure_face(grey, FACE, 0.92).stone == 0  # an old photo is grey all over
    assert measure_face(packaged("astronaut"), FACE, 0.92).stone == 0


@pytest.mark.parametrize("box", [Box(0, 0, 1, 1), Box(5, 5, 2, 1), Box(0, 0, 3, 40)])
def test_a_face_of_a_few_pixels_has_a_score_too(box: Box) -> None:
    assert 0 <= drawing_score(packaged("astronaut"), box, 0.7) <= 1

"""What a face detector, a camera and a file format do to a face, on crops of 48 pixels."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Picture = npt.NDArray[np.uint8]
Draw = Callable[[Picture, np.random.Generator], Picture]

DRAWS = 5  # of what is random
MARGIN = 16  # pixels of new ground on each side: enough for every change here
SQUARE = (21, 22)  # 462 of 2304 pixels, 20.05 %: whole pixels as near to a square of 20 % as there are


@dataclass(frozen=True)
class Change:
    """One change: the mean over its draws is reported; only a `wanted` one is held against the limit."""

    name: str
    draws: tuple[Draw, ...]
    wanted: bool = True


def grounded(picture: Picture, black: bool) -> Picture:
    """The picture on new ground: its edges repeated, or black."""
    return np.pad(picture, MARGIN) if black else np.pad(picture, MARGIN, mode="edge")


def rotate(picture: Picture, _: np.random.Generator, *, degrees: float, black: bool = False) -> Picture:
    turned = Image.fromarray(grounded(picture, black)).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(turned)[MARGIN:-MARGIN, MARGIN:-MARGIN]


def rescale(picture: Picture, _: np.random.Generator, *, size: float, black: bool = False) -> Picture:
    """The face at `size` times its usual size, in a frame of the same size."""
    side = len(picture)
    middle, reach = side / 2 + MARGIN, side / size / 2
    box = (middle - reach, middle - reach, middle + reach, middle + reach)
    ground = Image.fromarray(grounded(picture, black))
    return np.asarray(ground.resize((side, side), Image.Resampling.BILINEAR, box=box))


def brighten(picture: Picture, _: np.random.Generator, *, factor: float) -> Picture:
    brighter: Picture = np.minimum(np.rint(picture * factor), 255).astype(np.uint8)
    return brighter


def blur(picture: Picture, _: np.random.Generator, *, sigma: float) -> Picture:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


def recompress(picture: Picture, _: np.random.Generator, *, quality: int) -> Picture:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def hide(picture: Picture, rng: np.random.Generator, *, grey: bool = False) -> Picture:
    """A square somewhere on the picture, black or of the picture's mean grey."""
    height, width = SQUARE
    top, left = rng.integers(0, len(picture) - height + 1), rng.integers(0, len(picture) - width + 1)
    hidden = picture.copy()
    hidden[top : top + height, left : left + width] = round(picture.mean()) if grey else 0
    return hidden


CHANGES = (
    Change("rotated 15°, mean of both directions", (partial(rotate, degrees=15), partial(rotate, degrees=-15))),
    Change("rotated 15° on black", tuple(partial(rotate, degrees=d, black=True) for d in (15, -15)), wanted=False),
    Change("face at 70 % of its size", (partial(rescale, size=0.7),)),
    Change("face at 70 % on black", (partial(rescale, size=0.7, black=True),), wanted=False),
    Change("face at 130 % of its size", (partial(rescale, size=1.3),)),
    Change("brightness × 0.5", (partial(brighten, factor=0.5),)),
    Change("brightness × 1.5", (partial(brighten, factor=1.5),)),
    Change("Gaussian blur, 1 px", (partial(blur, sigma=1),)),
    Change("JPEG quality 30", (partial(recompress, quality=30),)),
    Change(f"black square on 20 %, mean of {DRAWS} draws", (hide,) * DRAWS),
    Change(f"grey square on 20 %, mean of {DRAWS} draws", (partial(hide, grey=True),) * DRAWS, wanted=False),
)


def apply(draw: Draw, pictures: Picture, seed: int) -> Picture:
    """Change every picture of (N, 48, 48); the same seed gives the same pictures."""
    rng = np.random.default_rng(seed)
    return np.stack([draw(picture, rng) for picture in pictures])

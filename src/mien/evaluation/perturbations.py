"""What cameras, face finders and file formats do to a picture, at a strength that is known.

A picture here is uint8 (S, S), grey, or (S, S, 3), RGB, [0, 255]; what comes out has the same shape and type.
Turning, scaling and shifting need ground that the picture does not have: its edges repeat there, or it is black.
`KINDS` are the changes by which robustness is measured, each with its unit and five strengths. The layers of
`mien.training.augmentation.geometry` and `mien.training.augmentation.degrade` do like things to whole batches at
random, for training.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from mien.arrays import UInt8

#: A picture, a strength and a source of what is random in; the changed picture out.
Alter = Callable[[UInt8, float, np.random.Generator], UInt8]
#: What a square is covered by.
Fill = Literal["black", "grey", "stripes"]


@dataclass(frozen=True)
class Perturbation:
    """One kind of change.

    `name` is what it is called, `unit` what its strengths are counted in, and `words` says it with a strength in
    the place of `{}`. `neutral` is the strength that changes nothing, and `strengths` are five, from the weakest to
    the strongest, all on one side of it. `alter` makes it.
    """

    name: str
    unit: str
    words: str
    neutral: float
    strengths: tuple[float, ...]
    alter: Alter

    def apply(self, pictures: UInt8, strength: float, seed: int = 0) -> UInt8:
        """Change every one of the pictures uint8 (N, S, S, C), C being 1 or 3; the same seed gives the same pictures.

        What is random (a direction, a place, grain) is drawn for each picture alike at every strength, so that
        strengths differ in nothing else.
        """
        if strength == self.neutral:
            return pictures.copy()
        changed = np.empty_like(pictures)
        # Pillow knows no pictures of one channel, only of none.
        before, after = (many[..., 0] if many.shape[-1] == 1 else many for many in (pictures, changed))
        for number, picture in enumerate(before):
            after[number] = self.alter(picture, strength, np.random.default_rng([seed, number]))
        return changed


def rotate(picture: UInt8, degrees: float, *, black: bool = False) -> UInt8:
    """Turn the picture about its middle, counter-clockwise as pictures are seen; bicubic."""
    margin = len(picture) // 3  # a turned square reaches 0.21 of its side beyond itself
    turned = Image.fromarray(_grounded(picture, margin, black)).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(turned)[margin : margin + len(picture), margin : margin + len(picture)]


def rescale(picture: UInt8, size: float, *, black: bool = False) -> UInt8:
    """Show what is in the picture at `size` times its usual size, above 0, in a frame of the same size; bilinear."""
    side = len(picture)
    reach = side / size / 2
    margin = max(side // 3, math.ceil(reach - side / 2) + 1)
    middle = side / 2 + margin
    box = (middle - reach, middle - reach, middle + reach, middle + reach)
    ground = Image.fromarray(_grounded(picture, margin, black))
    return np.asarray(ground.resize((side, side), Image.Resampling.BILINEAR, box=box))


def shift(picture: UInt8, right: int, down: int) -> UInt8:
    """Move what is in the picture by whole pixels, less than its side."""
    side, margin = len(picture), max(abs(right), abs(down))
    ground = _grounded(picture, margin, black=False)
    return ground[margin - down : margin - down + side, margin - right : margin - right + side]


def brighten(picture: UInt8, factor: float) -> UInt8:
    """Multiply every value; what is beyond 255 becomes 255."""
    return _rounded(picture * factor)


def stretch(picture: UInt8, factor: float) -> UInt8:
    """Multiply the contrast: every value's distance from the picture's mean."""
    mean = picture.mean()
    return _rounded(mean + (picture - mean) * factor)


def blur(picture: UInt8, sigma: float) -> UInt8:
    """Blur by a Gaussian (Pillow's, of three boxes) with a standard deviation of `sigma` pixels."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


def add_noise(picture: UInt8, sigma: float, rng: np.random.Generator) -> UInt8:
    """Add independent normal noise of standard deviation `sigma`, in values of 255, to every value."""
    return _rounded(picture + sigma * rng.standard_normal(picture.shape, np.float32))


def recompress(picture: UInt8, quality: int) -> UInt8:
    """Store the picture as JPEG of that quality, 1 to 100, and read it again."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def hide(picture: UInt8, share: float, rng: np.random.Generator, fill: Fill = "black") -> UInt8:
    """Cover a square somewhere in the picture, `share` of its area, by black, the picture's mean grey or stripes.

    Of whole pixels it is as near to that square as there is one: 21 by 22 for 20 % of 48 by 48.
    """
    side = len(picture)
    height = min(int(side * math.sqrt(share)), side)
    width = min(round(side * side * share / max(height, 1)), side)
    top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    hidden = picture.copy()
    place = hidden[top : top + height, left : left + width]
    if fill == "stripes":
        place[...] = _stripes(picture.shape, rng)[top : top + height, left : left + width]
    else:
        place[...] = round(picture.mean()) if fill == "grey" else 0
    return hidden


def _stripes(shape: tuple[int, ...], rng: np.random.Generator) -> UInt8:
    """A picture of stripes of two random tones, in a random direction, 1/48 to 1/12 of the side wide, as on cloth."""
    side = shape[0]
    angle, period = math.pi * rng.random(), side * math.exp(rng.uniform(math.log(1 / 24), math.log(1 / 6)))
    down, across = np.mgrid[:side, :side]
    phase = (across * math.cos(angle) + down * math.sin(angle)) / period
    tones = rng.integers(0, 256, 2).astype(np.uint8)
    striped: UInt8 = tones[np.floor(2 * phase).astype(np.int64) % 2]
    return striped.reshape((side, side, *(1,) * (len(shape) - 2)))


def coarsen(picture: UInt8, side: int) -> UInt8:
    """Shrink the picture to `side` pixels and enlarge it again; bilinear, with antialiasing."""
    small = Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((len(picture), len(picture)), Image.Resampling.BILINEAR))


def _grounded(picture: UInt8, margin: int, black: bool) -> UInt8:
    """The picture on new ground, `margin` pixels on each side: its edges repeated, or black."""
    around = ((margin, margin), (margin, margin), *((0, 0),) * (picture.ndim - 2))
    return np.pad(picture, around) if black else np.pad(picture, around, mode="edge")


def _rounded(values: npt.NDArray[np.floating]) -> UInt8:
    rounded: UInt8 = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def _either_way(picture: UInt8, degrees: float, rng: np.random.Generator) -> UInt8:
    return rotate(picture, degrees if rng.random() < 0.5 else -degrees)


def _somewhere(picture: UInt8, percent: float, rng: np.random.Generator) -> UInt8:
    angle, length = 2 * math.pi * rng.random(), percent / 100 * len(picture)
    return shift(picture, round(length * math.cos(angle)), round(length * math.sin(angle)))


#: The changes by which robustness is measured. Lengths are in shares of the crop's side, so that networks of any
#: input size are asked the same; JPEG, which works in blocks of 8 pixels, is applied to the crop as it is.
KINDS = (
    Perturbation("Rotation", "degrees, either way", "{} degrees of rotation", 0, (5, 10, 20, 30, 45), _either_way),
    Perturbation(
        "Face smaller",
        "% of its usual size",
        "faces of {} % of their usual size",
        100,
        (90, 80, 70, 60, 50),
        lambda p, s, _: rescale(p, s / 100),
    ),
    Perturbation(
        "Face larger",
        "% of its usual size",
        "faces of {} % of their usual size",
        100,
        (110, 120, 135, 150, 175),
        lambda p, s, _: rescale(p, s / 100),
    ),
    Perturbation("Shift", "% of the side, any way", "a shift by {} % of the side", 0, (4, 8, 12, 18, 25), _somewhere),
    Perturbation(
        "Darker",
        "% of the brightness",
        "{} % of the brightness",
        100,
        (80, 60, 40, 25, 10),
        lambda p, s, _: brighten(p, s / 100),
    ),
    Perturbation(
        "Brighter",
        "% of the brightness",
        "{} % of the brightness",
        100,
        (125, 150, 200, 250, 300),
        lambda p, s, _: brighten(p, s / 100),
    ),
    Perturbation(
        "Contrast",
        "% of the contrast",
        "{} % of the contrast",
        100,
        (80, 60, 40, 25, 10),
        lambda p, s, _: stretch(p, s / 100),
    ),
    Perturbation(
        "Blur",
        "σ in % of the side",
        "blur of σ {} % of the side",
        0,
        (1, 2, 3, 4, 6),
        lambda p, s, _: blur(p, s / 100 * len(p)),
    ),
    Perturbation("Noise", "σ of 255", "noise of σ {} of 255", 0, (5, 10, 20, 35, 50), add_noise),
    Perturbation(
        "JPEG", "quality", "JPEG quality {}", 100, (70, 50, 30, 15, 5), lambda p, s, _: recompress(p, round(s))
    ),
    Perturbation(
        "Occlusion",
        "% of the area, black",
        "{} % of the picture hidden",
        0,
        (5, 10, 20, 30, 40),
        lambda p, s, rng: hide(p, s / 100, rng),
    ),
    Perturbation(
        "Striped cover",
        "% of the area",
        "{} % of the picture behind stripes",
        0,
        (5, 10, 20, 30, 40),
        lambda p, s, rng: hide(p, s / 100, rng, "stripes"),
    ),
    Perturbation(
        "Low resolution",
        "% of the pixels on a side",
        "{} % of the pixels on a side",
        100,
        (75, 50, 35, 25, 15),
        lambda p, s, _: coarsen(p, max(round(len(p) * s / 100), 1)),
    ),
)

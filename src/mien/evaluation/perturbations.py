"""Perturb images as cameras, face detectors and file formats do, at a known strength.

An image is uint8 (S, S), grey, or (S, S, 3), RGB, [0, 255]; shape and dtype stay. Rotation, scaling and shifts show
what lies outside the image: its repeated edges, or black. `PERTURBATIONS` are those that robustness is measured by.
`mien.training.augmentation` has random ones for batches.
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
from mien.io.images.formats import open_listed

#: Takes an image, a strength and a random generator; returns the perturbed image.
Perturb = Callable[[UInt8, float, np.random.Generator], UInt8]
#: What an occluding square is filled with.
Fill = Literal["black", "grey", "stripes"]


@dataclass(frozen=True)
class Perturbation:
    """One kind of perturbation.

    Args:
        name: its name.
        unit: the unit of its strengths.
        phrase: says it with a strength in the place of `{}`.
        neutral: the strength that changes nothing.
        strengths: five, from the weakest to the strongest, all on one side of `neutral`.
        perturb: perturbs one image.
    """

    name: str
    unit: str
    phrase: str
    neutral: float
    strengths: tuple[float, ...]
    perturb: Perturb

    def apply(self, images: UInt8, strength: float, seed: int = 0) -> UInt8:
        """Perturb every image.

        Random choices (direction, place, noise) depend on the seed and the index of the image, not on the strength,
        so strengths differ in nothing else.

        Args:
            images: uint8 (N, S, S, C), C is 1 or 3.
            strength: in `unit`.
            seed: fixes the random choices.
        """
        if strength == self.neutral:
            return images.copy()
        changed = np.empty_like(images)
        # Pillow has no images (S, S, 1), only (S, S).
        before, after = (many[..., 0] if many.shape[-1] == 1 else many for many in (images, changed))
        for number, image in enumerate(before):
            after[number] = self.perturb(image, strength, np.random.default_rng([seed, number]))
        return changed


def rotate(image: UInt8, degrees: float, *, black: bool = False) -> UInt8:
    """Rotate an image about its centre, counter-clockwise, with bicubic interpolation."""
    margin = len(image) // 3  # a rotated square reaches 0.21 of its side beyond itself
    rotated = Image.fromarray(_pad(image, margin, black)).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(rotated)[margin : margin + len(image), margin : margin + len(image)]


def rescale(image: UInt8, factor: float, *, black: bool = False) -> UInt8:
    """Scale the content of an image by a factor above 0, with bilinear interpolation; the image keeps its size."""
    side = len(image)
    reach = side / factor / 2
    margin = max(side // 3, math.ceil(reach - side / 2) + 1)
    middle = side / 2 + margin
    box = (middle - reach, middle - reach, middle + reach, middle + reach)
    padded = Image.fromarray(_pad(image, margin, black))
    return np.asarray(padded.resize((side, side), Image.Resampling.BILINEAR, box=box))


def shift(image: UInt8, right: int, down: int) -> UInt8:
    """Shift the content of an image by whole pixels, fewer than its side."""
    side, margin = len(image), max(abs(right), abs(down))
    padded = _pad(image, margin, black=False)
    return padded[margin - down : margin - down + side, margin - right : margin - right + side]


def adjust_brightness(image: UInt8, factor: float) -> UInt8:
    """Multiply every value, clipped at 255."""
    return _to_uint8(image * factor)


def adjust_contrast(image: UInt8, factor: float) -> UInt8:
    """Multiply the distance of every value from the mean of the image."""
    mean = image.mean()
    return _to_uint8(mean + (image - mean) * factor)


def blur(image: UInt8, sigma: float) -> UInt8:
    """Blur by a Gaussian with a standard deviation of `sigma` pixels (three box filters, by Pillow)."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def add_noise(image: UInt8, sigma: float, rng: np.random.Generator) -> UInt8:
    """Add independent normal noise of standard deviation `sigma`, out of 255, to every value."""
    return _to_uint8(image + sigma * rng.standard_normal(image.shape, np.float32))


def recompress(image: UInt8, quality: int) -> UInt8:
    """Encode an image as JPEG of that quality, 1 to 100, and decode it again."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(open_listed(buffer))


def occlude(image: UInt8, fraction: float, rng: np.random.Generator, fill: Fill = "black") -> UInt8:
    """Occlude a square at a random place.

    Args:
        image: uint8 (S, S) or (S, S, 3).
        fraction: area of the square, in (0, 1]. In whole pixels it is nearly a square: 21 by 22 for 20 % of 48 by 48.
        rng: draws the place, and the stripes.
        fill: black, grey (the mean of the image) or stripes.
    """
    side = len(image)
    height = min(int(side * math.sqrt(fraction)), side)
    width = min(round(side * side * fraction / max(height, 1)), side)
    top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    occluded = image.copy()
    place = occluded[top : top + height, left : left + width]
    if fill == "stripes":
        place[...] = _stripes(image.shape, rng)[top : top + height, left : left + width]
    else:
        place[...] = round(image.mean()) if fill == "grey" else 0
    return occluded


def _stripes(shape: tuple[int, ...], rng: np.random.Generator) -> UInt8:
    """Return stripes of two random tones in a random direction, 1/48 to 1/12 of the side wide, as on cloth."""
    side = shape[0]
    angle, period = math.pi * rng.random(), side * math.exp(rng.uniform(math.log(1 / 24), math.log(1 / 6)))
    down, across = np.mgrid[:side, :side]
    phase = (across * math.cos(angle) + down * math.sin(angle)) / period
    tones = rng.integers(0, 256, 2).astype(np.uint8)
    striped: UInt8 = tones[np.floor(2 * phase).astype(np.int64) % 2]
    return striped.reshape((side, side, *(1,) * (len(shape) - 2)))


def reduce_resolution(image: UInt8, side: int) -> UInt8:
    """Shrink an image to `side` pixels and enlarge it again, with bilinear interpolation and antialiasing."""
    small = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((len(image), len(image)), Image.Resampling.BILINEAR))


def _pad(image: UInt8, margin: int, black: bool) -> UInt8:
    """Pad an image by `margin` pixels on each side with its repeated edges, or with black."""
    around = ((margin, margin), (margin, margin), *((0, 0),) * (image.ndim - 2))
    return np.pad(image, around) if black else np.pad(image, around, mode="edge")


def _to_uint8(values: npt.NDArray[np.floating]) -> UInt8:
    rounded: UInt8 = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def _rotate_either_way(image: UInt8, degrees: float, rng: np.random.Generator) -> UInt8:
    return rotate(image, degrees if rng.random() < 0.5 else -degrees)


def _shift_any_way(image: UInt8, percent: float, rng: np.random.Generator) -> UInt8:
    angle, length = 2 * math.pi * rng.random(), percent / 100 * len(image)
    return shift(image, round(length * math.cos(angle)), round(length * math.sin(angle)))


#: The perturbations that robustness is measured by. Lengths are fractions of the crop's side, so that they mean the
#: same for any input size. JPEG works in blocks of 8 pixels and is applied to the crop as it is.
PERTURBATIONS = (
    Perturbation(
        "Rotation", "degrees, either way", "{} degrees of rotation", 0, (5, 10, 20, 30, 45), _rotate_either_way
    ),
    Perturbation(
        "Zoom out", "% of the usual size", "{} % of the usual size", 100, (90, 80, 70, 60, 50),
        lambda image, strength, _: rescale(image, strength / 100),
    ),
    Perturbation(
        "Zoom in", "% of the usual size", "{} % of the usual size", 100, (110, 120, 135, 150, 175),
        lambda image, strength, _: rescale(image, strength / 100),
    ),
    Perturbation(
        "Shift", "% of the side, any way", "a shift by {} % of the side", 0, (4, 8, 12, 18, 25), _shift_any_way
    ),
    Perturbation(
        "Darker", "% of the brightness", "{} % of the brightness", 100, (80, 60, 40, 25, 10),
        lambda image, strength, _: adjust_brightness(image, strength / 100),
    ),
    Perturbation(
        "Brighter", "% of the brightness", "{} % of the brightness", 100, (125, 150, 200, 250, 300),
        lambda image, strength, _: adjust_brightness(image, strength / 100),
    ),
    Perturbation(
        "Contrast", "% of the contrast", "{} % of the contrast", 100, (80, 60, 40, 25, 10),
        lambda image, strength, _: adjust_contrast(image, strength / 100),
    ),
    Perturbation(
        "Blur", "σ in % of the side", "blur of σ {} % of the side", 0, (1, 2, 3, 4, 6),
        lambda image, strength, _: blur(image, strength / 100 * len(image)),
    ),
    Perturbation("Noise", "σ of 255", "noise of σ {} of 255", 0, (5, 10, 20, 35, 50), add_noise),
    Perturbation(
        "JPEG", "quality", "JPEG quality {}", 100, (70, 50, 30, 15, 5),
        lambda image, strength, _: recompress(image, round(strength)),
    ),
    Perturbation(
        "Occlusion", "% of the area, black", "{} % of the image occluded", 0, (5, 10, 20, 30, 40),
        lambda image, strength, rng: occlude(image, strength / 100, rng),
    ),
    Perturbation(
        "Striped occlusion", "% of the area", "{} % of the image behind stripes", 0, (5, 10, 20, 30, 40),
        lambda image, strength, rng: occlude(image, strength / 100, rng, "stripes"),
    ),
    Perturbation(
        "Low resolution", "% of the pixels on a side", "{} % of the pixels on a side", 100, (75, 50, 35, 25, 15),
        lambda image, strength, _: reduce_resolution(image, max(round(len(image) * strength / 100), 1)),
    ),
)  # fmt: skip

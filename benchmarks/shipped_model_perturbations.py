"""Perturb 48-pixel crops as a face detector, a camera or a file format would."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mien.arrays import UInt8
from mien.evaluation.perturbations import Fill, adjust_brightness, blur, occlude, recompress, rescale, rotate

Draw = Callable[[UInt8, np.random.Generator], UInt8]

DRAWS = 5  # of what is random


@dataclass(frozen=True)
class Change:
    """One change: the mean over its draws is reported; only a `wanted` one is held against the limit."""

    name: str
    draws: tuple[Draw, ...]
    wanted: bool = True


def hidden(fill: Fill) -> tuple[Draw, ...]:
    return (lambda image, rng: occlude(image, 0.2, rng, fill),) * DRAWS


CHANGES = (
    Change("rotated 15°, mean of both directions", (lambda p, _: rotate(p, 15), lambda p, _: rotate(p, -15))),
    Change(
        "rotated 15° on black",
        (lambda p, _: rotate(p, 15, black=True), lambda p, _: rotate(p, -15, black=True)),
        wanted=False,
    ),
    Change("face at 70 % of its size", (lambda p, _: rescale(p, 0.7),)),
    Change("face at 70 % on black", (lambda p, _: rescale(p, 0.7, black=True),), wanted=False),
    Change("face at 130 % of its size", (lambda p, _: rescale(p, 1.3),)),
    Change("brightness × 0.5", (lambda p, _: adjust_brightness(p, 0.5),)),
    Change("brightness × 1.5", (lambda p, _: adjust_brightness(p, 1.5),)),
    Change("Gaussian blur, 1 px", (lambda p, _: blur(p, 1),)),
    Change("JPEG quality 30", (lambda p, _: recompress(p, 30),)),
    Change(f"black square on 20 %, mean of {DRAWS} draws", hidden("black")),
    Change(f"grey square on 20 %, mean of {DRAWS} draws", hidden("grey"), wanted=False),
    Change(f"striped square on 20 %, mean of {DRAWS} draws", hidden("stripes"), wanted=False),
)


def apply(draw: Draw, images: UInt8, seed: int) -> UInt8:
    """Perturb every image of (N, 48, 48); the same seed gives the same images."""
    rng = np.random.default_rng(seed)
    return np.stack([draw(image, rng) for image in images])

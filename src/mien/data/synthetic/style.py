"""Draw the random numbers of a face: its look, which ignores the expression, and its cues, which depend on it alone.

Look and cues use two random streams. The order in which numbers are drawn is part of the meaning of a seed: with one
more, or one moved, the same seed gives another image. `mien.data.synthetic.render` paints.

Lengths are in face units (see `mien.data.synthetic.render.Pen`), angles in radians, colours RGB, float64, [0, 255].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(N, 2): x right, y down."""

Colour = NDArray[np.float64]
"""One colour (3,) or a palette (N, 3): RGB, 0-255."""


def palette(codes: str) -> Colour:
    """Return the colours of space-separated hexadecimal codes `rrggbb`, (N, 3)."""
    return np.array([list(bytes.fromhex(code)) for code in codes.split()], dtype=np.float64)


_SKINS = palette("ffe3cf f7cfae efbd94 dda577 c68a5b a86f45 8a5636 734831 5e3a29")
_HAIRS = palette("1d1a1c 2f221d 4a2f22 6e4526 98622f c58f45 e3c27a b5522b 9a9a9f dedcd8 6f4a9c 2f7f8c d46a8c")
_CLOTHES = palette("2f4a6d b8433f e0a33a 3f7d5a f1eee6 30343b 8c5b8f 5aa0b8 d97b5a")
_BACKDROPS = palette("cfe3ee f3d9c4 d8e6c9 e9d4e4 f4e7b8 b9c9d8 8fa7b5 6c7f77 4b4f68 a97f6b f2f0ea 2f3a45")
_IRISES = palette("3b2416 5a3a1e 2c4a63 4a6a45 1f1a18")
_FRAMES = palette("1c1c20 5b3b22 b03030 d8b34a e8e8ea")
_LIPS = palette("7a1f2b 9c3b3f 5a1c1c c0405a 3a1414")

_HAIR_SHAPES = "short fringe part curly spiky long bun bob bald beanie headscarf".split()
_TEETH = ("none", "top", "bottom", "all")
_BEARDS = ("none", "none", "none", "none", "full", "moustache", "stubble")
_GLASSES = ("none", "none", "none", "round", "square")
_OCCLUDERS = ("none", "none", "none", "none", "none", "none", "hand", "scarf", "mug", "strand")
_DEGRADATIONS = ("none", "none", "none", "dull", "blurred", "coarse", "noisy")
_NOSES = (
    [[0.0, 0.0], [0.07, 0.2], [-0.03, 0.22]],
    [[-0.07, 0.2], [0.0, 0.24], [0.07, 0.2]],
    [[-0.05, 0.0], [-0.08, 0.2], [0.03, 0.23]],
)


@dataclass(frozen=True)
class Cues:
    """The features that depend on the expression. Lengths in face units; `corner` > 0 lifts the mouth's corners."""

    corner: float
    brow_tilt: float
    brow_arch: float
    brow_lift: float
    lid_open: float
    lid_tilt: float
    cheek: float
    gaze: float
    closed_eyes: bool
    tear: bool
    gape: float = 1.0


def cues_of(expression: str, rng: np.random.Generator) -> Cues:
    """Return the cues of "happy", "sad" or (any other word) neutral; one drawing in eight shows them subtly."""
    subtle = rng.random() < 0.12
    force = rng.uniform(0.5, 0.7) if subtle else rng.uniform(0.8, 1.2)
    if expression == "happy":
        return Cues(
            corner=force * rng.uniform(0.15, 0.24),
            brow_tilt=rng.uniform(-0.03, 0.03),
            brow_arch=force * rng.uniform(0.05, 0.11),
            brow_lift=rng.uniform(-0.02, 0.06),
            lid_open=rng.uniform(0.5, 0.95),
            lid_tilt=rng.uniform(-0.03, 0.01),
            cheek=force * rng.uniform(0.5, 1.0),
            gaze=rng.uniform(-0.2, 0.25),
            closed_eyes=bool(rng.random() < 0.15),
            tear=False,
        )
    if expression == "sad":
        return Cues(
            corner=-force * rng.uniform(0.14, 0.23),
            brow_tilt=force * rng.uniform(0.07, 0.14),
            brow_arch=rng.uniform(-0.03, 0.03),
            brow_lift=rng.uniform(-0.02, 0.06),
            lid_open=rng.uniform(0.5, 0.95),
            lid_tilt=force * rng.uniform(0.02, 0.06),
            cheek=0.0,
            gaze=rng.uniform(-0.1, 0.4),
            closed_eyes=bool(rng.random() < 0.1),
            tear=bool(rng.random() < 0.12),
        )
    return Cues(
        corner=rng.uniform(-0.02, 0.02),
        brow_tilt=rng.uniform(-0.02, 0.03),
        brow_arch=rng.uniform(0.02, 0.06),
        brow_lift=rng.uniform(-0.02, 0.04),
        lid_open=rng.uniform(0.8, 1.05),
        lid_tilt=rng.uniform(-0.015, 0.015),
        cheek=0.0,
        gaze=rng.uniform(-0.2, 0.2),
        closed_eyes=False,
        tear=False,
        gape=0.4,
    )


class Look:
    """Everything else about one drawing, at random, independent of the expression. Lengths in face units."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._person()
        self._features()
        self._props()
        self._pose_and_camera()

    def _between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def _chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def _one_of(self, names: Sequence[str]) -> str:
        return names[int(self.rng.integers(len(names)))]

    def _colour(self, palette: Colour) -> Colour:
        """Return a colour of the palette, slightly changed, so that no two are equal."""
        colour: Colour = palette[self.rng.integers(len(palette))] + self.rng.uniform(-9, 9, 3)
        return colour

    def _person(self) -> None:
        between = self._between
        self.skin, self.hair, self.cloth = self._colour(_SKINS), self._colour(_HAIRS), self._colour(_CLOTHES)
        self.shape = self._one_of(_HAIR_SHAPES)
        self.wide, self.jaw, self.square = between(0.70, 0.86), between(0.0, 0.28), between(0.78, 1.0)
        self.hairline, self.curl, self.side = between(-0.66, -0.5), between(0.1, 0.19), between(-1, 1)
        hidden = self.shape in ("beanie", "headscarf", "bald")
        self.brow = self._colour(_HAIRS[:6]) if hidden else self.hair
        bearded = self.shape not in ("long", "bob", "bun", "headscarf")
        self.beard = self._one_of(_BEARDS) if bearded else "none"
        self.blush, self.nose = between(0, 0.25), np.array(_NOSES[self.rng.integers(len(_NOSES))])

    def _features(self) -> None:
        between = self._between
        self.aside = between(-0.05, 0.05)  # turning the head slightly moves all features
        self.eye_x, self.eye_y = between(0.29, 0.37), between(-0.14, -0.04)
        self.eye_w, self.eye_h = between(0.12, 0.175), between(0.09, 0.13)
        self.iris = self._colour(_IRISES)
        self.brow_gap, self.brow_thick = between(0.19, 0.25), between(0.022, 0.05)
        self.mouth_y, self.mouth_tilt = between(0.48, 0.55), between(-0.03, 0.03)
        self.mouth_w = between(0.2, 0.25) if self._chance(0.1) else between(0.3, 0.42)
        self.mouth_open = between(0.1, 0.3) if self._chance(0.4) else 0.0
        self.teeth = self._one_of(_TEETH)
        # Nobody could see lips that are darker than dark skin.
        self.light_lips = self._chance(0.12) or float(self.skin.mean()) < 105
        self.lip_tone = self._colour(_LIPS)
        self.lip_thick, self.lip_shade = between(0.03, 0.06), between(0.5, 0.8)

    def _props(self) -> None:
        self.glasses, self.frame = self._one_of(_GLASSES), self._colour(_FRAMES)
        self.occluder = self._one_of(_OCCLUDERS)
        if self.occluder == "strand" and self.shape not in ("long", "bob", "curly", "part"):
            self.occluder = "hand"
        self.occluder_side, self.occluder_colour = (1 if self._chance(0.5) else -1), self._colour(_CLOTHES)
        self.backdrop = self._one_of(("plain", "gradient", "clouds", "stripes", "spots"))
        self.back = self._colour(_BACKDROPS)
        self.back_too = self._colour(_BACKDROPS)

    def _pose_and_camera(self) -> None:
        between, side = self._between, 1 if self._chance(0.5) else -1
        # Mostly near upright; about one in seven is turned 10 to 20 degrees.
        self.angle = float(np.radians(side * (between(10, 20) if self._chance(0.15) else between(0, 5))))
        self.scale = between(0.42, 0.48)  # of the image width, for one face unit
        self.shift = np.array([between(-0.025, 0.025), between(-0.02, 0.025)])
        self.light = (between(-0.35, 0.35), between(-0.2, 0.2)) if self._chance(0.5) else (0.0, 0.0)
        # Dark skin gets more exposure, as a photographer would give it.
        self.gain = between(0.78, 1.12) if self.skin.mean() > 105 else between(0.95, 1.2)
        # At most one degradation, so that a person can still tell the expression.
        degradation = self._one_of(_DEGRADATIONS)
        self.contrast = between(0.5, 0.75) if degradation == "dull" else between(0.85, 1.1)
        self.blur = between(0.5, 1.1) if degradation == "blurred" else 0.0
        self.coarse = between(0.45, 0.6) if degradation == "coarse" else 1.0
        self.noise = between(6, 14) if degradation == "noisy" else between(0, 2.5)

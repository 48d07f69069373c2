"""Seeded drawings of happy, sad and neutral faces: demo and test data with known truth, and no download.

A drawing comes from two independent streams of random numbers. The *look* (skin, hair, glasses, pose, light,
backdrop, what hides a part of the face) never sees the expression; the *cues* (mouth, brows, eyes, cheeks)
are all that the expression sets. So `draw_face("happy", 7)` and `draw_face("sad", 7)` are the same person in
the same light. Lips are lighter or darker than the skin, and mouths open, closed and toothed, in every class
alike: brightness at one place says nothing, so a linear model on the pixels stays near chance and a small CNN
does not.

Which features carry the expression follows the action units of Ekman & Friesen, *Facial Action Coding
System* (1978): cheeks raised (6) and lip corners up (12) for happy; inner brows up (1), lip corners down (15)
and heavy lids for sad.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from mien.errors import InputError

EXPRESSIONS = ("happy", "sad", "neutral")

Points = NDArray[np.float64]
Colour = NDArray[np.float64]

_SUPERSAMPLING = 3
_SMALLEST, _LARGEST = 24, 1024


# Colours are RGB, float, 0-255: one (3,) or a palette (N, 3).
def _palette(codes: str) -> Colour:
    return np.array([list(bytes.fromhex(code)) for code in codes.split()], dtype=np.float64)


_SKINS = _palette("ffe3cf f7cfae efbd94 dda577 c68a5b a86f45 8a5636 734831 5e3a29")
_HAIRS = _palette("1d1a1c 2f221d 4a2f22 6e4526 98622f c58f45 e3c27a b5522b 9a9a9f dedcd8 6f4a9c 2f7f8c d46a8c")
_CLOTHES = _palette("2f4a6d b8433f e0a33a 3f7d5a f1eee6 30343b 8c5b8f 5aa0b8 d97b5a")
_BACKDROPS = _palette("cfe3ee f3d9c4 d8e6c9 e9d4e4 f4e7b8 b9c9d8 8fa7b5 6c7f77 4b4f68 a97f6b f2f0ea 2f3a45")
_IRISES = _palette("3b2416 5a3a1e 2c4a63 4a6a45 1f1a18")
_FRAMES = _palette("1c1c20 5b3b22 b03030 d8b34a e8e8ea")
_LIPS = _palette("7a1f2b 9c3b3f 5a1c1c c0405a 3a1414")
_DARK, _WHITE, _PALE_LIP, _BLUSH, _TONGUE, _TEAR = _palette("261416 fcfaf4 ffd9d2 e0605a c65a62 9fd4ef")

_HAIR_SHAPES = (
    "short",
    "fringe",
    "part",
    "curly",
    "spiky",
    "long",
    "bun",
    "bob",
    "bald",
    "beanie",
    "headscarf",
)
_TEETH = ("none", "top", "bottom", "all")
_BEARDS = ("none", "none", "none", "none", "full", "moustache", "stubble")
_BEARD_SHARE = {"full": 0.92, "stubble": 0.22}  # of the hair's colour in the skin's
_GLASSES = ("none", "none", "none", "round", "square")
_COVERS = ("none", "none", "none", "none", "none", "none", "hand", "scarf", "mug", "strand")
_FAULTS = ("none", "none", "none", "dull", "blurred", "coarse", "noisy")
_NOSES = (
    [[0.0, 0.0], [0.07, 0.2], [-0.03, 0.22]],
    [[-0.07, 0.2], [0.0, 0.24], [0.07, 0.2]],
    [[-0.05, 0.0], [-0.08, 0.2], [0.03, 0.23]],
)


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return a + (b - a) * share


def _ellipse(x: float, y: float, rx: float, ry: float, n: int = 28) -> Points:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def _band(x: Points, upper: Points, lower: Points) -> Points:
    """The outline of the area between two curves over the same `x`."""
    return np.concatenate([np.stack([x, upper], 1), np.stack([x, lower], 1)[::-1]])


class _Pen:
    """Draws in face units: origin between eyes and nose, x right, y down, the chin near y = 1."""

    def __init__(self, canvas: Image.Image, scale: float, angle: float, centre: Points) -> None:
        self.draw = ImageDraw.Draw(canvas)
        self.scale = scale
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.matrix = turn * scale
        self.centre = centre

    def fill(self, points: Points, colour: Colour) -> None:
        at = points @ self.matrix + self.centre
        self.draw.polygon(at.ravel().tolist(), fill=_ink(colour))

    def stroke(self, points: Points, width: float, colour: Colour) -> None:
        at = points @ self.matrix + self.centre
        pixels = max(1, round(width * self.scale))
        self.draw.line(at.ravel().tolist(), fill=_ink(colour), width=pixels, joint="curve")


def _ink(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


@dataclass(frozen=True)
class _Cues:
    """What the expression sets. Lengths in face units; `corner` > 0 lifts the mouth's corners."""

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


def _cues(expression: str, rng: np.random.Generator) -> _Cues:
    subtle = rng.random() < 0.12
    force = rng.uniform(0.5, 0.7) if subtle else rng.uniform(0.8, 1.2)
    if expression == "happy":
        return _Cues(
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
        return _Cues(
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
    return _Cues(
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


class _Look:
    """Everything else about one drawing, at random, not knowing the expression. Lengths in face units."""

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
        """One of the palette, a little off, so that no two are quite the same."""
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
        self.blush, self.nose = between(0, 0.25), self.rng.integers(len(_NOSES))

    def _features(self) -> None:
        between = self._between
        self.aside = between(-0.05, 0.05)  # the head turned a little to one side moves all features
        self.eye_x, self.eye_y = between(0.29, 0.37), between(-0.14, -0.04)
        self.eye_w, self.eye_h = between(0.12, 0.175), between(0.09, 0.13)
        self.iris = self._colour(_IRISES)
        self.brow_gap, self.brow_thick = between(0.19, 0.25), between(0.022, 0.05)
        self.mouth_y, self.mouth_tilt = between(0.48, 0.55), between(-0.03, 0.03)
        self.mouth_w = between(0.2, 0.25) if self._chance(0.1) else between(0.3, 0.42)
        self.mouth_open = between(0.1, 0.3) if self._chance(0.4) else 0.0
        self.teeth = self._one_of(_TEETH)
        # Lips darker than dark skin could not be seen, by a person either.
        self.light_lips = self._chance(0.12) or float(self.skin.mean()) < 105
        self.lip_tone, self.lip_thick, self.lip_shade = (
            self._colour(_LIPS),
            between(0.03, 0.06),
            between(0.5, 0.8),
        )

    def _props(self) -> None:
        self.glasses, self.frame = self._one_of(_GLASSES), self._colour(_FRAMES)
        self.cover = self._one_of(_COVERS)
        if self.cover == "strand" and self.shape not in ("long", "bob", "curly", "part"):
            self.cover = "hand"
        self.cover_side, self.cover_colour = (1 if self._chance(0.5) else -1), self._colour(_CLOTHES)
        self.backdrop = self._one_of(("plain", "gradient", "clouds", "stripes", "spots"))
        self.back = self._colour(_BACKDROPS)
        self.back_too = self._colour(_BACKDROPS)

    def _pose_and_camera(self) -> None:
        between, side = self._between, 1 if self._chance(0.5) else -1
        # Mostly near upright, one in five strongly turned.
        self.angle = float(np.radians(side * (between(10, 20) if self._chance(0.15) else between(0, 5))))
        self.scale = between(0.42, 0.48)  # of the picture's width, for one face unit
        self.shift = np.array([between(-0.025, 0.025), between(-0.02, 0.025)])
        self.light = (between(-0.35, 0.35), between(-0.2, 0.2)) if self._chance(0.5) else (0.0, 0.0)
        # Dark skin is exposed for, as a photographer would.
        self.gain = between(0.78, 1.12) if self.skin.mean() > 105 else between(0.95, 1.2)
        # At most one of the camera's faults, so that a person can still tell the expression.
        fault = self._one_of(_FAULTS)
        self.contrast = between(0.5, 0.75) if fault == "dull" else between(0.85, 1.1)
        self.blur = between(0.5, 1.1) if fault == "blurred" else 0.0
        self.coarse = between(0.45, 0.6) if fault == "coarse" else 1.0
        self.noise = between(6, 14) if fault == "noisy" else between(0, 2.5)


def _backdrop(look: _Look, side: int) -> Image.Image:
    """Plain, gradient, clouds, stripes or spots, (side, side)."""
    if look.backdrop == "plain":
        return Image.new("RGB", (side, side), _ink(look.back))
    cells = {"gradient": (2, 2), "stripes": (1, 9)}.get(look.backdrop, (7, 7))
    share = 0.5 * look.rng.random(cells)[..., None]
    grid = np.clip(look.back + (look.back_too - look.back) * share, 0, 255).astype(np.uint8)
    way = Image.Resampling.NEAREST if look.backdrop == "stripes" else Image.Resampling.BICUBIC
    canvas = Image.fromarray(grid).resize((side, side), way)
    if look.backdrop == "spots":
        draw, ink = ImageDraw.Draw(canvas), _ink(_mix(look.back, look.back_too, 0.75))
        for x, y, r in look.rng.random((14, 3)) * side:
            draw.circle((x, y), side * 0.02 + r * 0.05, fill=ink)
    return canvas


def _outline(look: _Look, grow: float = 1, start: float = 0, end: float = 2 * np.pi, n: int = 48) -> Points:
    """The head's outline between two angles (0 is right, clockwise on the screen)."""
    angle = np.linspace(start, end, n)
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.sign(cos) * np.abs(cos) ** look.square * look.wide * (1 - look.jaw * np.clip(sin, 0, 1) ** 2)
    return np.stack([x * grow, sin * grow], axis=1)


def _cap(look: _Look, grow: float, droop: float, hairline: Points) -> Points:
    """Hair or hat: the head's upper outline, grown, closed by a hairline from right to left (N,) over x."""
    top = _outline(look, grow, np.pi - droop, 2 * np.pi + droop)
    inside = 0.97 * look.wide * (1 - np.clip(hairline, -0.99, 0) ** 2) ** (look.square / 2)
    x = np.clip(np.linspace(top[-1, 0], top[0, 0], hairline.size), -inside, inside)  # or the backdrop shows
    return np.concatenate([top, np.stack([x, hairline], axis=1)])


def _back(pen: _Pen, look: _Look) -> None:
    """What stands behind the head: long hair, neck, shoulders, ears."""
    hair, wide = look.hair, look.wide
    if look.shape in ("long", "bob"):
        low, shaded = (1.25 if look.shape == "long" else 0.62), _mix(hair, _DARK, 0.2)
        x = np.array([-1.0, -1.12, -1.12, -0.7, 0.7, 1.12, 1.12, 1.0]) * (wide + 0.12)
        y = np.array([-0.5, 0, low, low + 0.1, low + 0.1, low, 0, -0.5])
        pen.fill(np.stack([x, y], axis=1), shaded)
        pen.fill(_ellipse(0, -0.2, wide * 1.22, 0.98), shaded)
    if look.shape == "bun":
        pen.fill(_ellipse(0.25 * look.side, -1.14, 0.3, 0.27), hair)
    if look.shape == "headscarf":
        pen.fill(_ellipse(0, 0.05, wide * 1.32, 1.24), look.cloth)
    shade = _mix(look.skin, _DARK, 0.22)
    pen.fill(np.array([[-0.3, 0.6], [0.3, 0.6], [0.34, 1.4], [-0.34, 1.4]]), shade)
    shoulders = _ellipse(0, 1.95, 1.25, 0.72)[14:]
    pen.fill(np.concatenate([shoulders, np.array([[1.3, 3.5], [-1.3, 3.5]])]), look.cloth)
    if look.shape == "headscarf":
        pen.fill(_ellipse(0, 0.95, 0.62, 0.42), _mix(look.cloth, _DARK, 0.12))
        return
    for s in (-1, 1):
        pen.fill(_ellipse(s * wide, 0.02, 0.12, 0.19), _mix(look.skin, _DARK, 0.08))


def _head_cover(pen: _Pen, look: _Look) -> None:
    """A headscarf or a beanie over the forehead."""
    u, line = np.linspace(1, -1, 21), look.hairline
    if look.shape == "headscarf":
        pen.fill(np.concatenate([_outline(look, 1.12), _outline(look, 0.93)[::-1]]), look.cloth)
        pen.fill(_cap(look, 1.12, -0.45, line + 0.3 * u**2), look.cloth)
        return
    pen.fill(_cap(look, 1.13, -0.38, line + 0.06 * u**2), look.cloth)
    rim = line + 0.02 + 0.1 * u**2
    pen.fill(_band(u * look.wide * 1.08, rim - 0.1, rim + 0.1), _mix(look.cloth, _WHITE, 0.25))
    pen.fill(_ellipse(0, -1.18, 0.15, 0.15), _mix(look.cloth, _WHITE, 0.4))


def _hair(pen: _Pen, look: _Look) -> None:
    """Hair over the forehead, with a shine."""
    u, line = np.linspace(1, -1, 21), look.hairline
    curve = line + 0.35 * u**4
    if look.shape == "fringe":
        curve = line + 0.12 + 0.03 * np.cos(u * 14) + 0.2 * u**6
    elif look.shape in ("part", "bob", "long"):
        curve = line - 0.12 + 0.35 * np.abs(u - 0.4 * look.side) ** 1.3
    elif look.shape == "spiky":
        x = np.linspace(-1, 1, 15)
        tall = np.where(np.arange(15) % 2 == 1, 1.02, 0.73)
        pen.fill(np.stack([x * look.wide * 1.02, -0.25 - tall * np.sqrt(1 - 0.85 * x**2)], axis=1), look.hair)
    elif look.shape == "curly":
        for x, y in _outline(look, 0.98, np.pi * 0.95, np.pi * 2.05, 13):
            pen.fill(_ellipse(x, y, look.curl, look.curl, 16), look.hair)
        curve = line + 0.04 * np.cos(u * 16) + 0.3 * u**4
    pen.fill(_cap(look, 1.06, 0.05 if look.shape in ("long", "bob") else -0.05, curve), look.hair)
    x, y = _outline(look, 0.95, np.pi * 1.3, np.pi * 1.52, 9).T
    shine = _band(x, y, y + 0.07 * np.sin(np.linspace(0, np.pi, 9)))
    pen.fill(shine, _mix(look.hair, _WHITE, 0.18))


def _beard(pen: _Pen, look: _Look) -> None:
    u = np.linspace(-1, 1, 21)
    if look.beard == "moustache":
        y = look.mouth_y - 0.2 + 0.04 * u**2
        x = u * 0.27 + look.aside
        pen.fill(_band(x, y - 0.05 * (1 - u**2), y + 0.05 * np.cos(u * 1.5)), look.brow)
    elif look.beard != "none":
        chin = _outline(look, 1.02, 0.05, np.pi - 0.05)
        top = np.stack([u * chin[0, 0] * 0.98, look.mouth_y - 0.2 - 0.3 * u**6], axis=1)
        pen.fill(np.concatenate([chin, top]), _mix(look.skin, look.brow, _BEARD_SHARE[look.beard]))


def _eyes(pen: _Pen, look: _Look, cues: _Cues) -> None:
    lash = _mix(look.skin, _DARK, 0.85)
    u = np.linspace(-1, 1, 15)  # from the inner to the outer corner
    bow, tilt = look.eye_h * (1 - u**2), cues.lid_tilt * u
    for s in (-1, 1):
        middle = s * look.eye_x + look.aside
        x = middle + s * u * look.eye_w
        if cues.closed_eyes:  # arched up by the cheeks when happy, hanging otherwise
            y = look.eye_y + tilt - (0.5 if cues.corner > 0 else -0.4) * bow
            pen.stroke(np.stack([x, y], axis=1), 0.045, lash)
        else:
            upper = look.eye_y + tilt - cues.lid_open * bow
            lower = look.eye_y + tilt + (0.75 - 0.65 * cues.cheek) * bow
            pen.fill(_band(x, upper, lower), _WHITE)
            for radius, colour in ((0.085, look.iris), (0.042, _DARK)):
                disc = _ellipse(middle, look.eye_y + 0.08 * cues.gaze - 0.01, radius, radius, 20)
                lids = (np.interp(disc[:, 0] * s, x * s, lid) for lid in (upper, lower))
                disc[:, 1] = np.clip(disc[:, 1], *lids)  # only what shows between the lids
                pen.fill(disc, colour)
            pen.stroke(np.stack([x, upper], axis=1), 0.035, lash)
        if cues.tear:
            pen.fill(_ellipse(middle, look.eye_y + 0.24, 0.035, 0.08), _TEAR)


def _brows(pen: _Pen, look: _Look, cues: _Cues) -> None:
    v = np.linspace(-1, 1, 11)
    for s in (-1, 1):
        x = s * (look.eye_x + v * 0.19) + look.aside
        y = look.eye_y - look.brow_gap - cues.brow_lift + cues.brow_tilt * v - cues.brow_arch * (1 - v**2)
        half = look.brow_thick * (1 - 0.35 * v - 0.3 * v**2)
        pen.fill(_band(x, y - half, y + half), look.brow)


def _mouth(pen: _Pen, look: _Look, cues: _Cues) -> None:
    t = np.linspace(-1, 1, 19)
    x, size = t * look.mouth_w + look.aside, look.mouth_w / 0.3
    bend = look.mouth_y + look.mouth_tilt * t - cues.corner * size**0.7 * (t**2 - 0.4)
    around = _mix(look.skin, look.brow, 0.92) if look.beard == "full" else look.skin
    lips = _mix(around, _PALE_LIP if look.light_lips else look.lip_tone, look.lip_shade)
    thick = look.lip_thick * (1.15 - 0.75 * t**2)
    gap = look.mouth_open * cues.gape * (1 - t**2) * size
    upper, lower = bend - gap / 2, bend + gap / 2
    pen.fill(_band(x, upper - thick, lower + thick), lips)
    if not look.mouth_open:
        pen.stroke(np.stack([x, bend], axis=1), 0.022, _mix(lips, _DARK, 0.6))
        return
    pen.fill(_band(x, upper, lower), _WHITE if look.teeth == "all" else _DARK)
    if look.teeth == "top":
        pen.fill(_band(x, upper, upper + 0.4 * gap), _WHITE)
    elif look.teeth == "bottom":
        pen.fill(_band(x, lower - 0.4 * gap, lower), _WHITE)
    elif look.teeth == "none":
        pen.fill(_band(x, lower - 0.35 * gap, lower)[3:-3], _TONGUE)


def _face(pen: _Pen, look: _Look, cues: _Cues) -> None:
    pen.fill(_outline(look), look.skin)
    _beard(pen, look)
    for s in (-1, 1):
        cheek = _ellipse(s * 0.42 + look.aside, 0.24 - 0.06 * cues.cheek, 0.17, 0.1)
        pen.fill(cheek, _mix(look.skin, _BLUSH, look.blush))
    _mouth(pen, look, cues)
    _eyes(pen, look, cues)
    nose = np.array(_NOSES[look.nose])
    nose[:, 0] += 1.4 * look.aside  # it stands out, so it moves more when the head turns
    pen.stroke(nose, 0.035, _mix(look.skin, _DARK, 0.35))
    if look.shape in ("beanie", "headscarf"):
        _head_cover(pen, look)
    elif look.shape != "bald":
        _hair(pen, look)
    _brows(pen, look, cues)  # over a fringe or a rim, as cartoonists do: no look may hide the brows


def _glasses(pen: _Pen, look: _Look) -> None:
    if look.glasses == "none":
        return
    if look.glasses == "round":
        ring = _ellipse(0, 0.01, 0.24, 0.2)
    else:
        ring = np.array([[-0.24, -0.16], [0.24, -0.16], [0.22, 0.17], [-0.22, 0.17]])
    ring = np.concatenate([ring, ring[:2]])
    for s in (-1, 1):
        pen.stroke(ring + np.array([s * look.eye_x + look.aside, look.eye_y]), 0.035, look.frame)
    inner = look.eye_x - 0.23
    bridge = np.array([[look.aside - inner, look.eye_y], [look.aside + inner, look.eye_y]])
    pen.stroke(bridge, 0.035, look.frame)


def _cover(pen: _Pen, look: _Look) -> None:
    """What hides a part of the face: never the mouth and the eyes together."""
    s, colour = look.cover_side, look.cover_colour
    if look.cover == "hand":
        for finger in range(4):
            shade = _mix(look.skin, _DARK, 0.06 + 0.05 * (finger % 2))
            pen.fill(_ellipse(s * (0.52 + 0.13 * finger), 0.42 + 0.02 * finger, 0.085, 0.32), shade)
        pen.fill(_ellipse(s * 0.74, 0.85, 0.3, 0.36), _mix(look.skin, _DARK, 0.08))
    elif look.cover == "scarf":
        u = np.linspace(-1, 1, 13)
        hang = 0.1 * (1 - u**2)
        pen.fill(_band(u * 0.95, 0.8 + 0.6 * hang, 1.35 + hang), colour)
        pen.stroke(np.stack([u * 0.9, 1.05 + hang], axis=1), 0.04, _mix(colour, _DARK, 0.25))
    elif look.cover == "mug":
        pen.fill(np.array([[0.3, 0.66], [0.95, 0.66], [0.9, 1.4], [0.36, 1.4]]) * [s, 1], colour)
        pen.fill(_ellipse(s * 0.625, 0.66, 0.325, 0.06), _mix(colour, _DARK, 0.35))
    elif look.cover == "strand":
        x, y = np.array([[0.2, 0.62, 0.8, 0.86, 0.7, 0.55], [-0.95, -0.8, -0.3, 0.7, 0.8, -0.2]])
        pen.fill(np.stack([x * s, y], axis=1), look.hair)


def _camera(picture: Image.Image, look: _Look) -> NDArray[np.uint8]:
    """Light, contrast, blur, coarse pixels and noise, as a photograph would have them."""
    size = picture.width
    if look.coarse < 1:
        small = max(20, round(size * look.coarse))
        way = Image.Resampling.BILINEAR
        picture = picture.resize((small, small), way).resize((size, size), way)
    if look.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(look.blur * size / 96))
    pixels = np.asarray(picture, dtype=np.float32)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    light = look.gain * (1 + look.light[0] * ramp[None, :] + look.light[1] * ramp[:, None])
    noise = look.rng.standard_normal((size, size), dtype=np.float32) * look.noise
    pixels = (pixels * light[..., None] - 118) * look.contrast + 118 + noise[..., None]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def draw_face(expression: str, seed: int, size: int = 96) -> NDArray[np.uint8]:
    """Draw one face.

    Args:
        expression: one of `EXPRESSIONS`.
        seed: 0 or more. The same seed gives the same person, pose and light with every expression.
        size: height and width in pixels, 24 to 1024.

    Returns:
        RGB, uint8, (size, size, 3), 0-255; the same for the same three arguments.

    Raises:
        InputError: an argument is out of range.
    """
    _check(expression, seed, size)
    look = _Look(np.random.default_rng([seed, 0]))
    cues = _cues(expression, np.random.default_rng([seed, 1, EXPRESSIONS.index(expression)]))
    side = size * _SUPERSAMPLING
    canvas = _backdrop(look, side)
    pen = _Pen(canvas, look.scale * side, look.angle, (0.5 + look.shift) * side)
    _back(pen, look)
    _face(pen, look, cues)
    _glasses(pen, look)
    _cover(pen, look)
    return _camera(canvas.reduce(_SUPERSAMPLING), look)


def _check(expression: str, seed: int, size: int) -> None:
    if expression not in EXPRESSIONS:
        raise InputError(f"expression {expression!r} cannot be drawn: use one of {', '.join(EXPRESSIONS)}")
    if seed < 0:
        raise InputError(f"seed is {seed}: use 0 or more")
    if not _SMALLEST <= size <= _LARGEST:
        raise InputError(f"size is {size}: use {_SMALLEST} to {_LARGEST} pixels")


def write_dataset(
    folder: Path,
    per_class: int,
    seed: int = 0,
    size: int = 96,
    classes: Sequence[str] = ("happy", "sad"),
    *,
    on_file: Callable[[], None] | None = None,
) -> list[Path]:
    """Write `folder/<class>/<class>-00001.jpg` and so on: JPEG of quality 80 to 95, and one in eight a PNG.

    Every drawing has a seed of its own. A larger `per_class` extends a smaller one: same first files.

    Args:
        folder: made if missing; its class folders must be missing or empty.
        per_class: drawings per class, 1 or more.
        seed: 0 or more.
        size: height and width in pixels, 24 to 1024.
        classes: names from `EXPRESSIONS`, each once.
        on_file: called after each file, for a progress bar.

    Returns:
        The files, in the order of `classes` and numbers.

    Raises:
        InputError: an argument is out of range, or a class folder already holds files.
    """
    if per_class < 1:
        raise InputError(f"per_class is {per_class}: use 1 or more")
    if not classes or len(set(classes)) != len(classes):
        raise InputError(f"classes are {', '.join(classes) or 'none'}: name at least one, each once")
    for name in classes:
        _check(name, seed, size)
        if (folder / name).exists() and any((folder / name).iterdir()):
            raise InputError(f"{folder / name} already holds files: name a new folder")
    written = []
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(1, per_class + 1):
            source = np.random.SeedSequence([seed, EXPRESSIONS.index(name), number])
            written.append(_write_one(folder / name, name, number, size, source))
            if on_file is not None:
                on_file()
    return written


def _write_one(folder: Path, name: str, number: int, size: int, source: np.random.SeedSequence) -> Path:
    picture = Image.fromarray(draw_face(name, int(source.generate_state(1, np.uint64)[0]), size))
    rng = np.random.default_rng(source)
    if rng.random() < 1 / 8:
        path = folder / f"{name}-{number:05d}.png"
        picture.save(path)
    else:
        path = folder / f"{name}-{number:05d}.jpg"
        picture.save(path, quality=int(rng.integers(80, 96)))
    return path

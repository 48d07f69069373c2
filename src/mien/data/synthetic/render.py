"""Paint one drawn face, back to front.

Draws no random numbers: `mien.data.synthetic.style` decides everything. Colours are RGB, float, [0, 255]; lengths are
in face units.
"""

import numpy as np
from PIL import Image, ImageDraw

from mien.data.synthetic.style import Colour, Cues, Look, Points, palette

_DARK, _WHITE, _PALE_LIP, _BLUSH, _TONGUE, _TEAR = palette("261416 fcfaf4 ffd9d2 e0605a c65a62 9fd4ef")
_BEARD_OPACITY = {"full": 0.92, "stubble": 0.22}  # of the beard over the skin


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return the colour at the fraction `share` of the way from `a` to `b`."""
    return a + (b - a) * share


def ink(colour: Colour) -> tuple[int, int, int]:
    """Return a colour for Pillow: three integers, clipped to [0, 255]."""
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


class Pen:
    """Draws in face units: origin between eyes and nose, x right, y down, the chin near y = 1.

    `scale` is pixels per face unit, `angle` the head's turn in radians, `centre` (2,) the origin in pixels.
    """

    def __init__(self, canvas: Image.Image, scale: float, angle: float, centre: Points) -> None:
        self.draw = ImageDraw.Draw(canvas)
        self.scale = scale
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.matrix = turn * scale
        self.centre = centre

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a closed outline."""
        at = points @ self.matrix + self.centre
        self.draw.polygon(at.ravel().tolist(), fill=ink(colour))

    def stroke(self, points: Points, width: float, colour: Colour) -> None:
        """Draw an open line; `width` in face units, at least a pixel."""
        at = points @ self.matrix + self.centre
        pixels = max(1, round(width * self.scale))
        self.draw.line(at.ravel().tolist(), fill=ink(colour), width=pixels, joint="curve")


def draw_person(pen: Pen, look: Look, cues: Cues) -> None:
    """Paint a face on a canvas, back to front."""
    _back(pen, look)
    _face(pen, look, cues)
    _glasses(pen, look)
    _occluder(pen, look)


def _ellipse(x: float, y: float, rx: float, ry: float, n: int = 28) -> Points:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def _band(x: Points, upper: Points, lower: Points) -> Points:
    """Return the outline of the area between two curves over the same `x`."""
    return np.concatenate([np.stack([x, upper], 1), np.stack([x, lower], 1)[::-1]])


def _outline(look: Look, grow: float = 1, start: float = 0, end: float = 2 * np.pi, n: int = 48) -> Points:
    """Return the head's outline between two angles (0 is right, clockwise on the screen)."""
    angle = np.linspace(start, end, n)
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.sign(cos) * np.abs(cos) ** look.square * look.wide * (1 - look.jaw * np.clip(sin, 0, 1) ** 2)
    return np.stack([x * grow, sin * grow], axis=1)


def _cap(look: Look, grow: float, droop: float, hairline: Points) -> Points:
    """Return hair or hat: the head's upper outline, grown, closed by a hairline (N,) from right to left."""
    top = _outline(look, grow, np.pi - droop, 2 * np.pi + droop)
    inside = 0.97 * look.wide * (1 - np.clip(hairline, -0.99, 0) ** 2) ** (look.square / 2)
    x = np.clip(np.linspace(top[-1, 0], top[0, 0], hairline.size), -inside, inside)  # otherwise the backdrop shows
    return np.concatenate([top, np.stack([x, hairline], axis=1)])


def _back(pen: Pen, look: Look) -> None:
    """Paint what is behind the face: long hair, neck, shoulders, ears."""
    hair, wide = look.hair, look.wide
    if look.shape in ("long", "bob"):
        low, shaded = (1.25 if look.shape == "long" else 0.62), mix(hair, _DARK, 0.2)
        x = np.array([-1.0, -1.12, -1.12, -0.7, 0.7, 1.12, 1.12, 1.0]) * (wide + 0.12)
        y = np.array([-0.5, 0, low, low + 0.1, low + 0.1, low, 0, -0.5])
        pen.fill(np.stack([x, y], axis=1), shaded)
        pen.fill(_ellipse(0, -0.2, wide * 1.22, 0.98), shaded)
    if look.shape == "bun":
        pen.fill(_ellipse(0.25 * look.side, -1.14, 0.3, 0.27), hair)
    if look.shape == "headscarf":
        pen.fill(_ellipse(0, 0.05, wide * 1.32, 1.24), look.cloth)
    shade = mix(look.skin, _DARK, 0.22)
    pen.fill(np.array([[-0.3, 0.6], [0.3, 0.6], [0.34, 1.4], [-0.34, 1.4]]), shade)
    shoulders = _ellipse(0, 1.95, 1.25, 0.72)[14:]
    pen.fill(np.concatenate([shoulders, np.array([[1.3, 3.5], [-1.3, 3.5]])]), look.cloth)
    if look.shape == "headscarf":
        pen.fill(_ellipse(0, 0.95, 0.62, 0.42), mix(look.cloth, _DARK, 0.12))
        return
    for s in (-1, 1):
        pen.fill(_ellipse(s * wide, 0.02, 0.12, 0.19), mix(look.skin, _DARK, 0.08))


def _face(pen: Pen, look: Look, cues: Cues) -> None:
    pen.fill(_outline(look), look.skin)
    _beard(pen, look)
    for s in (-1, 1):
        cheek = _ellipse(s * 0.42 + look.aside, 0.24 - 0.06 * cues.cheek, 0.17, 0.1)
        pen.fill(cheek, mix(look.skin, _BLUSH, look.blush))
    _mouth(pen, look, cues)
    _eyes(pen, look, cues)
    nose = look.nose + np.array([1.4 * look.aside, 0])  # it protrudes, so it moves more when the head turns
    pen.stroke(nose, 0.035, mix(look.skin, _DARK, 0.35))
    if look.shape in ("beanie", "headscarf"):
        _headwear(pen, look)
    elif look.shape != "bald":
        _hair(pen, look)
    _brows(pen, look, cues)  # over a fringe or a rim, as cartoonists do: no look may occlude the brows


def _beard(pen: Pen, look: Look) -> None:
    u = np.linspace(-1, 1, 21)
    if look.beard == "moustache":
        y = look.mouth_y - 0.2 + 0.04 * u**2
        x = u * 0.27 + look.aside
        pen.fill(_band(x, y - 0.05 * (1 - u**2), y + 0.05 * np.cos(u * 1.5)), look.brow)
    elif look.beard != "none":
        chin = _outline(look, 1.02, 0.05, np.pi - 0.05)
        top = np.stack([u * chin[0, 0] * 0.98, look.mouth_y - 0.2 - 0.3 * u**6], axis=1)
        pen.fill(np.concatenate([chin, top]), mix(look.skin, look.brow, _BEARD_OPACITY[look.beard]))


def _mouth(pen: Pen, look: Look, cues: Cues) -> None:
    t = np.linspace(-1, 1, 19)
    x, size = t * look.mouth_w + look.aside, look.mouth_w / 0.3
    bend = look.mouth_y + look.mouth_tilt * t - cues.corner * size**0.7 * (t**2 - 0.4)
    around = mix(look.skin, look.brow, 0.92) if look.beard == "full" else look.skin
    lips = mix(around, _PALE_LIP if look.light_lips else look.lip_tone, look.lip_shade)
    thick = look.lip_thick * (1.15 - 0.75 * t**2)
    gap = look.mouth_open * cues.gape * (1 - t**2) * size
    upper, lower = bend - gap / 2, bend + gap / 2
    pen.fill(_band(x, upper - thick, lower + thick), lips)
    if not look.mouth_open:
        pen.stroke(np.stack([x, bend], axis=1), 0.022, mix(lips, _DARK, 0.6))
        return
    pen.fill(_band(x, upper, lower), _WHITE if look.teeth == "all" else _DARK)
    if look.teeth == "top":
        pen.fill(_band(x, upper, upper + 0.4 * gap), _WHITE)
    elif look.teeth == "bottom":
        pen.fill(_band(x, lower - 0.4 * gap, lower), _WHITE)
    elif look.teeth == "none":
        pen.fill(_band(x, lower - 0.35 * gap, lower)[3:-3], _TONGUE)


def _eyes(pen: Pen, look: Look, cues: Cues) -> None:
    lash = mix(look.skin, _DARK, 0.85)
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
                disc[:, 1] = np.clip(disc[:, 1], *lids)  # only the part between the lids
                pen.fill(disc, colour)
            pen.stroke(np.stack([x, upper], axis=1), 0.035, lash)
        if cues.tear:
            pen.fill(_ellipse(middle, look.eye_y + 0.24, 0.035, 0.08), _TEAR)


def _brows(pen: Pen, look: Look, cues: Cues) -> None:
    v = np.linspace(-1, 1, 11)
    for s in (-1, 1):
        x = s * (look.eye_x + v * 0.19) + look.aside
        y = look.eye_y - look.brow_gap - cues.brow_lift + cues.brow_tilt * v - cues.brow_arch * (1 - v**2)
        half = look.brow_thick * (1 - 0.35 * v - 0.3 * v**2)
        pen.fill(_band(x, y - half, y + half), look.brow)


def _headwear(pen: Pen, look: Look) -> None:
    """Paint a headscarf or a beanie over the forehead."""
    u, line = np.linspace(1, -1, 21), look.hairline
    if look.shape == "headscarf":
        pen.fill(np.concatenate([_outline(look, 1.12), _outline(look, 0.93)[::-1]]), look.cloth)
        pen.fill(_cap(look, 1.12, -0.45, line + 0.3 * u**2), look.cloth)
        return
    pen.fill(_cap(look, 1.13, -0.38, line + 0.06 * u**2), look.cloth)
    rim = line + 0.02 + 0.1 * u**2
    pen.fill(_band(u * look.wide * 1.08, rim - 0.1, rim + 0.1), mix(look.cloth, _WHITE, 0.25))
    pen.fill(_ellipse(0, -1.18, 0.15, 0.15), mix(look.cloth, _WHITE, 0.4))


def _hair(pen: Pen, look: Look) -> None:
    """Paint hair over the forehead, with a shine."""
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
    pen.fill(shine, mix(look.hair, _WHITE, 0.18))


def _glasses(pen: Pen, look: Look) -> None:
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


def _occluder(pen: Pen, look: Look) -> None:
    """Paint what occludes a part of the face, never mouth and eyes together."""
    s, colour = look.occluder_side, look.occluder_colour
    if look.occluder == "hand":
        for finger in range(4):
            shade = mix(look.skin, _DARK, 0.06 + 0.05 * (finger % 2))
            pen.fill(_ellipse(s * (0.52 + 0.13 * finger), 0.42 + 0.02 * finger, 0.085, 0.32), shade)
        pen.fill(_ellipse(s * 0.74, 0.85, 0.3, 0.36), mix(look.skin, _DARK, 0.08))
    elif look.occluder == "scarf":
        u = np.linspace(-1, 1, 13)
        hang = 0.1 * (1 - u**2)
        pen.fill(_band(u * 0.95, 0.8 + 0.6 * hang, 1.35 + hang), colour)
        pen.stroke(np.stack([u * 0.9, 1.05 + hang], axis=1), 0.04, mix(colour, _DARK, 0.25))
    elif look.occluder == "mug":
        pen.fill(np.array([[0.3, 0.66], [0.95, 0.66], [0.9, 1.4], [0.36, 1.4]]) * [s, 1], colour)
        pen.fill(_ellipse(s * 0.625, 0.66, 0.325, 0.06), mix(colour, _DARK, 0.35))
    elif look.occluder == "strand":
        x, y = np.array([[0.2, 0.62, 0.8, 0.86, 0.7, 0.55], [-0.95, -0.8, -0.3, 0.7, 0.8, -0.2]])
        pen.fill(np.stack([x * s, y], axis=1), look.hair)

"""Draw faces that are happy, sad or neutral: demo and test data with known labels, and no download.

A drawing uses two independent streams of random numbers. The *look* (skin, hair, glasses, pose, light, backdrop,
occlusion of a part of the face) does not depend on the expression. The *cues* (mouth, brows, eyes, cheeks) depend on
nothing else. So `draw_face("happy", 7)` and `draw_face("sad", 7)` are the same person in the same light. In every
class alike, lips are lighter or darker than the skin, and mouths are open, closed or show teeth. Brightness at one
place therefore predicts nothing: a linear model on the pixels stays near chance, a small CNN does not.

The cues follow the action units of Ekman and Friesen, *Facial Action Coding System* (1978): cheeks raised (6) and lip
corners up (12) for happy; inner brows up (1), lip corners down (15) and heavy lids for sad.

`mien.data.synthetic.style` draws the random numbers, `mien.data.synthetic.render` paints.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from mien.data.synthetic.render import Pen, draw_person, ink, mix
from mien.data.synthetic.style import Look, cues_of
from mien.errors import InputError

EXPRESSIONS = ("happy", "sad", "neutral")

_SUPERSAMPLING = 3
_SMALLEST, _LARGEST = 24, 1024


def draw_face(expression: str, seed: int, size: int = 96) -> NDArray[np.uint8]:
    """Draw one face.

    Args:
        expression: one of `EXPRESSIONS`.
        seed: 0 or more. The same seed gives the same person, pose and light with every expression.
        size: height and width in pixels, 24 to 1024.

    Returns:
        RGB, uint8 (size, size, 3), [0, 255]; equal for equal arguments.

    Raises:
        InputError: an argument is out of range.

    Examples:
        >>> draw_face("happy", seed=7, size=48).shape
        (48, 48, 3)
    """
    _check(expression, seed, size)
    look = Look(np.random.default_rng([seed, 0]))
    cues = cues_of(expression, np.random.default_rng([seed, 1, EXPRESSIONS.index(expression)]))
    side = size * _SUPERSAMPLING
    canvas = _backdrop(look, side)
    pen = Pen(canvas, look.scale * side, look.angle, (0.5 + look.shift) * side)
    draw_person(pen, look, cues)
    return _camera(canvas.reduce(_SUPERSAMPLING), look)


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

    Every drawing has its own seed. A larger `per_class` starts with the files of a smaller one.

    Args:
        folder: created if missing; its class folders must be missing or empty.
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
        raise InputError(f"per_class is {per_class}; use 1 or more")
    if not classes or len(set(classes)) != len(classes):
        raise InputError(f"classes are {', '.join(classes) or 'none'}; name at least one, each once")
    for name in classes:
        _check(name, seed, size)
        if (folder / name).exists() and any((folder / name).iterdir()):
            raise InputError(f"{folder / name} already holds files; name a new folder")
    written = []
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(1, per_class + 1):
            source = np.random.SeedSequence([seed, EXPRESSIONS.index(name), number])
            written.append(_write_one(folder / name, name, number, size, source))
            if on_file is not None:
                on_file()
    return written


def _check(expression: str, seed: int, size: int) -> None:
    if expression not in EXPRESSIONS:
        raise InputError(f"expression {expression!r} cannot be drawn; use one of {', '.join(EXPRESSIONS)}")
    if seed < 0:
        raise InputError(f"seed is {seed}; use 0 or more")
    if not _SMALLEST <= size <= _LARGEST:
        raise InputError(f"size is {size}; use {_SMALLEST} to {_LARGEST} pixels")


def _write_one(folder: Path, name: str, number: int, size: int, source: np.random.SeedSequence) -> Path:
    image = Image.fromarray(draw_face(name, int(source.generate_state(1, np.uint64)[0]), size))
    rng = np.random.default_rng(source)
    if rng.random() < 1 / 8:
        path = folder / f"{name}-{number:05d}.png"
        image.save(path)
    else:
        path = folder / f"{name}-{number:05d}.jpg"
        image.save(path, quality=int(rng.integers(80, 96)))
    return path


def _backdrop(look: Look, side: int) -> Image.Image:
    """Paint a plain, gradient, clouded, striped or spotted backdrop, (side, side)."""
    if look.backdrop == "plain":
        return Image.new("RGB", (side, side), ink(look.back))
    cells = {"gradient": (2, 2), "stripes": (1, 9)}.get(look.backdrop, (7, 7))
    share = 0.5 * look.rng.random(cells)[..., None]
    grid = np.clip(look.back + (look.back_too - look.back) * share, 0, 255).astype(np.uint8)
    way = Image.Resampling.NEAREST if look.backdrop == "stripes" else Image.Resampling.BICUBIC
    canvas = Image.fromarray(grid).resize((side, side), way)
    if look.backdrop == "spots":
        draw, colour = ImageDraw.Draw(canvas), ink(mix(look.back, look.back_too, 0.75))
        for x, y, r in look.rng.random((14, 3)) * side:
            draw.circle((x, y), side * 0.02 + r * 0.05, fill=colour)
    return canvas


def _camera(image: Image.Image, look: Look) -> NDArray[np.uint8]:
    """Add the light, contrast, blur, coarse pixels and noise of a photo."""
    size = image.width
    if look.coarse < 1:
        small = max(20, round(size * look.coarse))
        way = Image.Resampling.BILINEAR
        image = image.resize((small, small), way).resize((size, size), way)
    if look.blur:
        image = image.filter(ImageFilter.GaussianBlur(look.blur * size / 96))
    pixels = np.asarray(image, dtype=np.float32)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    light = look.gain * (1 + look.light[0] * ramp[None, :] + look.light[1] * ramp[:, None])
    noise = look.rng.standard_normal((size, size), dtype=np.float32) * look.noise
    pixels = (pixels * light[..., None] - 118) * look.contrast + 118 + noise[..., None]
    return np.clip(pixels, 0, 255).astype(np.uint8)

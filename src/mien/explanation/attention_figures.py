"""Draw where a model looks: the mean heatmap of each class on its mean face."""

import numpy as np
from PIL import Image, ImageDraw

from mien.explanation.attention import AttentionSummary, ClassAttention
from mien.explanation.figures import FAINT, GAP, INK, PAPER, TEXT_SIZE, add_strip, default_font
from mien.explanation.regions import ELLIPSES
from mien.metrics.formatting import format_percent
from mien.text import one_line
from mien.viz.overlay import colours, overlay

#: Side of a drawn mean map, in pixels.
SIDE = 192
_STRENGTH = 0.7
_SCALE_HEIGHT = 10


def summary_sheet(found: AttentionSummary) -> Image.Image:
    """Draw a sheet with the mean heatmap of each class on its mean face, above the conclusion."""
    text = default_font(TEXT_SIZE)
    line = sum(text.getmetrics()) + 2
    columns = max(min(len(found.classes), 7), 2)
    rows = -(-len(found.classes) // columns)
    tall = SIDE + 2 * line + GAP
    sheet = Image.new("RGB", (GAP + columns * (SIDE + GAP), GAP + rows * tall), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, one in enumerate(found.classes):
        x, y = GAP + number % columns * (SIDE + GAP), GAP + number // columns * tall
        sheet.paste(mean_map(one), (x, y))
        pen.text((x, y + SIDE + 2), one_line(f"{one.label}, {one.images} images"), INK, text)
        pen.text((x, y + SIDE + 2 + line), _by_region(one), FAINT, default_font(12))
    return add_strip(sheet, found.conclusion, size=TEXT_SIZE)


def mean_map(one: ClassAttention) -> Image.Image:
    """Draw a class's mean heatmap on its mean face, SIDE x SIDE pixels, with the regions outlined."""
    face = Image.fromarray(one.face).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    square = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]], np.float64)
    image = Image.fromarray(overlay(np.asarray(face), one.heat, square, _STRENGTH))
    pen = ImageDraw.Draw(image)
    for ellipses in ELLIPSES.values():
        for x, y, wide, high in ellipses:
            pen.ellipse([SIDE * value for value in (x - wide, y - high, x + wide, y + high)], outline="#FFFFFF")
    return image


def mean_map_with_scale(one: ClassAttention) -> Image.Image:
    """Draw `mean_map` above its colour scale, from no evidence to the most of this class."""
    text = default_font(12)
    below = sum(text.getmetrics()) + 2
    image = Image.new("RGB", (SIDE, SIDE + GAP // 2 + _SCALE_HEIGHT + below), PAPER)
    image.paste(mean_map(one), (0, 0))
    top = SIDE + GAP // 2
    bar = np.broadcast_to(colours(np.linspace(0, 1, SIDE)), (_SCALE_HEIGHT, SIDE, 3))
    image.paste(Image.fromarray(np.ascontiguousarray(bar)), (0, top))
    pen = ImageDraw.Draw(image)
    pen.text((0, top + _SCALE_HEIGHT + 1), "no evidence", INK, text)
    pen.text((SIDE, top + _SCALE_HEIGHT + 1), "most", INK, text, anchor="ra")
    return image


def _by_region(one: ClassAttention) -> str:
    return ", ".join(f"{name} {format_percent(one.shares[name].value)}" for name in ("mouth", "eyes", "brows"))

"""Draw where a model looks: the mean heatmap of each class on its mean face."""

import numpy as np
from PIL import Image, ImageDraw

from mien.explanation.attention import AttentionSummary, ClassAttention
from mien.explanation.figures import FAINT, GAP, INK, PAPER, TEXT_SIZE, add_strip, default_font
from mien.explanation.regions import ELLIPSES
from mien.viz.overlay import overlay

#: Side of a drawn mean map, in pixels.
SIDE = 192
_STRENGTH = 0.7


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
        pen.text((x, y + SIDE + 2), f"{one.label}, {one.images} images", INK, text)
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


def _by_region(one: ClassAttention) -> str:
    return ", ".join(f"{name} {one.shares[name].value:.0%}" for name in ("mouth", "eyes", "brows"))

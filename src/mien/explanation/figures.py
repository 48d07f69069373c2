"""Draw heatmaps on images: one image with a legend, or a sheet with a panel for each face and label."""

import base64
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.arrays import RGB, Float64, UInt8
from mien.io.images.pixels import reduced
from mien.results import Face, FaceHeat, ImageResult
from mien.text import one_line
from mien.viz.annotate import MIN_SIDE, MIN_TEXT, annotate, scaled
from mien.viz.mosaic import png_bytes
from mien.viz.overlay import colours, overlay, overlay_faces

PAPER, INK, FAINT = (255, 255, 255), (34, 34, 34), (95, 95, 95)
#: Side of a panel of a sheet, and the gap around it, in pixels.
PANEL, GAP = 208, 12
TEXT_SIZE = 15
#: Opacity of the strongest evidence.
STRENGTH = 0.7
#: Longest side of a drawing, and its most pixels; a larger image is shrunk. A strip of millions of pixels took 6 GiB.
MAX_SIDE, MAX_DRAWN_PIXELS = 8192, 24_000_000

METHODS = {
    "cam": "CAM",
    "occlusion": "occlusion",
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "layer-cam": "LayerCAM",
}


def heatmap_figure(image: RGB, result: ImageResult, heatmaps: Sequence[FaceHeat]) -> Image.Image:
    """Draw an image with the heatmaps and answers of its faces, above a strip with a caption and a legend.

    An image smaller than 320 pixels is enlarged by a whole number. One longer than 8,192 pixels, or of more than 24
    million, is shrunk by one.

    Args:
        image: the upright image, uint8 (H, W, 3); also one that was shrunk after it was read.
        result: its prediction.
        heatmaps: one per face of the result.
    """
    image, result, heatmaps = _fit_to_draw(image, result, heatmaps)
    drawn = annotate(overlay_faces(image, heatmaps, STRENGTH), result)
    labels = list(dict.fromkeys(face.label for face in heatmaps))
    if not labels:
        return add_strip(drawn, result.reason or "no face was found", legend=False)
    caption = f"evidence for {labels[0]}" if len(labels) == 1 else "evidence for each face's label"
    return add_strip(drawn, f"{caption} ({METHODS[heatmaps[0].method]})")


def label_sheet(image: RGB, result: ImageResult, heatmaps: Sequence[Sequence[FaceHeat]]) -> Image.Image:
    """Draw a sheet with a row for each face and a panel for each label, on its own scale, with its probability.

    Args:
        image: the upright image, uint8 (H, W, 3); also one that was shrunk after it was read.
        result: its prediction.
        heatmaps: one row per label, with one heatmap per face of the result.
    """
    full = (result.height or image.shape[0], result.width or image.shape[1])
    faces = len(result.faces)
    text = default_font(TEXT_SIZE)
    line = sum(text.getmetrics()) + 6
    columns = min(len(heatmaps), 7)
    rows = -(-len(heatmaps) // columns)
    width = GAP + columns * (PANEL + GAP)
    sheet = Image.new("RGB", (width, GAP + max(faces * rows, 1) * (PANEL + line + GAP)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, face in enumerate(result.faces):
        for number, of_label in enumerate(heatmaps):
            x = GAP + number % columns * (PANEL + GAP)
            y = GAP + (row * rows + number // columns) * (PANEL + line + GAP)
            sheet.paste(Image.fromarray(_panel(image, of_label[row].rescaled(full, image.shape))), (x, y))
            pen.text((x, y + PANEL + 2), _caption(face, of_label[row]), INK, text)
    if not faces:
        return add_strip(sheet, result.reason or "no face was found", legend=False, size=TEXT_SIZE)
    method = METHODS[heatmaps[0][0].method]
    return add_strip(sheet, f"evidence for each label ({method}), each panel on its own scale", size=TEXT_SIZE)


def inline_png(image: Image.Image) -> str:
    """Return an image as a `data:` URL."""
    return f"data:image/png;base64,{base64.b64encode(png_bytes(image)).decode('ascii')}"


def cut_out(rgb: UInt8, corners: Float64, side: int) -> UInt8:
    """Return the square between four corners (as in FaceHeat) of an image, uint8 (side, side, 3); grey outside it."""
    across, down = (corners[1] - corners[0]) / side, (corners[3] - corners[0]) / side
    matrix = (across[0], down[0], corners[0][0], across[1], down[1], corners[0][1])
    image = Image.fromarray(np.ascontiguousarray(rgb))
    grey = (128, 128, 128)
    cut = image.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=grey)
    return np.asarray(cut)


def _panel(rgb: UInt8, face: FaceHeat) -> UInt8:
    square = np.array([[0, 0], [PANEL, 0], [PANEL, PANEL], [0, PANEL]], np.float64)
    return overlay(cut_out(rgb, face.corners, PANEL), face.heat, square, STRENGTH)


def _caption(face: Face, heat: FaceHeat) -> str:
    by_label = face.expressions or face.probabilities
    return one_line(f"{heat.label} {by_label[heat.label]:.1%}") + ("" if heat.heat.any() else ": no evidence")


def _fit_to_draw(
    image: RGB, result: ImageResult, heatmaps: Sequence[FaceHeat]
) -> tuple[RGB, ImageResult, Sequence[FaceHeat]]:
    height, width = image.shape[:2]
    full = (result.height or height, result.width or width)
    factor = max(1, -(-MIN_SIDE // max(height, width)))
    if factor > 1:
        drawn = image.repeat(factor, axis=0).repeat(factor, axis=1)
    else:
        shrink = math.ceil(max(max(height, width) / MAX_SIDE, math.sqrt(height * width / MAX_DRAWN_PIXELS)))
        drawn = image if shrink <= 1 else reduced(image, shrink)
    across, down = drawn.shape[1] / full[1], drawn.shape[0] / full[0]
    faces = tuple(replace(face, box=scaled(face.box, across, down)) for face in result.faces)
    moved = [face.rescaled(full, drawn.shape) for face in heatmaps]
    return drawn, replace(result, width=drawn.shape[1], height=drawn.shape[0], faces=faces), moved


def add_strip(image: Image.Image, text: str, legend: bool = True, size: int = 0) -> Image.Image:
    """Add a strip below an image, with a caption and a legend of the colours.

    Args:
        image: RGB.
        text: the caption; it is wrapped.
        legend: whether to draw the legend.
        size: of the text, in pixels. Default: a fiftieth of the width.
    """
    font = default_font(size or max(MIN_TEXT, round(image.width / 50)))
    ends = ("none", "most")
    line = sum(font.getmetrics())
    pad = max(4, line // 3)
    bar = line * 5
    wide = bar + sum(font.getlength(end) for end in ends) + 4 * pad if legend else 0
    text = one_line(text)
    lines = _wrapped(text, font, image.width - 2 * pad)
    beside = len(lines) == 1 and font.getlength(text) + wide + 3 * pad <= image.width
    height = pad + len(lines) * line + (0 if beside or not legend else line + pad) + pad
    page = Image.new("RGB", (image.width, image.height + height), PAPER)
    page.paste(image, (0, 0))
    pen = ImageDraw.Draw(page)
    for number, words in enumerate(lines):
        pen.text((pad, image.height + pad + number * line), words, INK, font)
    if legend:
        x = image.width - wide if beside else pad
        _draw_legend(page, (round(x), page.height - pad - line), bar, ends, font)
    return page


def _draw_legend(
    page: Image.Image, place: tuple[int, int], bar: int, ends: tuple[str, str], font: ImageFont.FreeTypeFont
) -> None:
    pen, (x, y) = ImageDraw.Draw(page), place
    line = sum(font.getmetrics())
    pad = max(4, line // 3)
    pen.text((x, y), ends[0], FAINT, font)
    x += round(font.getlength(ends[0])) + pad
    ramp = colours(np.linspace(0, 1, bar))
    page.paste(Image.fromarray(np.repeat(ramp[np.newaxis], max(line * 2 // 3, 1), axis=0)), (x, y + line // 6))
    pen.text((x + bar + pad, y), ends[1], FAINT, font)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def default_font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of all captions at a size in pixels."""
    # Given a size, Pillow returns the scalable one of its two default fonts.
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size))

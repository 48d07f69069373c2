"""Explanation pictures as a person looks at them: heatmaps with a legend, and a sheet with a panel for each class."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.arrays import Float64, UInt8
from mien.explanation.attention import AttentionSummary, ClassAttention
from mien.explanation.explainer import Explanation
from mien.explanation.regions import ELLIPSES
from mien.results import Box, Face, FaceHeat, ImageResult
from mien.viz.annotate import SMALLEST, SMALLEST_TEXT, annotate
from mien.viz.overlay import colours, overlay, overlay_faces

_PAPER, _INK, _FAINT = (255, 255, 255), (34, 34, 34), (95, 95, 95)
#: Side of a panel of the sheet, and the room around it, in pixels.
PANEL, GAP = 208, 12
#: Side of a drawn mean map, in pixels.
SIDE = 192
_TEXT = 15
#: How strongly the colours of heat cover the picture.
STRENGTH = 0.7

METHODS = {
    "cam": "CAM",
    "occlusion": "occlusion",
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "layer-cam": "LayerCAM",
}


def heat_picture(explained: Explanation) -> Image.Image:
    """Return the picture with the heatmaps of its faces, their answers, and a strip below that says what is seen.

    A picture smaller than 320 pixels is enlarged by a whole number.
    """
    explained = _large_enough(explained)
    rgb = overlay_faces(explained.picture, explained.faces, STRENGTH)
    image = annotate(rgb, explained.result)
    labels = list(dict.fromkeys(face.label for face in explained.faces))
    if not labels:
        return _with_strip(image, explained.result.reason or "no face was found", legend=False)
    said = f"what speaks for {labels[0]}" if len(labels) == 1 else "what speaks for each face's label"
    return _with_strip(image, f"{said} ({METHODS[explained.faces[0].method]})")


def class_sheet(explained: Sequence[Explanation]) -> Image.Image:
    """Return a sheet with a row for each face and a panel for each label that the picture was explained for.

    `explained` is what `explain_labels` gave for one picture. Each panel's colours are scaled by its own strongest
    place; below it stand the label and its probability.
    """
    faces = len(explained[0].faces)
    text = _font(_TEXT)
    line = sum(text.getmetrics()) + 6
    columns = min(len(explained), 7)
    rows = -(-len(explained) // columns)
    width = GAP + columns * (PANEL + GAP)
    sheet = Image.new("RGB", (width, GAP + max(faces * rows, 1) * (PANEL + line + GAP)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for row in range(faces):
        for number, one in enumerate(explained):
            heat, face = one.faces[row], one.result.faces[row]
            x = GAP + number % columns * (PANEL + GAP)
            y = GAP + (row * rows + number // columns) * (PANEL + line + GAP)
            sheet.paste(Image.fromarray(_panel(one.picture, heat)), (x, y))
            pen.text((x, y + PANEL + 2), _caption(face, heat), _INK, text)
    if not faces:
        return _with_strip(sheet, explained[0].result.reason or "no face was found", legend=False, size=_TEXT)
    method = METHODS[explained[0].faces[0].method]
    return _with_strip(sheet, f"what speaks for each label ({method}), each panel on its own scale", size=_TEXT)


def summary_sheet(found: AttentionSummary) -> Image.Image:
    """Return a sheet with the mean map of each class on its mean face, and below it the conclusion."""
    text = _font(_TEXT)
    line = sum(text.getmetrics()) + 2
    columns = max(min(len(found.classes), 7), 2)
    rows = -(-len(found.classes) // columns)
    tall = SIDE + 2 * line + GAP
    sheet = Image.new("RGB", (GAP + columns * (SIDE + GAP), GAP + rows * tall), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, one in enumerate(found.classes):
        x, y = GAP + number % columns * (SIDE + GAP), GAP + number // columns * tall
        sheet.paste(mean_map(one), (x, y))
        for below, words in enumerate((f"{one.label}, {one.pictures} pictures", _on_parts(one))):
            pen.text((x, y + SIDE + 2 + below * line), words, (_INK, _FAINT)[below], text if below == 0 else _font(12))
    return _with_strip(sheet, found.conclusion, size=_TEXT)


def mean_map(one: ClassAttention) -> Image.Image:
    """Draw a class's mean map on its mean face, SIDE pixels a side, with the regions outlined."""
    face = Image.fromarray(one.face).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    square = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]], np.float64)
    image = Image.fromarray(overlay(np.asarray(face), one.heat, square, 0.7))
    pen = ImageDraw.Draw(image)
    for ellipses in ELLIPSES.values():
        for x, y, wide, high in ellipses:
            pen.ellipse([SIDE * value for value in (x - wide, y - high, x + wide, y + high)], outline="#FFFFFF")
    return image


def _on_parts(one: ClassAttention) -> str:
    return ", ".join(f"{name} {one.shares[name].value:.0%}" for name in ("mouth", "eyes", "brows"))


def cut_out(rgb: UInt8, corners: Float64, side: int) -> UInt8:
    """Return the square between four corners of a picture (as in FaceHeat), uint8 (side, side, 3); beyond it, grey."""
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
    return f"{heat.label} {by_label[heat.label]:.1%}" + ("" if heat.heat.any() else ": nothing")


def _large_enough(explained: Explanation) -> Explanation:
    picture = explained.picture
    factor = max(1, -(-SMALLEST // max(picture.shape[:2])))
    if factor == 1:
        return explained
    large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    heats = tuple(replace(face, corners=face.corners * factor) for face in explained.faces)
    return Explanation(_enlarged(explained.result, factor), large, heats)


def _enlarged(result: ImageResult, factor: int) -> ImageResult:
    boxes = [face.box for face in result.faces]
    larger = [Box(box.x * factor, box.y * factor, box.width * factor, box.height * factor) for box in boxes]
    return replace(result, faces=tuple(replace(f, box=box) for f, box in zip(result.faces, larger, strict=True)))


def _with_strip(image: Image.Image, text: str, legend: bool = True, size: int = 0) -> Image.Image:
    """Put a strip below a picture: what is seen and, with `legend`, what the colours mean."""
    font = _font(size or max(SMALLEST_TEXT, round(image.width / 50)))
    ends = ("none", "most")
    line = sum(font.getmetrics())
    pad = max(4, line // 3)
    bar = line * 5
    wide = bar + sum(font.getlength(end) for end in ends) + 4 * pad if legend else 0
    lines = _wrapped(text, font, image.width - 2 * pad)
    beside = len(lines) == 1 and font.getlength(text) + wide + 3 * pad <= image.width
    height = pad + len(lines) * line + (0 if beside or not legend else line + pad) + pad
    page = Image.new("RGB", (image.width, image.height + height), _PAPER)
    page.paste(image, (0, 0))
    pen = ImageDraw.Draw(page)
    for number, words in enumerate(lines):
        pen.text((pad, image.height + pad + number * line), words, _INK, font)
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
    pen.text((x, y), ends[0], _FAINT, font)
    x += round(font.getlength(ends[0])) + pad
    ramp = colours(np.linspace(0, 1, bar))
    page.paste(Image.fromarray(np.repeat(ramp[np.newaxis], max(line * 2 // 3, 1), axis=0)), (x, y + line // 6))
    pen.text((x + bar + pad, y), ends[1], _FAINT, font)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _font(size: int) -> ImageFont.FreeTypeFont:
    # Given a size, Pillow returns the scalable one of its two default fonts.
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size))

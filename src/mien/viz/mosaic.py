"""Pictures drawn with Pillow alone: mosaics of labelled samples, and pictures with what was read from them."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mien.arrays import UInt8
from mien.io.atomic import new_file
from mien.viz.annotate import annotate

__all__ = ["annotate", "mosaic", "save_png"]

Pictures = Sequence[UInt8]
_PAPER, _INK, _FAINT = (255, 255, 255), (34, 34, 34), (110, 110, 110)
_GAP, _MARGIN, _HEADING, _CAPTION = 4, 16, 26, 14


def mosaic(
    rows: Mapping[str, Pictures], title: str, tile: int = 88, per_line: int = 10,
    captions: Mapping[str, Sequence[str]] | None = None,
) -> Image.Image:  # fmt: skip
    """Draw labelled rows of pictures under headings.

    `rows` maps a heading to pictures, each uint8 (h, w, 3) RGB or (h, w, 1) grey, [0, 255]; they are
    fitted into squares of `tile` pixels with their proportions kept. `captions` maps a heading to one line
    of text below each of its pictures, of which as much is drawn as there is room for.
    """
    below = _CAPTION if captions else 0
    per_line = max(min(per_line, max(map(len, rows.values()), default=1)), 5)
    lines = sum(-(-max(len(pictures), 1) // per_line) for pictures in rows.values())
    width = 2 * _MARGIN + per_line * (tile + _GAP)
    height = 2 * _MARGIN + 30 + len(rows) * _HEADING + lines * (tile + _GAP + below)
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 4), title, _INK, ImageFont.load_default(17))
    y = _MARGIN + 26
    for heading, pictures in rows.items():
        pen.text((_MARGIN, y + 4), heading, _FAINT, ImageFont.load_default(14))
        y += _HEADING
        for number, picture in enumerate(pictures):
            column, line = number % per_line, number // per_line
            corner = (_MARGIN + column * (tile + _GAP), y + line * (tile + _GAP + below))
            sheet.paste(_tile(picture, tile), corner)
            if captions:
                sheet.paste(_caption(captions[heading][number], tile), (corner[0], corner[1] + tile))
        y += -(-max(len(pictures), 1) // per_line) * (tile + _GAP + below)
    return sheet


def _tile(picture: UInt8, side: int) -> Image.Image:
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("RGB")
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # Small pictures are enlarged without smoothing, so that one sees the pixels the network sees.
    image = image.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (side, side), (240, 240, 240))
    tile.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
    return tile


def _caption(text: str, width: int) -> Image.Image:
    strip = Image.new("RGB", (width, _CAPTION), _PAPER)
    ImageDraw.Draw(strip).text((0, 0), text, _INK, ImageFont.load_default(10))
    return strip


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG whole or not at all; OutputError where it cannot be written."""
    with new_file(path) as part:
        image.save(part, "PNG")


def png_bytes(image: Image.Image) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()

"""Draw mosaics: rows of small images under headings. Uses Pillow alone, no matplotlib."""

import io
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from mien.arrays import UInt8
from mien.io.atomic import new_file
from mien.io.targets import SOFTWARE
from mien.text import one_line, pluralize

_PAPER, _INK, _FAINT = (255, 255, 255), (34, 34, 34), (110, 110, 110)
_GAP, _MARGIN, _HEADING, _CAPTION = 4, 16, 26, 14
#: Rows of a mosaic; of more classes, the others are counted. A sheet of thousands takes gigabytes.
MOST_ROWS = 100


def mosaic(
    rows: Mapping[str, Sequence[UInt8]], title: str, tile: int = 88, per_line: int = 10,
    captions: Mapping[str, Sequence[str]] | None = None,
) -> Image.Image:  # fmt: skip
    """Draw rows of images under headings, `MOST_ROWS` at most.

    Args:
        rows: maps each heading to its images, each uint8 (h, w, 3) RGB or (h, w, 1) grey, [0, 255].
        title: stands above.
        tile: side of the square that each image is fitted into, in pixels; proportions are kept.
        per_line: most images side by side.
        captions: maps each heading to a line of text for each image, cut at the width of the tile.

    Examples:
        >>> mosaic({"happy": [], "sad": []}, "no images yet", tile=40).size
        (252, 202)
    """
    more = len(rows) - MOST_ROWS
    if more > 0:
        rows = {**dict(islice(rows.items(), MOST_ROWS)), f"and {pluralize(more, 'more row')}": ()}
    below = _CAPTION if captions else 0
    per_line = max(min(per_line, max(map(len, rows.values()), default=1)), 5)
    lines = sum(-(-max(len(images), 1) // per_line) for images in rows.values())
    width = 2 * _MARGIN + per_line * (tile + _GAP)
    height = 2 * _MARGIN + 30 + len(rows) * _HEADING + lines * (tile + _GAP + below)
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 4), one_line(title), _INK, ImageFont.load_default(17))
    y = _MARGIN + 26
    for heading, images in rows.items():
        pen.text((_MARGIN, y + 4), one_line(heading), _FAINT, ImageFont.load_default(14))
        y += _HEADING
        for number, image in enumerate(images):
            column, line = number % per_line, number // per_line
            corner = (_MARGIN + column * (tile + _GAP), y + line * (tile + _GAP + below))
            sheet.paste(_tile(image, tile), corner)
            if captions:
                sheet.paste(_caption(captions[heading][number], tile), (corner[0], corner[1] + tile))
        y += -(-max(len(images), 1) // per_line) * (tile + _GAP + below)
    return sheet


def _tile(pixels: UInt8, side: int) -> Image.Image:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # Small images are enlarged without smoothing, to show the pixels that the network sees.
    image = image.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (side, side), (240, 240, 240))
    tile.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
    return tile


def _caption(text: str, width: int) -> Image.Image:
    strip = Image.new("RGB", (width, _CAPTION), _PAPER)
    ImageDraw.Draw(strip).text((0, 0), one_line(text), _INK, ImageFont.load_default(10))
    return strip


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all; OutputError if it cannot be written."""
    with new_file(path) as part:
        part.write_bytes(png_bytes(image))


def png_bytes(image: Image.Image) -> bytes:
    """Return an image as the bytes of a PNG file, which says that mien wrote it."""
    stream, text = io.BytesIO(), PngInfo()
    for key, value in SOFTWARE.items():
        text.add_text(key, value)
    image.save(stream, "PNG", pnginfo=text)
    return stream.getvalue()

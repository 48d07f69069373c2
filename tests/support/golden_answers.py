"""The golden images and what the shipped models say of them (`tests/golden`)."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from photographs import as_file
from PIL import Image

from mien.inference.bundle import load_bundle

PATH = Path(__file__).parents[1] / "golden" / "images.py"
SPEC = importlib.util.spec_from_file_location("golden_images", PATH)
assert SPEC is not None
assert SPEC.loader is not None
golden = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(golden)

ANSWERS = json.loads(golden.ANSWERS.read_text(encoding="utf-8"))
CROPS: dict[str, npt.NDArray[np.uint8]] = dict(golden.crops())
PHOTOGRAPHS: dict[str, npt.NDArray[np.uint8]] = dict(golden.photographs())
ASTRONAUT = PHOTOGRAPHS["photograph"]

#: Processors with and without fused or 8-bit instructions round differently, int8 graphs most of all.
TOLERANCE = {name: 0.08 if "quantised" in load_bundle(name).config.about else 0.005 for name in ANSWERS}


def turned_by_exif(image: Image.Image, orientation: int) -> bytes:
    turned = image.rotate({3: 180, 6: 90, 8: 270}[orientation], expand=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return as_file(turned, "JPEG", quality=98, subsampling=0, exif=exif)


def sixteen_bit(image: Image.Image) -> bytes:
    """A 16-bit grey PNG, whose values are spread over all of the range."""
    return as_file(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG")


#: The same photograph in other files.
FORMS: dict[str, Callable[[Image.Image], bytes]] = {
    "turned by EXIF 3": lambda image: turned_by_exif(image, 3),
    "turned by EXIF 6": lambda image: turned_by_exif(image, 6),
    "turned by EXIF 8": lambda image: turned_by_exif(image, 8),
    "CMYK JPEG": lambda image: as_file(image.convert("CMYK"), "JPEG", quality=95),
    "progressive JPEG": lambda image: as_file(image, "JPEG", quality=90, progressive=True),
    "16-bit PNG": sixteen_bit,
    "RGBA PNG": lambda image: as_file(image.convert("RGBA"), "PNG"),
    "palette GIF": lambda image: as_file(image.convert("P", palette=Image.Palette.ADAPTIVE), "GIF"),
    "WebP": lambda image: as_file(image, "WEBP", quality=90),
    "upside down": lambda image: as_file(image.rotate(180), "PNG"),
    "on its left side": lambda image: as_file(image.rotate(90), "PNG"),
    "on its right side": lambda image: as_file(image.rotate(270), "PNG"),
}

"""A damaged TIFF becomes a reason; libtiff prints nothing of its own."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

_LOUD = """
import sys
from PIL import Image
for name in sys.argv[1:]:
    try:
        Image.open(name).load()
    except Exception:
        pass
"""
_SCRIPT = """
import sys
from mien.errors import ImageError
from mien.io.images.decoding import load_image
for name in sys.argv[1:]:
    try:
        load_image(name)
    except ImageError as error:
        print(error.code)
"""


def test_libtiff_prints_nothing(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    names = []
    for kind in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "TIFF", compression=kind)
        data = bytearray(buffer.getvalue())
        data[100:4000] = bytes(255 - byte for byte in data[100:4000])
        path = tmp_path / f"{kind}.tif"
        path.write_bytes(data)
        names.append(str(path))
    assert subprocess.run([sys.executable, "-c", _LOUD, *names], capture_output=True, check=True).stderr  # it would
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *names], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["damaged"] * done.stdout.count("damaged")
    assert "damaged" in done.stdout

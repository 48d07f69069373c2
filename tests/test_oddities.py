"""A folder of everything that a folder of images has in it: what can be decoded is read, in little memory."""

import io
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from large_images import png
from mien.data.synthetic.faces import draw_face

FACE = Image.fromarray(draw_face("happy", 3, 200))
GREY = FACE.convert("L")
DEEP = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animation(kind: str) -> bytes:
    first, *others = (Image.fromarray(draw_face("sad", number, 120)) for number in range(3))
    return encode(first, kind, save_all=True, append_images=others)


def turned(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encode(FACE, "JPEG", exif=exif)


def readable() -> Iterator[tuple[str, bytes]]:
    """Images that must be read: names and bytes."""
    yield "plain.png", encode(FACE, "PNG")
    yield "plain.jpg", encode(FACE, "JPEG")
    yield "plain.webp", encode(FACE, "WEBP")
    yield "plain.bmp", encode(FACE, "BMP")
    yield "plain.tif", encode(FACE, "TIFF")
    yield "plain.ppm", encode(FACE, "PPM")
    yield "png named.jpg", encode(FACE, "PNG")
    yield "jpeg named.png", encode(FACE, "JPEG")
    yield "webp named.jpeg", encode(FACE, "WEBP")
    yield "gif named.tiff", encode(FACE.quantize(), "GIF")
    yield "no-ending", encode(FACE, "JPEG")
    yield "photo.jpg?w=300", encode(FACE, "JPEG")
    yield "UPPER.JPG", encode(FACE, "JPEG")
    yield "ünï ☹ 喜.jpg", encode(FACE, "JPEG")
    yield "[a]*?.jpg", encode(FACE, "JPEG")
    yield "two\nlines.jpg", encode(FACE, "JPEG")
    yield "x" * 200 + ".jpg", encode(FACE, "JPEG")
    yield "cmyk.jpg", encode(FACE.convert("CMYK"), "JPEG")
    yield "cmyk.tif", encode(FACE.convert("CMYK"), "TIFF")
    yield "ycbcr.tif", encode(FACE.convert("YCbCr"), "TIFF")
    yield "lab.tif", encode(FACE.convert("LAB"), "TIFF")
    yield "progressive.jpg", encode(FACE, "JPEG", progressive=True)
    yield from unusual()


def unusual() -> Iterator[tuple[str, bytes]]:
    """Those with colours, frames and sizes that few have."""
    yield "grey.jpg", encode(GREY, "JPEG")
    yield "grey.png", encode(GREY, "PNG")
    yield "16-bit.png", encode(DEEP, "PNG")
    yield "16-bit.tif", encode(DEEP, "TIFF")
    yield "32-bit.tif", encode(Image.fromarray(np.asarray(GREY).astype(np.int32)), "TIFF")
    yield "float.tif", encode(Image.fromarray(np.asarray(GREY).astype(np.float32) / 255), "TIFF")
    yield "1-bit.png", encode(FACE.convert("1"), "PNG")
    yield "fax.tif", encode(FACE.convert("1"), "TIFF", compression="group4")
    yield "palette.png", encode(FACE.quantize(), "PNG")
    yield "palette.gif", encode(FACE.quantize(), "GIF")
    yield "clear-entry.gif", encode(FACE.quantize(), "GIF", transparency=0)
    yield "alpha.png", encode(FACE.convert("RGBA"), "PNG")
    yield "clear.png", encode(Image.new("RGBA", (80, 80), (0, 0, 0, 0)), "PNG")
    yield "grey-alpha.png", encode(FACE.convert("LA"), "PNG")
    yield "palette-alpha.png", encode(FACE.convert("RGBA").quantize(), "PNG")
    yield "animated.gif", animation("GIF")
    yield "animated.webp", animation("WEBP")
    yield "animated.png", animation("PNG")
    yield "pages.tif", animation("TIFF")
    yield "mpo.jpg", animation("MPO")
    yield "turned-6.jpg", turned(6)
    yield "turned-3.jpg", turned(3)
    yield "bad-exif.jpg", encode(FACE, "JPEG", exif=b"Exif\0\0garbage and more garbage")
    yield "bad-profile.jpg", encode(FACE, "JPEG", icc_profile=b"no profile")
    yield "bytes-after-it.jpg", encode(FACE, "JPEG") + b"<html>" * 1000
    yield "1x1.png", encode(FACE.resize((1, 1)), "PNG")
    yield "2x1.jpg", encode(FACE.resize((2, 1)), "JPEG")
    yield "strip.png", encode(FACE.resize((120, 12_931)), "PNG")
    yield "strip.jpg", encode(FACE.resize((12_931, 60)), "JPEG")
    yield "line.png", png(1, 60_000)
    yield "huge.png", png(9_300, 9_100)
    yield "huge-alpha.png", png(9_100, 9_300, colour=6)
    yield "huge-16-bit.png", png(12_000, 12_000, 16, 0)
    yield "huge-1-bit.png", png(13_300, 13_300, 1, 0)
    yield "huge.jpg", encode(Image.new("L", (16_000, 11_000), 90), "JPEG")


def unreadable() -> Iterator[tuple[str, bytes]]:
    """What is no image, is one no more, or is too large."""
    yield "bomb.png", png(30_000, 30_000, 1, 0)
    yield "empty.jpg", b""
    yield "text.png", b"no image here"
    yield "page.jpg", b"<!doctype html><html>not found</html>"
    yield "cut.jpg", encode(FACE, "JPEG")[:3000]
    yield "cut.png", encode(FACE, "PNG")[:3000]
    yield "head.png", encode(FACE, "PNG")[:20]
    yield "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield "zeros.jpg", bytes(5000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("odd") / "odd"
    place.mkdir()
    for name, data in (*readable(), *unreadable()):
        (place / name).write_bytes(data)
    os.mkfifo(place / "fifo.jpg")
    (place / "folder.jpg").mkdir()
    (place / "gone.jpg").symlink_to("nowhere")
    return place


@pytest.mark.skipif(sys.platform != "linux", reason="needs FIFOs and /proc")
def test_every_oddity_is_a_row_and_memory_stays_small(folder: Path, tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from mien.cli import main
        try:
            main(sys.argv[1:])
        finally:
            # Not getrusage: a process begins with the maximum of the one that started it.
            status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            print("peak", status["VmHWM"].split()[0])
    """
    arguments = ["predict", str(folder), "--jsonl", str(tmp_path / "out.jsonl")]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], capture_output=True, text=True, check=False
    )
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    status = {Path(row["source"]).name: row["status"] for row in rows}
    bad = {name for name, _ in unreadable()} | {"fifo.jpg", "folder.jpg", "gone.jpg"}
    assert {name for name, found in status.items() if found == "unreadable"} == bad
    assert status.keys() - bad == {name for name, _ in readable()}
    assert len(rows) >= 60
    assert all(row["reason"] and "\n" not in row["reason"] for row in rows if row["status"] == "unreadable")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{len(bad)} of {len(rows)} files could not be read" in done.stderr
    peak = int(done.stdout.split()[-1]) / 2**20
    assert peak < 0.75, f"{peak:.2f} GiB"

"""The same image in any wrapping is the same upright RGB; anything else is one ImageError line."""

import gc
import io
import os
import tracemalloc
import weakref
import zlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version
from PIL import Image, ImageOps

from mien.data.synthetic.faces import draw_face
from mien.errors import ImageError, InputError
from mien.io.images import pixels
from mien.io.images.costs.bounds import MAX_BYTES
from mien.io.images.costs.cost import NOTHING
from mien.io.images.decoding import decode, load_image
from mien.io.images.headers import decoding_bytes, needed_bytes, open_header
from mien.io.images.loading import decode_with_size, load_stored
from mien.io.images.pixels import MAX_PIXELS, orientation, shrunk_grey, to_grey, turned_upright
from mien.io.images.source import MAX_FILE_BYTES, read_file

RGB = draw_face("happy", 3, 96)
IMAGE = Image.fromarray(RGB)
GREY = np.asarray(IMAGE.convert("L"))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def apart(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Mean absolute difference in grey levels."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def upright(data: bytes) -> npt.NDArray[np.uint8]:
    found = load_image(data)
    assert found.dtype == np.uint8
    assert found.ndim == 3
    assert found.shape[2] == 3
    return found


COLOURED: dict[str, tuple[bytes, float]] = {
    "png": (encode(IMAGE, "PNG"), 0),
    "bmp": (encode(IMAGE, "BMP"), 0),
    "ppm": (encode(IMAGE, "PPM"), 0),
    "tiff": (encode(IMAGE, "TIFF"), 0),
    "tiff lzw": (encode(IMAGE, "TIFF", compression="tiff_lzw"), 0),
    "lossless webp": (encode(IMAGE, "WEBP", lossless=True), 0),
    "jpeg": (encode(IMAGE, "JPEG", quality=95), 3),
    "progressive jpeg": (encode(IMAGE, "JPEG", quality=95, progressive=True), 3),
    "cmyk jpeg": (encode(IMAGE.convert("CMYK"), "JPEG", quality=95), 4),
    "cmyk tiff": (encode(IMAGE.convert("CMYK"), "TIFF"), 1),
    "webp": (encode(IMAGE, "WEBP", quality=95), 3),
    "opaque rgba png": (encode(IMAGE.convert("RGBA"), "PNG"), 0),
    "palette png": (encode(IMAGE.quantize(256), "PNG"), 5),
    "palette gif": (encode(IMAGE.quantize(256), "GIF"), 5),
}
if Version(metadata.version("pillow")) >= Version(
    "13"
):  # the first to read it; before, such a file is refused as damaged
    COLOURED["ycbcr tiff"] = (encode(IMAGE.convert("YCbCr"), "TIFF"), 2)
GREYS: dict[str, tuple[bytes, float]] = {
    "grey png": (encode(Image.fromarray(GREY), "PNG"), 0),
    "grey jpeg": (encode(Image.fromarray(GREY), "JPEG", quality=95), 3),
    "16-bit png": (encode(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"), 0),
    "16-bit tiff": (encode(Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF"), 0),
    "32-bit tiff": (encode(Image.fromarray(GREY.astype(np.int32) * 257), "TIFF"), 0),
    "float tiff to 255": (encode(Image.fromarray(GREY.astype(np.float32)), "TIFF"), 0),
    "float tiff to 1": (encode(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"), 0),
    "grey with alpha": (encode(Image.fromarray(GREY).convert("LA"), "PNG"), 0),
}


@pytest.mark.parametrize("name", COLOURED)
def test_colour_formats_read_alike(name: str) -> None:
    data, tolerance = COLOURED[name]
    assert apart(upright(data), RGB) <= tolerance


@pytest.mark.parametrize("name", GREYS)
def test_grey_formats_read_alike(name: str) -> None:
    data, tolerance = GREYS[name]
    assert apart(upright(data), np.repeat(GREY[..., None], 3, axis=2)) <= tolerance


def test_one_bit_is_black_and_white() -> None:
    bits = Image.fromarray(np.eye(20, dtype=bool))
    assert np.array_equal(upright(encode(bits, "PNG"))[..., 0], np.eye(20) * 255)


STORED = {
    1: None,
    2: 0,
    3: 3,
    4: 1,
    5: 5,
    6: 2,
    7: 6,
    8: 4,
}  # EXIF value → Image.Transpose that makes the stored pixels


@given(
    value=st.integers(1, 8),
    kind=st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP"]),
    size=st.tuples(st.integers(16, 60), st.integers(16, 60)),
)
@settings(max_examples=60)
def test_every_exif_orientation_is_turned_upright(value: int, kind: str, size: tuple[int, int]) -> None:
    upright_image = IMAGE.resize(size)
    turn = STORED[value]
    stored = upright_image if turn is None else upright_image.transpose(Image.Transpose(turn))
    exif = Image.Exif()
    exif[0x0112] = value
    every: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}
    options = every.get(kind, {})
    data = encode(stored, kind, exif=exif, **options)
    assert apart(upright(data), np.asarray(upright_image)) <= (6 if kind == "JPEG" else 0)
    with Image.open(io.BytesIO(data)) as image:
        assert orientation(image) == value
        assert apart(upright(data), np.asarray(ImageOps.exif_transpose(image))) == 0


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage and more garbage",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0",  # thousands of entries announced, none there
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01ab\0\0\0\0\0\0",  # orientation "ab"
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0",  # orientation 99
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's own word on it
def test_damaged_exif_says_nothing_against_the_pixels(exif: bytes) -> None:
    assert apart(upright(encode(IMAGE, "JPEG", quality=95, exif=exif)), RGB) <= 3


def test_transparency_is_laid_on_white() -> None:
    seen = np.zeros((20, 20), np.uint8)
    seen[:, 10:] = 255
    rgba = np.dstack([np.full((20, 20), 40, np.uint8)] * 3 + [seen])
    expected = np.where(seen[..., None] > 0, 40, 255).repeat(3, axis=2)
    assert np.array_equal(upright(encode(Image.fromarray(rgba), "PNG")), expected)
    assert np.array_equal(load_image(rgba), expected)
    grey = Image.merge("LA", (Image.fromarray(rgba[..., 0]), Image.fromarray(seen)))
    assert np.array_equal(upright(encode(grey, "PNG")), expected)
    half = np.dstack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 128, np.uint8)])
    assert set(np.unique(load_image(half))) == {127}


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(kind: str) -> None:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(1, (10, 0, 20, 20))
    found = upright(encode(image, kind, transparency=0))
    assert (found[:, :10] == 255).all()
    assert (found[:, 10:] == (200, 0, 0)).all()


def test_of_an_animation_the_first_frame_is_read() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (upright(data) == (255, 0, 0)).all()


def test_a_large_jpeg_is_shrunk_but_never_below_what_was_asked() -> None:
    data = encode(IMAGE.resize((800, 1200)), "JPEG", quality=95)
    small = load_image(data, shrink_to=128)
    assert small.shape == (300, 200, 3)
    assert load_image(data).shape == (1200, 800, 3)
    assert load_image(encode(IMAGE, "JPEG"), shrink_to=512).shape == RGB.shape
    assert load_image(encode(IMAGE, "PNG"), shrink_to=8).shape == RGB.shape


def test_paths_and_bytes_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "[a b].ünï.png"
    path.write_bytes(encode(IMAGE, "PNG"))
    for source in (path, str(path), path.read_bytes()):
        assert np.array_equal(load_image(source), RGB)


def test_grey_follows_the_same_rules() -> None:
    data = encode(Image.fromarray(GREY), "PNG")
    image, _ = load_stored(open_header(data, "x"), data, "x", shrink_to=1, reserve=lambda needed: None)
    assert np.array_equal(np.asarray(to_grey(image)), GREY)
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (np.asarray(to_grey(clear)) == 255).all()


def line(act: Callable[[], object]) -> str:
    with pytest.raises(ImageError) as caught:
        act()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(f": {caught.value.reason}")
    return caught.value.reason


@pytest.mark.parametrize("side", [30_000, 14_000])
def test_bombs_are_refused_before_decoding(side: int) -> None:
    bomb = encode(Image.new("1", (side, side)), "PNG", compress_level=1)
    assert len(bomb) < 2_000_000
    assert line(lambda: load_image(bomb)) == f"has more than {MAX_PIXELS} pixels"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_takes_too_much_memory_is_refused_before_decoding() -> None:
    ihdr = b"IHDR" + (12_500).to_bytes(4) * 2 + b"\x08\x02\0\0\0"  # eight bits, RGB
    header = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4) + ihdr + zlib.crc32(ihdr).to_bytes(4)
    pixels = (4).to_bytes(4) + b"IDAT" + bytes(8)
    assert line(lambda: load_image(header + pixels)).startswith("takes more than 416 MiB to decode; shrink it")
    grey = encode(Image.new("1", (12_500, 12_500)), "PNG")
    assert decode_with_size(grey, "x", max_pixels=10**6).rgb.shape == (962, 962, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "I;16", "RGBA"])
def test_a_large_image_is_converted_in_strips(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of 7 rows, which divide nothing, give what the whole gives; so does shrinking, but for rounding."""
    source = Image.fromarray(GREY.astype(np.uint16) * 257) if mode == "I;16" else IMAGE.convert(mode)
    data = encode(source, "TIFF")
    whole = decode_with_size(data, "x").rgb
    small = np.asarray(Image.fromarray(whole).reduce(4))
    monkeypatch.setattr(pixels, "_STRIP_PIXELS", 7 * 96)
    assert np.array_equal(decode_with_size(data, "x").rgb, whole)
    found = decode_with_size(data, "x", max_pixels=24 * 24).rgb
    assert found.shape == (24, 24, 3)
    assert apart(found, small) < 0.5


def test_floats_are_scaled_alike_in_every_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.linspace(0, 1, 96 * 96, dtype=np.float32).reshape(96, 96)
    for factor in (1, 65_535):
        data = encode(Image.fromarray(values * factor), "TIFF")
        whole = decode_with_size(data, "x").rgb
        assert (whole[0, 0, 0], whole[-1, -1, 0]) == (0, 255)
        with monkeypatch.context() as patch:
            patch.setattr(pixels, "_STRIP_PIXELS", 7 * 96)
            assert np.array_equal(decode_with_size(data, "x").rgb, whole)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16", "CMYK"])
@pytest.mark.parametrize("factor", [1, 3])
def test_a_large_image_becomes_grey_in_strips(mode: str, factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (61, 47, 4), np.uint8)
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(pixels)
    image = image if mode == "I;16" else image.convert("RGB" if mode not in ("RGBA",) else "RGBA").convert(mode)
    whole = np.asarray(to_grey(image).reduce(factor))
    monkeypatch.setattr("mien.io.images.pixels._STRIP_PIXELS", 47 * 7)
    np.testing.assert_array_equal(shrunk_grey(image, factor), whole)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("turn", [1, 6])
def test_a_deep_image_becomes_grey_in_strips_of_one_scale(
    kind: type[np.generic], turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The largest value stands in the last strip alone, and scales the others, too.
    values = np.zeros((1200, 1000), np.float64)
    values[:600], values[-1] = 90.0, 255.0
    image = Image.fromarray((values * (1 / 255 if kind is np.float32 else 257)).astype(kind))
    stored = Image.fromarray(values.astype(np.uint8))
    whole = np.asarray(pixels.to_grey(stored.transpose(pixels.TRANSPOSES[turn]) if turn > 1 else stored).reduce(3))
    monkeypatch.setattr(pixels, "_STRIP_PIXELS", 1000 * 30)
    tracemalloc.start()
    found = shrunk_grey(image, 3, turn)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, whole)
    assert peak < 2 * 1000 * 1200  # in one go, its floats alone would take 4 bytes a pixel, twice


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("size", [(61, 47), (47, 61)])
def test_a_large_image_is_turned_in_strips(turn: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    upright = Image.fromarray(stored).transpose(pixels.TRANSPOSES[turn]) if turn > 1 else Image.fromarray(stored)
    grey = np.asarray(to_grey(upright).reduce(3))
    monkeypatch.setattr("mien.io.images.pixels._STRIP_PIXELS", 47 * 7)
    np.testing.assert_array_equal(turned_upright(stored, turn), np.asarray(upright))
    np.testing.assert_array_equal(shrunk_grey(Image.fromarray(stored), 3, turn), grey)


def test_a_shrunk_image_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = IMAGE.resize((96, 60)).transpose(Image.Transpose.ROTATE_90)
    for kind in ("PNG", "JPEG"):
        found = decode_with_size(encode(stored, kind, exif=exif), "x", max_pixels=48 * 30).rgb
        assert found.shape == (30, 48, 3)
        assert apart(found, np.asarray(IMAGE.resize((96, 60)).reduce(2))) < 6


def test_the_size_told_is_that_of_the_upright_image_before_it_was_shrunk() -> None:
    exif = Image.Exif()
    for value, size in ((1, (640, 400)), (3, (640, 400)), (6, (400, 640)), (8, (400, 640))):
        exif[0x0112] = value
        data = encode(IMAGE.resize((640, 400)), "JPEG", exif=exif)
        rgb, *told, _, _ = decode_with_size(data, "x", shrink_to=200)
        assert tuple(told) == size
        assert (rgb.shape[1], rgb.shape[0]) == (size[0] // 2, size[1] // 2)


def test_an_orientation_behind_the_pixels_of_a_png_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(IMAGE.resize((60, 40)), "PNG", exif=exif)
    at = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[at : at + 4])
    behind = data[:at] + data[at + length : -12] + data[at : at + length] + data[-12:]
    rgb, width, height, *_ = decode_with_size(behind, "x")
    assert (rgb.shape, width, height) == ((60, 40, 3), 40, 60)
    assert np.array_equal(rgb, decode(data, "x"))


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGB"), ("PNG", "L"), ("PNG", "RGBA"), ("JPEG", "RGB"), ("TIFF", "L")]
)
def test_what_decoding_needs_is_told_by_the_header(kind: str, mode: str) -> None:
    """At least the image itself and Pillow's copy, and of the order of that."""
    data = encode(IMAGE.resize((2000, 1000)).convert(mode), kind)
    decoded = 2_000_000 * (1 if mode == "L" else 4)
    assert decoded + 6_000_000 <= decoding_bytes(data, "x") <= decoded + 7_000_000 + 2 * len(data)
    assert decoding_bytes(data, "x", max_pixels=500_000) < decoding_bytes(data, "x")
    if kind == "JPEG":
        assert decoding_bytes(data, "x", shrink_to=200) < 1_000_000 + 2 * len(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files_are_refused(kind: str, share: float) -> None:
    whole = encode(IMAGE, kind)
    reason = line(lambda: load_image(whole[: int(len(whole) * share)]))
    assert reason.count("(") <= 1


def test_files_that_are_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image here")
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert "zero bytes" in line(lambda: load_image(tmp_path / "empty.jpg"))
    assert "not an image" in line(lambda: load_image(tmp_path / "text.jpg"))
    assert line(lambda: load_image(tmp_path)) == "is a folder"
    assert line(lambda: load_image(tmp_path / "fifo.jpg")) == "is not a regular file"
    assert line(lambda: load_image("/dev/zero")) == "is not a regular file"
    assert line(lambda: load_image(tmp_path / "gone.jpg")) == "no such file"
    assert line(lambda: load_image(tmp_path / "none.jpg")) == "no such file"
    assert "cannot be read" in line(lambda: load_image(tmp_path / "loop.jpg"))
    assert "cannot be read" in line(lambda: load_image(tmp_path / "text.jpg" / "below"))
    assert "cannot be read" in line(lambda: load_image("a\0b.jpg"))
    assert "cannot be read" in line(lambda: load_image("x" * 300))
    assert "zero bytes" in line(lambda: load_image(b""))


def test_a_file_that_vanishes_between_look_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(IMAGE, "PNG"))
    real = Path.read_bytes

    def vanish(self: Path) -> bytes:
        self.unlink()
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", vanish)
    assert line(lambda: read_file(path)) == "no such file"


@pytest.mark.parametrize("size", [MAX_FILE_BYTES + 1, 2**40])
def test_a_sparse_giant_is_not_read(tmp_path: Path, size: int) -> None:
    path = tmp_path / "giant.jpg"
    with path.open("wb") as stream:
        stream.truncate(size)
    reason = f"is larger than {MAX_FILE_BYTES >> 20} MiB; save it again as JPEG"
    tracemalloc.start()
    assert line(lambda: load_image(path)) == reason
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    if size < 2**40:
        assert line(lambda: load_image(bytes(size))) == reason
        with path.open("rb") as stream:
            assert line(lambda: load_image(stream)) == reason


@given(st.integers(0, 40))
def test_only_files_that_may_be_decoded_are_read(more: int) -> None:
    # The smallest image: what is refused unread would be refused by its header.
    smallest = Image.new("1", (1, 1))
    assert needed_bytes(smallest, NOTHING, MAX_FILE_BYTES + (1 << more), None) > MAX_BYTES
    assert needed_bytes(smallest, NOTHING, MAX_FILE_BYTES - (16 << more % 20), None) <= MAX_BYTES


def test_arrays() -> None:
    assert np.array_equal(load_image(RGB), RGB)
    grey = np.repeat(GREY[..., None], 3, axis=2)
    assert np.array_equal(load_image(GREY), grey)
    assert np.array_equal(load_image(GREY[..., None]), grey)
    assert np.array_equal(load_image(RGB[::-1, ::2]), RGB[::-1, ::2])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), bool),
        np.zeros((4, 4), np.int64),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((), np.uint8),
    ],
)
def test_other_arrays_are_input_errors(array: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="array of") as caught:
        load_image(array)
    assert not isinstance(caught.value, ImageError)


def test_a_huge_array_and_other_things_are_input_errors() -> None:
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (30_000, 30_000, 3), (0, 0, 0))
    with pytest.raises(InputError, match="more than"):
        load_image(huge)
    for thing in (None, 3, [1, 2]):
        with pytest.raises(InputError, match="a path, bytes, an open file, a Pillow image or a uint8 array"):
            load_image(thing)  # type: ignore[arg-type]


HEADS = [
    *(b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBP", b"P6 3 3 255 "),
    *(b"\0\0\1\0\1\0", b"8BPS", b"\0\0\0\x1cftypavif", b"\0\0\0\x0cjP  \r\n\x87\n", b"icns", b"DDS "),
]


@pytest.mark.filterwarnings("ignore:::PIL")
@given(head=st.sampled_from(HEADS), tail=st.binary(max_size=200))
@settings(max_examples=300)
def test_random_bytes_raise_nothing_but_image_errors(head: bytes, tail: bytes) -> None:
    try:
        found = decode(head + tail, "x")
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert found.dtype == np.uint8
        assert found.shape[2] == 3


WHOLE = [data for data, _ in (*COLOURED.values(), *GREYS.values())]


@pytest.mark.filterwarnings("ignore:::PIL")
@given(data=st.sampled_from(WHOLE), hits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8))
@settings(max_examples=200)
def test_flipped_bytes_raise_nothing_but_image_errors(data: bytes, hits: list[tuple[float, int]]) -> None:
    damaged = bytearray(data)
    for place, value in hits:
        # Squared: most hits fall into the header, where they hurt.
        damaged[int(place**2 * (len(damaged) - 1))] = value
    try:
        assert decode(bytes(damaged), "x").shape[2] == 3
    except ImageError as error:
        assert "\n" not in str(error)


def test_an_opened_pillow_image_without_its_last_bytes_is_read_as_its_file() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (40, 32), (200, 100, 50)).save(stream, "JPEG")
    cut = stream.getvalue()[:-2]
    np.testing.assert_array_equal(load_image(Image.open(io.BytesIO(cut))), load_image(cut))


def test_pillow_images_without_pixels_and_with_premultiplied_grey() -> None:
    with pytest.raises(ImageError, match="has no pixels"):
        load_image(Image.new("RGB", (0, 0)))
    assert load_image(Image.new("LA", (2, 2), (80, 255)).convert("La"))[0, 0].tolist() == [80, 80, 80]


def test_the_pixels_of_a_webp_are_freed_at_once() -> None:
    """Its canvases are let go while it is loaded, and nothing waits for garbage collection."""
    data = encode(IMAGE, "WEBP", lossless=True)
    gc.collect()
    gc.disable()
    try:
        image, _ = load_stored(open_header(data, "x"), data, "x", shrink_to=1, reserve=lambda needed: None)
        assert image._decoder is None  # type: ignore[attr-defined]
        assert apart(np.asarray(image), RGB) == 0
        gone = weakref.ref(image)
        del image
        assert gone() is None
    finally:
        gc.enable()

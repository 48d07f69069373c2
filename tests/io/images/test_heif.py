"""HEIC and AVIF photographs are images like any other: upright, of bounded cost, and only their primary image."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from heif_files import Item, composed_heic, encode_heic, find_box, overlaid_heic, tiled_heic
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from mien.arrays import RGB
from mien.data.inspection import inspect_file
from mien.errors import ImageError
from mien.io.images.costs.bounds import MAX_BYTES
from mien.io.images.decoding import load_image, open_image
from mien.io.images.headers import decoding_bytes
from mien.io.images.heif import is_avif, is_heif
from mien.io.sniffing import begins_like_image, is_image_name, looks_like_video, not_an_image

FACE = Image.fromarray(data.astronaut()[:200, 130:290])  # type: ignore[no-untyped-call]
TILE = FACE.resize((64, 64))


def avif(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "AVIF", quality=90, **options)
    return buffer.getvalue()


def difference(found: RGB, expected: Image.Image) -> float:
    """The mean difference of two images, in 0-255; they must have the same shape."""
    wanted = np.asarray(expected.convert("RGB"))
    assert found.shape == wanted.shape
    return float(np.abs(found.astype(int) - wanted).mean())


def deep(image: Image.Image, mode: str) -> bytes:
    """Return a HEIC file of 10 bits."""
    values = np.asarray(image).astype(np.uint16) * 257
    buffer = io.BytesIO()
    pillow_heif.from_bytes(mode=mode, size=image.size, data=values.tobytes()).save(buffer, quality=90)
    return buffer.getvalue()


def burst() -> bytes:
    """Return a HEIC file of three images; the second is the primary one."""
    file = pillow_heif.from_pillow(FACE.rotate(180))
    file.add_from_pillow(FACE)
    file.add_from_pillow(FACE.resize((300, 40)))
    buffer = io.BytesIO()
    file.save(buffer, quality=90, primary_index=1)
    return buffer.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "heic": lambda: encode_heic(FACE),
    "thumbnail": lambda: encode_heic(FACE, thumbnails=[64]),
    "alpha": lambda: encode_heic(FACE.convert("RGBA")),
    "10 bits": lambda: deep(FACE, "RGB;16"),
    "burst": burst,
    "4:4:4": lambda: encode_heic(FACE, chroma=444),
    "avif": lambda: avif(FACE),
    "avif sequence": lambda: avif(FACE, save_all=True, append_images=[FACE.rotate(90)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_what_it_was_made_from(kind: str) -> None:
    assert difference(load_image(KINDS[kind]()), FACE) < 3.5


def test_grey_photographs_of_8_and_10_bits() -> None:
    grey = FACE.convert("L")
    assert difference(load_image(encode_heic(grey)), grey) < 2
    assert difference(load_image(deep(grey, "I;16")), grey) < 2


def test_transparency_is_laid_on_white() -> None:
    half = FACE.convert("RGBA")
    half.putalpha(Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 80, 1).repeat(200, 0)))
    found = load_image(encode_heic(half))
    assert found[:, :70].min() > 250
    assert difference(found[:, 90:], FACE.crop((90, 0, 160, 200))) < 5


def test_an_image_of_tiles_as_phones_write_it() -> None:
    whole = Image.new("RGB", (180, 120))
    for place in range(6):
        whole.paste(TILE, (place % 3 * 64, place // 3 * 64))
    assert difference(load_image(tiled_heic(TILE, 3, 2, (180, 120))), whole) < 3


@pytest.mark.parametrize("encode", [encode_heic, avif])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_once(orientation: int, encode: Callable[..., bytes]) -> None:
    """As in a JPEG: phones write the orientation of the file, and repeat it in EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    FACE.save(buffer, "JPEG", quality=95, exif=exif)
    expected = Image.fromarray(load_image(buffer.getvalue()))
    stored = encode(FACE, exif=exif.tobytes())
    assert difference(load_image(stored), expected) < 4
    with open_image(stored, "a") as image:
        assert (image.width, image.height) == expected.size
    assert decoding_bytes(stored, "a") >= 3 * FACE.width * FACE.height


@pytest.mark.parametrize("encode", [encode_heic, avif])
def test_an_orientation_in_xmp_alone_does_not_count(encode: Callable[..., bytes]) -> None:
    """The file has an orientation of its own, which is upright; what the metadata say is for information."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    turned = encode(FACE, xmp=xmp)
    if encode is encode_heic:  # pillow-heif takes it for the orientation of the file: take that out
        turned = turned.replace(b"irot", b"free")
    assert difference(load_image(turned), FACE) < 4


@pytest.mark.parametrize(
    ("brands", "heif", "avif"),
    [
        (b"heic\0\0\0\0mif1heic", True, False), (b"heix\0\0\0\0mif1heix", True, False),
        (b"mif1\0\0\0\0mif1heic", True, False), (b"mif1\0\0\0\0mif1avifmiaf", False, True),
        (b"msf1\0\0\0\0msf1hevc", True, False), (b"msf1\0\0\0\0msf1avis", False, True),
        (b"hevc\0\0\0\0msf1hevc", True, False), (b"avif\0\0\0\0mif1miafMA1B", False, True),
        (b"avis\0\0\0\0msf1", False, True), (b"miaf\0\0\0\0mif1", True, False),
        (b"isom\0\0\0\0isomiso2heic", False, False), (b"qt  \0\0\0\0qt  ", False, False),
        (b"mp42\0\0\0\0mp42hvc1", False, False),
    ],
)  # fmt: skip
def test_images_and_videos_in_the_same_boxes_are_told_apart(brands: bytes, heif: bool, avif: bool) -> None:
    head = (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + b"avif"  # which is behind the box
    assert (is_heif(head), is_avif(head)) == (heif, avif)
    assert begins_like_image(head) == (heif or avif)
    for name in ("a.heic", "a.mp4", "a"):
        assert looks_like_video(name, head) == (not (heif or avif))


def test_names_of_photographs() -> None:
    assert all(is_image_name(name) for name in ("IMG_1.HEIC", "a.heif", "a.hif", "a.heics", "a.avif"))


def test_a_sequence_without_a_still_image_is_said_so() -> None:
    moov = b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc" + b"\0\0\0\x10moov" + bytes(8)
    with pytest.raises(ImageError, match="is a HEIF sequence without a still image; save it as JPEG or PNG") as caught:
        load_image(moov)
    assert caught.value.code == "unsupported"
    assert inspect_file("a.heics", moov).kinds == ("unsupported-type",)


@pytest.mark.parametrize("rest", [b"\0\0\0\x04meta", b"\0\0\0\x01moov", b""], ids=["of 4 bytes", "cut short", "none"])
def test_damaged_boxes_are_no_sequence(rest: bytes) -> None:
    damaged = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + rest
    with pytest.raises(ImageError) as caught:
        load_image(damaged)
    assert "sequence" not in str(caught.value) and caught.value.code == "damaged"
    assert inspect_file("a.heic", damaged).kinds == ("truncated",)


def test_check_finds_nothing_wrong_with_photographs() -> None:
    for kind in ("heic", "thumbnail", "burst", "avif"):
        found = inspect_file(f"happy/a.{'avif' if kind == 'avif' else 'heic'}", KINDS[kind]())
        assert (found.kinds, found.reason, found.width, found.height) == ((), None, 160, 200)
    assert inspect_file("a.jpg", KINDS["heic"]()).kinds == ("wrong-extension",)
    assert inspect_file("a.heic", KINDS["heic"]()[:-300]).kinds == ("truncated",)
    assert not_an_image(KINDS["heic"]()) is None


def with_size(stored: bytes, width: int, height: int) -> bytes:
    place = stored.index(b"ispe") + 8
    return stored[:place] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + stored[place + 8 :]


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """Yield names, files, and what is said of them."""
    plain = encode_heic(FACE)
    yield "images on each other", overlaid_heic(TILE, 3), "laid on each other"
    layers = overlaid_heic(TILE, 3, 25)
    yield "layers", layers, "laid on each other"
    yield (
        "layers of a kind that is not looked for",
        layers.replace(b"iovl", b"iden"),
        "without end|more than 20000 parts",
    )
    yield "few layers of many", overlaid_heic(TILE, 30, 5).replace(b"iovl", b"grid"), "more than 20000 parts"
    yield "many tiles", tiled_heic(FACE, 30, 30, (64, 64)), "far more pixels"
    yield "tiles beyond counting", tiled_heic(TILE, 40, 40), "exceeds the security limit"
    yield "wide tiles", tiled_heic(TILE, 2, 2, (60_000, 60_000)), "more than 178956970 pixels"
    circle = [Item(b"iden", [1], b"")]
    yield "circle", composed_heic(TILE, 1, circle, TILE.size), "without end"
    yield "larger than it is", with_size(plain, 7000, 7000), "size"
    yield "smaller than it is", with_size(plain, 16, 16), "."
    yield "huge", with_size(plain, 2**32 - 1, 2**32 - 1), "."
    yield "too many pixels", with_size(plain, 20_000, 20_000), "more than 178956970 pixels"
    yield "too much memory", with_size(plain, 12_000, 12_000), f"takes more than {MAX_BYTES >> 20} MiB"
    yield "many boxes", plain[:28] + b"\0\0\0\x08free" * 30_000 + plain[28:], "more than 20000 boxes"
    yield "no primary", plain.replace(b"pitm", b"free"), "."
    yield "metadata that are no text", encode_heic(FACE, exif=Image.Exif().tobytes()).replace(b"Exif", b"E\xeeif"), ""


@pytest.mark.parametrize("case", list(hostile()), ids=lambda case: case[0])
def test_files_that_cost_more_than_they_show_are_refused_at_once(case: tuple[str, bytes, str]) -> None:
    """Without a look at them, some of these would be opened or decoded for hours."""
    _, stored, problem = case
    inspect_file("a.heic", stored)
    if problem:
        with pytest.raises(ImageError, match=problem) as caught:
            load_image(stored)
        assert "\n" not in str(caught.value)
    else:
        assert load_image(stored).shape == (200, 160, 3)


SEEDS = [KINDS["heic"](), KINDS["burst"](), KINDS["alpha"](), tiled_heic(TILE, 2, 2), KINDS["avif"]()]


@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(
        st.tuples(st.integers(0, 2**16), st.binary(max_size=5), st.integers(0, 5)), min_size=1, max_size=9
    ),
)
def test_any_bytes_are_an_image_or_an_error(seed: bytes, changes: list[tuple[int, bytes, int]]) -> None:
    stored = bytearray(seed)
    for place, new, length in changes:  # most hit the boxes
        start = place % (min(len(stored), 900) + 1)
        stored[start : start + length] = new
    try:
        assert load_image(bytes(stored)).ndim == 3
    except ImageError as error:
        assert "\n" not in str(error)
    inspect_file("a.heic", bytes(stored))


def test_nothing_is_registered_with_pillow_and_the_library_is_loaded_for_such_files_only(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(KINDS["heic"]())
    FACE.save(tmp_path / "a.png")
    code = """
        import sys
        from PIL import Image
        from pathlib import Path
        from mien.io.images.decoding import load_image
        from mien.io.images.loading import decode_with_size
        load_image("a.png")
        print("_pi_heif" in sys.modules)
        decode_with_size(Path("a.heic").read_bytes(), "a")
        print("_pi_heif" in sys.modules, "HEIF" in Image.OPEN, ".heic" in Image.registered_extensions())
    """
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "True", "False", "False"]


def test_a_pillow_image_that_another_library_opened_is_not_turned_again() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = encode_heic(FACE, exif=exif.tobytes())
    opened = pillow_heif.HeifImageFile(io.BytesIO(stored))  # type: ignore[no-untyped-call]
    assert load_image(opened).shape == (160, 200, 3)


def test_the_box_of_a_coded_image_is_found() -> None:
    assert find_box(SEEDS[0], b"hvcC").startswith(b"\0\0\0")

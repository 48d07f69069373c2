"""JPEG files without their end: read if all pixels are there, refused if some are missing."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.data.inspection import inspect_file
from mien.errors import ImageError
from mien.io.images.decoding import decode
from mien.io.images.jpeg import CUT_SHORT, completed
from mien.io.images.loading import decode_with_size


def jpeg(seed: int = 0, width: int = 96, height: int = 80, mode: str = "RGB", **options: Any) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(pixels).resize((width, height)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "grey": {"mode": "L"},
    "cmyk": {"mode": "CMYK"},
    "restarts": {"restart_marker_blocks": 2},
    "not subsampled": {"subsampling": 0},
    "odd size": {"width": 61, "height": 43},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", [b"", b"\xff", b"\0" * 600, b"\xff\xff\xff"])
def test_a_jpeg_without_its_end_reads_like_the_whole_one(kind: str, end: bytes) -> None:
    whole = jpeg(**KINDS[kind])
    assert whole.endswith(b"\xff\xd9")
    found = decode_with_size(whole[:-2] + end, "a.jpg")
    # With bytes behind its pixels, the decoder may finish without looking for the end.
    assert found.note == CUT_SHORT or kind == "restarts" or end.startswith(b"\0")
    np.testing.assert_array_equal(found.rgb, decode(whole, "a.jpg"))
    assert decode_with_size(whole, "a.jpg").note is None
    facts = inspect_file("a.jpg", whole[:-2] + end)
    assert facts.usable
    assert ("cut-short" in facts.kinds) == (found.note == CUT_SHORT)


@given(st.integers(0, 9), st.sampled_from(sorted(KINDS)), st.integers(3, 4000))
def test_a_jpeg_that_lacks_pixels_is_never_taken_for_whole(seed: int, kind: str, lost: int) -> None:
    whole = jpeg(seed, **KINDS[kind])
    cut = whole[: max(len(whole) - lost, 2)]
    mended = completed(cut)
    if mended is not None:  # at most padding bits were lost
        np.testing.assert_array_equal(decode(mended, "a.jpg"), decode(whole, "a.jpg"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_that_lacks_a_tenth_is_refused(kind: str) -> None:
    whole = jpeg(**KINDS[kind])
    with pytest.raises(ImageError, match="truncated") as caught:
        decode(whole[: len(whole) * 9 // 10], "a.jpg")
    assert caught.value.code == "damaged"


def test_a_progressive_jpeg_that_lacks_whole_scans_is_refused() -> None:
    whole = jpeg(progressive=True)
    scans = [place for place in range(len(whole) - 1) if whole[place : place + 2] == b"\xff\xda"]
    assert len(scans) > 3
    for start in scans[1:]:
        with pytest.raises(ImageError, match="truncated"):
            decode(whole[:start], "a.jpg")


@given(st.binary(max_size=400))
def test_bytes_that_only_begin_like_a_jpeg_are_not_completed(data: bytes) -> None:
    assert completed(b"\xff\xd8\xff" + data) is None

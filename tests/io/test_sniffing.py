"""Files that are not images are named for what they are, at every door alike."""

import pytest

import mien
from mien.data.inspection import inspect_file
from mien.data.issues import ISSUE_KINDS
from mien.io.sniffing import is_video, not_an_image

FILES = {
    "drawing.svg": (b"<svg xmlns='x'></svg>", "is an SVG drawing; save it as JPEG or PNG"),
    "page.jpg": (b"<!DOCTYPE html><html><body>404", "is a web page, not an image; download the image itself"),
    "lfs.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
                "is a Git LFS pointer, not the image; run: git lfs pull"),
    "paper.jpg": (b"%PDF-1.7\n%\xe2\xe3", "is a PDF document; save it as JPEG or PNG"),
    "note.jpg": (b"Hello\n", "is text, not an image; give an image"),
    "film.jpg": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", "is a video; images are read here, videos by mien predict"),
    "film.mts": (b"G" + b"\0" * 187 + b"G" + b"\0" * 187 + b"G",
                 "is a video; images are read here, videos by mien predict"),
    "film.wmv": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
                 "is a video; images are read here, videos by mien predict"),
    "saved.jpg": (b"<!-- saved from the web -->\n<!DOCTYPE html><html>",
                  "is a web page, not an image; download the image itself"),
    "made.svg": (b"<!-- made by hand -->\n<svg/>", "is an SVG drawing; save it as JPEG or PNG"),
    "print.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
                  "is a PostScript drawing; save it as JPEG or PNG"),
    "map.jpg": (b"\x89HDF\r\n\x1a\n", "is an HDF5 file; save it as JPEG or PNG"),
    "all.jpg": (b"PK\x03\x04\x14\0\0\0\x08\0\xff\xfe", "is a zip archive; unpack it"),
    "new.jpg": (b"\xff\x0a\xfa\x7f\x01\x90", "is a JPEG XL image; save it as JPEG or PNG"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_predict_says_what_check_says(name: str) -> None:
    data, reason = FILES[name]
    result = mien.load().predict(data)
    assert (result.status, result.reason) == ("unreadable", reason)
    facts = inspect_file(name, data)
    assert not facts.usable
    assert reason.startswith(str(facts.reason))
    assert facts.kinds[0] in ISSUE_KINDS


@pytest.mark.parametrize("data", [b"P1\n1 1\n0\n", b"\0\0\0\x1cftypavif\0\0\0\0", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n"])
def test_images_are_not_taken_for_something_else(data: bytes) -> None:
    assert not_an_image(data) is None


def test_videos_are_known_by_their_names() -> None:
    assert is_video("a/Clip.MP4")
    assert not is_video("mp4")
    assert not is_video("clip.gif")

"""Recognise files by name and first bytes: images, videos, and what stands where an image should be.

The formats of videos: `mien.io.video.containers`.
"""

import codecs
import os
import re
import stat
from itertools import chain
from pathlib import Path
from posixpath import splitext
from typing import NamedTuple

from mien.io.images.formats import FORMAT_SUFFIXES
from mien.io.images.heif import HEIF_HEAD, is_avif, is_heif, is_sequence_alone
from mien.io.video.containers import VIDEO_HEAD, begins_like_video, is_clear_video_name, is_sound_name, is_video_name

#: Endings of image files, in lower case; also of some that are not opened, so that a row says so.
_SUFFIXES = frozenset([*chain.from_iterable(FORMAT_SUFFIXES.values()), ".svg", ".ico"])
#: First bytes of most images, whatever their names say.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
#: Bytes at the beginning of a file that tell what it is.
HEAD = max(VIDEO_HEAD, HEIF_HEAD)
_LFS_HEAD = b"version https://git-lfs.github.com/spec/"
_MARKUP = (b"<svg", b"<!doctype svg")
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<div", b"<iframe", b"<meta")
#: What may stand before the first element of a page or drawing.
_BEFORE = re.compile(rb"(?:<!--.*?-->|<\?xml.*?\?>|\s+)*", re.DOTALL)
_CONVERT = "save it as JPEG or PNG"
#: First bytes of other files, and what they are.
_HEADS = {
    b"%PDF": "a PDF document",
    b"8BPS": "a Photoshop document",
    b"%!PS": "a PostScript drawing",
    b"\xc5\xd0\xd3\xc6": "a PostScript drawing",
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
    b"\0\0\1\0": "an icon (ICO)",
    b"icns": "an icon (ICNS)",
    b"DDS ": "a texture (DDS)",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"SIMPLE  =": "a FITS image",
    b"gimp xcf": "a GIMP document",
    b"qoif": "a QOI image",
    b"v/1\1": "an OpenEXR image",
    b"#?RADIANCE": "a Radiance image",
    b"\x01\xda": "an SGI image",
    b"\x59\xa6\x6a\x95": "a Sun raster image",
    b"\xd7\xcd\xc6\x9a": "a Windows metafile",
    b"\1\0\0\0\x6c\0\0\0": "a Windows metafile",
    b"II\xbc\1": "a JPEG XR image",
    b"FUJIFILMCCD-RAW": "a raw photograph",
}
#: Last bytes of a Targa image (TGA), which has no first ones.
_TARGA_TAIL = b"TRUEVISION-XFILE.\0"
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
}


def begins_like_image(head: bytes) -> bool:
    r"""Return whether the first bytes of a file are those of a JPEG, PNG, GIF, WebP, AVIF or HEIC.

    Examples:
        >>> begins_like_image(b"GIF89a\x01\x00\x01\x00\x80\x00")
        True
    """
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_SIGNATURES) or is_webp or is_avif(head) or is_heif(head)


def is_video(name: str) -> bool:
    """Return whether a file is a video: by its first bytes, or by its name if they say nothing.

    Examples:
        >>> is_video("party.MP4")
        True
    """
    return looks_like_video(name, head_of(name))


def looks_like_video(name: str, head: bytes) -> bool:
    """Return whether a file with this name and these first bytes is a video; its name counts if they say nothing."""
    if begins_like_image(head):
        return False
    return begins_like_video(head) or (is_video_name(name) and not is_image_name(name))


def is_clear_name(name: str) -> bool:
    """Return whether a name ends as nothing but an image or a video does."""
    return is_image_name(name) or is_clear_video_name(name)


def begins_like_either(name: str, head: bytes) -> bool:
    """Return whether a file begins like an image, or like a video and its name does not call it sound."""
    return begins_like_image(head) or (begins_like_video(head) and not is_sound_name(name))


def is_image_name(name: str) -> bool:
    """Return whether a name ends like that of an image.

    Examples:
        >>> is_image_name("party.JPG"), is_image_name("party.mp4")
        (True, False)
    """
    return splitext(name)[1].lower() in _SUFFIXES


def head_of(path: str | Path) -> bytes:
    """Return the first bytes of a file; nothing if it cannot be read or is not a regular file."""
    try:
        # There may be a million names: to make a path of each takes as long as to read it.
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            return b""
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
            return stream.read(HEAD)
    except (OSError, ValueError):
        return b""


class NotAnImage(NamedTuple):
    """The kind of issue (a key of `mien.data.issues.ISSUE_KINDS`), what the file is, and what to do."""

    kind: str
    reason: str
    fix: str


def not_an_image(data: bytes, wanted: str = "an image") -> NotAnImage | None:
    r"""Recognise what folders contain instead of images, by the first bytes; None for everything else.

    `wanted` is what was looked for, with its article.

    Examples:
        >>> not_an_image(b"<!DOCTYPE html><html>").reason
        'is a web page, not an image'
    """
    if not data:
        return NotAnImage("zero-bytes", "is empty (zero bytes)", "download it again or delete it")
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    lower, noun = head[:512].lower(), wanted.rsplit(maxsplit=1)[-1]
    element = _BEFORE.sub(b"", lower, count=1)
    if head.startswith(_LFS_HEAD):
        return NotAnImage("lfs-pointer", f"is a Git LFS pointer, not the {noun}", "run: git lfs pull")
    if b"<svg" in lower and element.startswith(_MARKUP):
        return NotAnImage("unsupported-type", "is an SVG drawing", _CONVERT)
    if element.startswith(_PAGE):
        return NotAnImage("html", f"is a web page, not {wanted}", f"download the {noun} itself")
    if is_heif(data[:HEAD]) and is_sequence_alone(data):
        return NotAnImage("unsupported-type", "is a HEIF sequence without a still image", _CONVERT)
    for start, words in _HEADS.items():
        if data.startswith(start):
            return NotAnImage("unsupported-type", f"is {words}", _CONVERT)
    if data.endswith(_TARGA_TAIL):
        return NotAnImage("unsupported-type", "is a Targa image (TGA)", _CONVERT)
    for start, words in _ARCHIVES.items():
        if data.startswith(start):
            return NotAnImage("unsupported-type", f"is {words}", "unpack it")
    if begins_like_video(data[:VIDEO_HEAD]):
        return NotAnImage("unsupported-type", "is a video", "images are read here, videos by mien predict")
    if _is_text(data[:4096]) and not data.startswith((b"P1", b"P2", b"P3")):
        return NotAnImage("text", f"is text, not {wanted}", f"give {wanted}")
    return None


def _is_text(data: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)  # the last character may be cut in two
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)

"""Recognise what stands where an image should be: web pages, drawings, documents, videos, LFS pointers."""

import codecs
from typing import NamedTuple

_LFS_HEAD = b"version https://git-lfs.github.com/spec/"
_MARKUP = (b"<svg", b"<?xml", b"<!doctype svg", b"<!--")
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script")
_CONVERT = "save it as JPEG or PNG"
#: First bytes of other files, and what they are.
_HEADS = {
    b"%PDF": "a PDF document",
    b"8BPS": "a Photoshop document",
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
}
_ARCHIVES = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
}
_VIDEO_HEADS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba", b"OggS")


class NotAnImage(NamedTuple):
    """The kind of issue (a key of `mien.data.issues.ISSUE_KINDS`), what the file is, and what to do."""

    kind: str
    reason: str
    fix: str


def not_an_image(data: bytes) -> NotAnImage | None:
    r"""Recognise what folders contain instead of images, by the first bytes; None for everything else.

    Examples:
        >>> not_an_image(b"<!DOCTYPE html><html>").reason
        'is a web page, not an image'
    """
    if not data:
        return NotAnImage("zero-bytes", "is empty (zero bytes)", "download it again or delete it")
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = head[:512].lower()
    if head.startswith(_LFS_HEAD):
        return NotAnImage("lfs-pointer", "is a Git LFS pointer, not the image", "run: git lfs pull")
    if b"<svg" in lower and lower.startswith(_MARKUP):
        return NotAnImage("unsupported-type", "is an SVG drawing", _CONVERT)
    if lower.startswith(_PAGE):
        return NotAnImage("html", "is a web page, not an image", "download the image itself")
    if data[4:11] in (b"ftyphei", b"ftyphev") or (data[4:12] == b"ftypmif1" and b"avif" not in data[:64]):
        return NotAnImage("unsupported-type", "is a HEIC photograph", _CONVERT)
    for start, words in _HEADS.items():
        if data.startswith(start):
            return NotAnImage("unsupported-type", f"is {words}", _CONVERT)
    for start, words in _ARCHIVES.items():
        if data.startswith(start):
            return NotAnImage("unsupported-type", f"is {words}", "unpack it")
    if data.startswith(_VIDEO_HEADS) or (data[:4] == b"RIFF" and data[8:12] == b"AVI ") or _is_mp4(data):
        return NotAnImage("unsupported-type", "is a video", "images are read here, videos by mien predict")
    if _is_text(data[:4096]) and not data.startswith((b"P1", b"P2", b"P3")):
        return NotAnImage("text", "is text, not an image", "delete it")
    return None


def _is_mp4(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis", b"mif1", b"msf1")


def _is_text(data: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)  # the last character may be cut in two
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)

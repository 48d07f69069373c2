"""Recognise videos by name and by their first bytes, and files that are shorter than they say."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mien.errors import InputError
from mien.io.video.pyav import error_text

#: Endings of video files, in lower case.
VIDEO_SUFFIXES = frozenset(
    ".3g2 .3gp .3gpp .amv .asf .avi .divx .dv .f4v .flv .h264 .hevc .ivf .m1v .m2p .m2t .m2ts .m2v .m4v .mjpeg .mjpg "
    ".mk3d .mkv .mod .mov .mp4 .mpe .mpeg .mpg .mpv .mts .mxf .nut .ogm .ogv .qt .rm .rmvb .tod .ts .vob .webm .wmv "
    ".wtv .y4m".split()
)
#: Of these, endings that other files have too: text in TypeScript, music. Only the content tells.
_OTHERS_TOO = frozenset((".ts", ".mts", ".mod", ".rm", ".dv", ".qt"))
#: Endings of sound in the same containers.
_SOUND = frozenset(".aac .aax .m4a .m4b .m4p .m4r .mka .mp3 .oga .ogg .opus .spx .wav .weba .wma".split())
#: Bytes by which a file that is no video is named.
_SHOWN = 4096
#: First bytes that `begins_like_video` looks at.
VIDEO_HEAD = 400

_SIGNATURES = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),  # ASF, WMV
    bytes.fromhex("b7d800203749da11a64e0007e95ead8d"),  # WTV
    b"\x00\x00\x01\xba",  # MPEG programme stream, VOB
    b"\x00\x00\x01\xb3",  # MPEG video
    b"\x06\x0e+4\x02\x05\x01\x01",  # MXF
    b"DKIF",  # IVF
    b"YUV4MPEG2 ",
    b".RMF",
    b"nut/multimedia container",
)
#: What the first page of an Ogg file with images says; without it the file is sound.
_OGG_VIDEO = (b"\x80theora", b"\x01video\x00", b"BBCD\x00")
#: Of ISO files (`ftyp`), brands of images and of sound.
_NO_VIDEO = re.compile(rb"avi[fs]|MA1[AB]|he[iv][cmsx]|mif[123]|miaf|msf1|jp2 |jpx |jxl |crx |M4A |M4B |M4P |F4A ")
_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"wide", b"pnot", b"skip", b"free", b"moof", b"styp"))
_MANY = 100_000


def is_video_name(name: str) -> bool:
    """Return whether a name ends like that of a video.

    Examples:
        >>> is_video_name("party.MP4"), is_video_name("party.jpg")
        (True, False)
    """
    return _suffix(name) in VIDEO_SUFFIXES


def is_clear_video_name(name: str) -> bool:
    """Return whether a name ends as nothing but a video does; `.ts` is TypeScript too."""
    return is_video_name(name) and _suffix(name) not in _OTHERS_TOO


def is_sound_name(name: str) -> bool:
    """Return whether a name ends like that of music or speech, which may be in the container of a video."""
    return _suffix(name) in _SOUND


def begins_like_video(head: bytes) -> bool:
    r"""Return whether the first `VIDEO_HEAD` bytes of a file are those of a video; images and sound are none.

    Examples:
        >>> begins_like_video(b"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00qt  ")
        True
    """
    kind = head[4:8]
    if kind in _BOXES:
        return not (kind == b"ftyp" and _NO_VIDEO.match(head[8:12]))
    if head.startswith(b"RIFF"):
        return head[8:12] in (b"AVI ", b"AMV ")
    if head.startswith(b"OggS"):
        return any(mark in head for mark in _OGG_VIDEO)
    return head.startswith(_SIGNATURES) or _is_transport_stream(head)


def missing_bytes(stream: BinaryIO, size: int) -> int | None:
    """Return how many bytes a video file of `size` bytes lacks at its end, by what it says of its own length.

    None if it does not say: MP4 and its relatives, Matroska and AVI do.
    """
    stream.seek(0)
    head = stream.read(12)
    if head[4:8] in _BOXES:
        return _lacking(_iso_ends(stream, size), size)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _lacking(_matroska_ends(stream), size)
    if head.startswith(b"RIFF"):
        return _lacking(_riff_ends(stream, size), size)
    return None


def _suffix(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).suffix.lower()


def _is_transport_stream(head: bytes) -> bool:
    """Return whether packets of 188 bytes, or of 192 with a time before each, begin with their mark."""
    return any(len(head) > start + step and head[start::step][:3].strip(b"G") == b"" and head[start : start + 1] == b"G"
               for start, step in ((0, 188), (4, 192)))  # fmt: skip


def _lacking(ends: Iterator[int], size: int) -> int | None:
    """Return by how much the last of these ends lies behind the end of the file; None if there are none."""
    last = max(ends, default=None)
    # A last chunk of odd length may stand without its padding.
    return None if last is None else last - size if last > size + 1 else 0


def _iso_ends(stream: BinaryIO, size: int) -> Iterator[int]:
    start = 0
    for _ in range(_MANY):
        stream.seek(start)
        head = stream.read(16)
        if len(head) < 8 or not re.fullmatch(rb"[\x20-\x7e\xa9]{4}", head[4:8]):
            return
        length = int.from_bytes(head[:4], "big")
        length = int.from_bytes(head[8:16], "big") if length == 1 else size - start if length == 0 else length
        if length < 8:
            return
        start += length
        yield start


def _matroska_ends(stream: BinaryIO) -> Iterator[int]:
    stream.seek(4)
    length = _matroska_length(stream)
    if length is None:
        return
    stream.seek(length, 1)
    if stream.read(4) == b"\x18S\x80g":
        length = _matroska_length(stream)
        if length is not None:
            yield stream.tell() + length


def _matroska_length(stream: BinaryIO) -> int | None:
    """Return the variable-length number that comes next; None if it says that the length is unknown."""
    first = stream.read(1)
    if not first or not first[0]:
        return None
    count = 8 - first[0].bit_length()
    rest = stream.read(count)
    value = int.from_bytes(bytes([first[0] & ((1 << (7 - count)) - 1)]) + rest, "big")
    return None if len(rest) < count or value == (1 << (7 * (count + 1))) - 1 else value


def _riff_ends(stream: BinaryIO, size: int) -> Iterator[int]:
    start = 0
    while start + 12 <= size:
        stream.seek(start)
        head = stream.read(8)
        length = int.from_bytes(head[4:8], "little")
        if not head.startswith(b"RIFF") or length in (0, 2**32 - 1):
            return
        start += 8 + length + length % 2
        yield start


def look(stream: BinaryIO) -> tuple[bytes, int | None]:
    """Return the first bytes of a file, and how many it lacks at its end."""
    missing = missing_bytes(stream, stream.seek(0, os.SEEK_END))
    stream.seek(0)
    return stream.read(_SHOWN), missing


def look_at_file(path: Path, name: str) -> tuple[bytes, int | None]:
    """Do as `look` with a regular file; InputError if it is none, or cannot be read."""
    try:
        if stat.S_ISREG(path.stat().st_mode):
            with path.open("rb") as stream:
                return look(stream)
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error_text(error)})"
        raise InputError(f"{name}: {reason}") from None
    raise InputError(f"{name}: is not a regular file; give a video")

"""What is a video is told by name and content, and how much of a file is missing by what it says of itself."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.io.sniffing import begins_like_image, is_video
from mien.io.video.containers import VIDEO_HEAD, begins_like_video, is_clear_video_name, is_video_name, missing_bytes
from mien.io.video.decoding import open_video

WriteVideo = Callable[..., None]


@pytest.mark.parametrize("name", ["a.mts", "a.M2TS", "b/c.mpg", "a.mpeg", "a.wmv", "a.flv", "a.3gp", "a.3g2", "a.ogv"])
def test_names_of_videos(name: str) -> None:
    assert is_video_name(name)


@pytest.mark.parametrize("name", ["code.ts", "module.mts", "song.mod"])
def test_names_that_other_files_have_too(name: str) -> None:
    assert is_video_name(name)
    assert not is_clear_video_name(name)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "mpeg4"), (".mov", "mpeg4"), (".mkv", "mpeg4"), (".avi", "mpeg4"), (".ts", "mpeg4"), (".flv", "flv"),
     (".wmv", "wmv2"), (".3gp", "mpeg4")],
)  # fmt: skip
def test_a_video_is_known_by_its_first_bytes(tmp_path: Path, write_video: WriteVideo, suffix: str, codec: str) -> None:
    path = tmp_path / f"video{suffix}"
    frames = [(number / 25, np.full((96, 128, 3), 20 * number, np.uint8)) for number in range(5)]
    write_video(path, frames, codec=codec)
    data = path.read_bytes()
    assert begins_like_video(data[:VIDEO_HEAD])
    for name in ("noname", "wrong.jpg", "wrong.dat"):
        other = tmp_path / name
        other.write_bytes(data)
        assert is_video(str(other))
        with open_video(other) as video:
            assert len(list(video.frames(1000))) >= 4
            assert video.problem is None


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\x00\x00\x20ftypM4A \x00\x00", b"\x00\x00\x00\x20ftypheic", b"\x00\x00\x00\x1cftypavif",
        b"\x89PNG\r\n\x1a\n" + bytes(90), b"\xff\xd8\xff\xe0" + bytes(90), b"GIF89a",
        b"OggS" + bytes(24) + b"\x01vorbis",
        b"RIFF\x00\x00\x00\x00WAVEfmt ", b"ID3\x03", b"G is a letter" * 40, b"", b"import x from 'y';\n" * 30,
    ],
)  # fmt: skip
def test_images_sound_and_text_are_no_videos(head: bytes) -> None:
    assert not begins_like_video(head)


@given(st.binary(max_size=VIDEO_HEAD))
def test_nothing_is_image_and_video(head: bytes) -> None:
    assert not (begins_like_video(head) and begins_like_image(head))


_HEADS = (b"", b"\x00\x00\x00\x14ftypisom", b"\x1aE\xdf\xa3", b"RIFF", b"\x1aE\xdf\xa3\x80\x18S\x80g")


@given(st.sampled_from(_HEADS), st.binary(max_size=300))
def test_any_bytes_lack_some_or_none_or_do_not_say(head: bytes, rest: bytes) -> None:
    found = missing_bytes(io.BytesIO(head + rest), len(head + rest))
    assert found is None or found >= 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_file_says_how_much_it_lacks(tmp_path: Path, write_video: WriteVideo, suffix: str) -> None:
    path = tmp_path / f"video{suffix}"
    write_video(path, [(number / 25, np.full((48, 64, 3), 20 * number, np.uint8)) for number in range(9)])
    data = path.read_bytes()
    assert missing_bytes(io.BytesIO(data), len(data)) == 0
    for cut in (100, 500):
        assert missing_bytes(io.BytesIO(data[:-cut]), len(data) - cut) == cut


@pytest.mark.parametrize("said", ["abcdefghijklmnopqr", "00:01", "", "01:00:00.5junk"])
def test_a_duration_that_is_no_time_is_none(tmp_path: Path, write_video: WriteVideo, said: str) -> None:
    path = tmp_path / "video.mkv"
    write_video(path, [(number / 25, np.full((48, 64, 3), 20 * number, np.uint8)) for number in range(9)])
    data = path.read_bytes()
    at = data.index(b"00:00:00.")
    path.write_bytes(data[:at] + said.encode().ljust(18, b"\0")[:18] + data[at + 18 :])
    with open_video(path) as video:
        assert len(list(video.frames(1000))) == 9

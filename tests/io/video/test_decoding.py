"""Frames of any video come upright, at their times and in bounded number; what is no video is one line."""

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from steps import calls

from mien.arrays import RGB
from mien.errors import ConfigError, InputError, MissingExtraError
from mien.io.video.decoding import open_video
from mien.io.video.writer import VideoWriter

WriteVideo = Callable[..., None]


def numbered(count: int, rate: float = 30, width: int = 64, height: int = 48) -> Iterator[tuple[float, RGB]]:
    """Frames whose grey says how many came before; every 10th step of 8 begins anew."""
    for number in range(count):
        yield number / rate, np.full((height, width, 3), 20 + 5 * (number % 40), np.uint8)


def number_of(frame: RGB) -> int:
    return round((float(frame.mean()) - 20) / 5)


def quarters() -> RGB:
    """An image whose corners differ: white above left, grey above right, black below."""
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:24, :32], frame[:24, 32:] = 255, 128
    return frame


def read(path: Path, fps: float = 30) -> tuple[list[tuple[float, RGB]], str | None]:
    with open_video(path) as video:
        return [(frame.time, frame.rgb) for frame in video.frames(fps)], video.problem


@pytest.mark.parametrize(("fps", "step"), [(5, 6), (30, 1), (10, 3), (1000, 1), (0.5, 60)])
def test_frames_are_taken_by_their_times(tmp_path: Path, write_video: WriteVideo, fps: float, step: int) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, numbered(36))
    frames, fault = read(path, fps)
    assert fault is None
    assert [number_of(frame) for _, frame in frames] == list(range(0, 36, step))
    np.testing.assert_allclose([time for time, _ in frames], np.arange(0, 36, step) / 30, atol=0.001)
    assert frames[0][1].shape == (48, 64, 3)
    assert frames[0][1].dtype == np.uint8


def test_a_video_of_varying_frame_rate_keeps_its_pace(tmp_path: Path, write_video: WriteVideo) -> None:
    path = tmp_path / "video.mkv"
    times = [0, 0.05, 0.1, 0.15, 1.0, 1.9, 2.0, 2.05, 2.1, 2.21]
    write_video(path, [(time, frame) for time, (_, frame) in zip(times, numbered(10), strict=True)])
    frames, fault = read(path, 5)
    assert fault is None
    assert [round(time, 2) for time, _ in frames] == [0, 1.0, 1.9, 2.0, 2.21]
    assert [number_of(frame) for _, frame in frames] == [0, 4, 5, 6, 9]


@pytest.mark.parametrize("start", [0.0, 7.5])
def test_times_begin_at_zero(tmp_path: Path, write_video: WriteVideo, start: float) -> None:
    path = tmp_path / "video.mkv"
    write_video(path, [(start + time, frame) for time, frame in numbered(4)])
    times = [time for time, _ in read(path)[0]]
    np.testing.assert_allclose(times, np.arange(4) / 30, atol=0.002)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_video_is_turned_upright(tmp_path: Path, write_video: WriteVideo, turns: int, mirrored: bool) -> None:
    """A phone stores what its sensor sees, and by how much it must be turned (clockwise) to be seen upright."""
    path = tmp_path / "video.mp4"
    shown = quarters()[:, ::-1] if mirrored else quarters()
    write_video(
        path, [(0.0, np.rot90(shown, turns))], rotation=90 * turns, mirrored=mirrored
    )  # rot90: counterclockwise
    ((_, frame),), _ = read(path)
    assert frame.shape == (48, 64, 3)
    assert np.abs(frame.astype(int) - quarters()).mean() < 8


@pytest.mark.parametrize("rotation", [0, 90])
def test_frames_do_not_wait_for_the_garbage_collector(tmp_path: Path, write_video: WriteVideo, rotation: int) -> None:
    """It counts objects and not their megabytes: frames it is left to add up to hundreds of MiB."""
    path = tmp_path / "video.mp4"
    write_video(path, numbered(60), rotation=rotation)
    gc.collect()
    gc.disable()
    try:
        assert len(read(path)[0]) == 60
        kept = sum(type(one).__name__ == "VideoFrame" for one in gc.get_objects())
    finally:
        gc.enable()
    assert kept <= 2


def test_sound_and_a_second_image_do_not_matter(tmp_path: Path, write_video: WriteVideo) -> None:
    path = tmp_path / "video.mkv"
    write_video(path, numbered(6), small=True, sound=True)
    frames, fault = read(path)
    assert fault is None
    assert [frame.shape for _, frame in frames] == [(48, 64, 3)] * 6


def test_a_video_of_one_frame(tmp_path: Path, write_video: WriteVideo) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, numbered(1))
    frames, fault = read(path)
    assert [time for time, _ in frames] == [0.0]
    assert fault is None


@pytest.mark.parametrize(
    ("name", "options"), [("video.mkv", {}), ("video.avi", {}), ("video.mp4", {"movflags": "+faststart"})]
)
def test_a_video_cut_short_is_read_up_to_there(
    tmp_path: Path, write_video: WriteVideo, name: str, options: dict[str, str]
) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 256, (90, 48, 64, 3), np.uint8)
    write_video(path, [(number / 30, frame) for number, frame in enumerate(noise)], options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames, fault = read(path)
    assert 20 < len(frames) < 70
    assert fault is not None
    assert "the file is cut short" in fault
    assert "\n" not in fault


def test_damage_inside_is_passed_over(tmp_path: Path, write_video: WriteVideo) -> None:
    path = tmp_path / "video.mkv"
    noise = np.random.default_rng(0).integers(0, 256, (90, 48, 64, 3), np.uint8)
    write_video(path, [(number / 30, frame) for number, frame in enumerate(noise)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)
    frames, fault = read(path)
    times = [time for time, _ in frames]
    assert fault is not None
    assert fault.startswith("is damaged in ")
    assert times == sorted(times)
    assert times[-1] > 2.5


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"not a video\n" * 100, "is text, not a video; give a video"), (None, "no such file")],
    ids=["empty", "text", "absent"],
)
def test_what_is_no_video(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "video.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        open_video(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("list_of", ["ffconcat version 1.0\nfile other.mkv\n", "#EXTM3U\n#EXTINF:1,\nother.mkv\n"])
def test_a_playlist_is_no_video(tmp_path: Path, write_video: WriteVideo, list_of: str) -> None:
    """What it names may be any file or address."""
    write_video(tmp_path / "other.mkv", numbered(3))
    (tmp_path / "video.mp4").write_text(list_of)
    with pytest.raises(InputError, match="not a video"):
        open_video(tmp_path / "video.mp4")


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a regular file"):
        open_video(tmp_path)


def test_a_video_without_its_index_is_no_video(tmp_path: Path, write_video: WriteVideo) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, numbered(30))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match="is it a video, and whole"):
        open_video(path)


def test_sound_alone_is_no_video(tmp_path: Path, write_video: WriteVideo) -> None:
    path = tmp_path / "sound.mp4"
    write_video(path, [], sound=True)
    with pytest.raises(InputError, match="has no video stream"):
        open_video(path)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_frames_per_second_are_above_zero(tmp_path: Path, write_video: WriteVideo, fps: float) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, numbered(1))
    with open_video(path) as video, pytest.raises(ConfigError, match=r"must lie between 0\.001 and 1000"):
        next(video.frames(fps))


def test_without_pyav_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    for attempt in (lambda: open_video(tmp_path / "video.mp4"), lambda: VideoWriter(tmp_path / "video.mp4")):
        with pytest.raises(MissingExtraError, match=r"pip install 'mien\[video\]'"):
            attempt()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "is a Git LFS pointer, not the video"),
        (b"<!doctype html><html>", "is a web page, not a video; download the video itself"),
        (b"export const a = 1\n", "is text, not a video"),
        (b"", "is empty"),
    ],
)
def test_what_stands_where_a_video_should_be_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason):
        open_video(path)


def scene(seed: int) -> RGB:
    """Squares of random colours: they keep their contrast when a video is compressed."""
    squares = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return squares.repeat(8, axis=0).repeat(8, axis=1)


def test_as_many_frames_of_a_slow_motion_video_cost_no_more_than_others(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    def cost(rate: int) -> int:
        path = tmp_path / f"{rate}.mkv"
        write_video(path, [(number / rate, scene(number)) for number in range(120)])
        return calls(lambda: read(path, 5))

    assert cost(1000) < cost(30)


def test_a_cut_of_a_slow_motion_video_is_found_at_the_frame_that_is_taken(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    for before in (174, 181, 182, 190):  # milliseconds; a frame is taken at 181
        path = tmp_path / f"{before}.mkv"
        write_video(path, [(n / 1000, scene(n >= before)) for n in range(700)])
        with open_video(path) as video:
            found = [(round(frame.time, 1), frame.cut) for frame in video.frames(5)]
        first = 0.2 if before <= 181 else 0.4
        assert found == [(n / 5, n / 5 == first) for n in range(4)], before


def test_frames_larger_than_those_of_8k_are_refused_by_the_header(tmp_path: Path, write_video: WriteVideo) -> None:
    path = tmp_path / "video.avi"
    write_video(path, numbered(1), codec="ffv1")
    stored = bytearray(path.read_bytes())
    size = stored.index(b"strf") + 12
    for width, height in ((7680, 4320), (8192, 4320), (7000, 6000), (12_000, 8000)):
        stored[size : size + 8] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
        path.write_bytes(stored)
        if width * height < 36_000_000:
            open_video(path).close()
        else:
            with pytest.raises(InputError, match=f"its frames have {width}x{height} pixels, which is too large"):
                open_video(path)

"""Videos are written whole or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.arrays import RGB
from mien.errors import ConfigError, OutputError
from mien.io.video.decoding import open_video
from mien.io.video.writer import VideoWriter


def frames_of(path: Path, fps: float = 30) -> tuple[list[tuple[float, RGB]], str | None]:
    with open_video(path) as video:
        return [(frame.time, frame.rgb) for frame in video.frames(fps)], video.problem


@pytest.mark.parametrize("name", ["video.mp4", "video.mkv", "video.MOV"])
@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_a_written_video_can_be_read_again(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    path = tmp_path / name
    times = [0, 0.2, 0.4, 1.0, 1.05]
    with VideoWriter(path) as writer:
        for number, time in enumerate(times):
            writer.write(time, Image.new("RGB", size, (20 + 40 * number,) * 3))
    frames, fault = frames_of(path, 1000)
    assert fault is None
    np.testing.assert_allclose([time for time, _ in frames], times, atol=0.002)
    np.testing.assert_allclose([frame.mean() for _, frame in frames], [20, 60, 100, 140, 180], atol=4)
    assert frames[0][1].shape == (48, 64, 3)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("written", [0, 3])
@pytest.mark.parametrize("reason", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_video_leaves_nothing_behind(tmp_path: Path, reason: type[BaseException], written: int) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"older")
    with pytest.raises(reason), VideoWriter(path) as writer:
        for number in range(written):
            writer.write(number, Image.new("RGB", (64, 48)))
        raise reason
    assert path.read_bytes() == b"older"
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_video_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"out.gif: a video is written as .mp4"):
        VideoWriter(tmp_path / "out.gif")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"), VideoWriter(tmp_path / "file" / "out.mp4"):
        raise AssertionError("was opened")


def test_frames_of_another_size_are_fitted(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with VideoWriter(path) as writer:
        writer.write(0, Image.new("RGB", (64, 48)))
        writer.write(1, Image.new("RGB", (32, 32), "white"))
    frames: Any = frames_of(path)[0]
    assert [frame.shape for _, frame in frames] == [(48, 64, 3)] * 2
    assert frames[1][1].mean() > 240

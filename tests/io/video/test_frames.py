"""Frames and their times."""

import itertools

import numpy as np
import pytest

from mien.errors import ConfigError, InputError
from mien.io.video.frames import with_times


def test_frames_get_times() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    assert [frame.time for frame in with_times([image] * 4, fps=2)] == [0, 0.5, 1, 1.5]
    assert [frame.time for frame in with_times([(3, image), (4.5, image), (4.5, image)])] == [3, 4.5, 4.5]
    live = [frame.time for frame in with_times(itertools.repeat(image, 3))]
    assert live[0] == 0
    assert live == sorted(live)


@pytest.mark.parametrize("times", [[1.0, 0.5], [float("nan")], [0.0, float("inf")]])
def test_times_go_forward(times: list[float]) -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(InputError, match="in order"):
        list(with_times((time, image) for time in times))


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_an_fps_is_above_zero(fps: float) -> None:
    with pytest.raises(ConfigError, match=r"must lie between 0\.001 and 1000"):
        list(with_times([], fps))

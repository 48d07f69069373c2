"""Webcams."""

import pytest

from mien.errors import InputError
from mien.io.video.camera import open_camera


@pytest.mark.parametrize("camera", ["97", "/dev/no-such-camera", "no such camera"])
def test_a_camera_that_is_not_there(camera: str) -> None:
    with pytest.raises(InputError, match=f"^camera {camera}: ") as caught:
        open_camera(camera)
    assert "\n" not in str(caught.value)

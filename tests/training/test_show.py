"""`mien.show` draws what `mien show` writes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien

Call = Callable[..., tuple[int, str, str]]


def test_python_and_the_command_draw_the_same(faces: Path, tmp_path: Path, call: Call) -> None:
    drawn = mien.show(faces, per_class=3)
    assert call("show", faces, "--per-class", 3, "--out", tmp_path / "x.png")[0] == 0
    with Image.open(tmp_path / "x.png") as written:
        assert np.array_equal(np.asarray(drawn), np.asarray(written.convert("RGB")))


def test_a_setting_draws_samples_as_a_network_sees_them(faces: Path) -> None:
    whole, augmented = mien.show(faces, per_class=3), mien.show(faces, per_class=3, augment="strong", detect=False)
    assert augmented.height > whole.height  # each sample, and below it what augmentation made of it


def test_a_misspelt_setting_is_named(faces: Path) -> None:
    with pytest.raises(mien.ConfigError, match="unknown setting 'agument'; did you mean 'augment'"):
        mien.show(faces, agument="strong")

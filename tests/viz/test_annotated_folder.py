"""A folder of annotated images: each drawing shows its own image, under a name of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.synthetic.faces import draw_face
from mien.errors import ConfigError, OutputError
from mien.inference.reader import load
from mien.io.input_item import InputItem
from mien.viz.annotated_folder import AnnotatedFolder


def test_a_drawing_shows_the_image_it_is_named_for(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    reader, drawer = load(make_bundle()), AnnotatedFolder(tmp_path / "drawn")
    with drawer.open():
        for folder, label in (("in", "happy"), ("in/deep", "sad")):
            (tmp_path / folder).mkdir()
            name = str(tmp_path / folder / "a.png")
            Image.fromarray(draw_face(label, 1, 60)).save(name)
            drawer.draw(InputItem(name), reader.predict(name))
    for name, drawing in (("in/a.png", "a.jpg"), ("in/deep/a.png", "a-2.jpg")):
        with Image.open(tmp_path / name) as before, Image.open(tmp_path / "drawn" / drawing) as after:
            small = after.resize((20, 20), Image.Resampling.BOX)
            apart = np.asarray(before.resize((20, 20)), int) - np.asarray(small, int)
        assert np.median(np.abs(apart)) < 12


def test_a_resumed_drawing_goes_on_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("drawn before")
    folder = AnnotatedFolder(tmp_path)
    with folder.open(resumed=True):
        assert folder.skip(InputItem("a.png")) == "a"
    with pytest.raises(ConfigError, match="is not empty"), AnnotatedFolder(tmp_path).open():
        pass


def test_two_processes_do_not_draw_into_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    with (
        AnnotatedFolder(folder).open(),
        pytest.raises(OutputError, match="drawn: is being written by another process"),
        AnnotatedFolder(folder).open(),
    ):
        pass
    assert not folder.exists(), "nothing was drawn"


@pytest.mark.parametrize("name", ["drawn.jpg", "drawn.mp4"])
def test_a_folder_is_never_named_like_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="images are drawn into a folder; give the name of one"):
        AnnotatedFolder(tmp_path / name)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file; give a folder"):
        AnnotatedFolder(tmp_path / "file")

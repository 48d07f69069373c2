"""What `mien train` makes gives the same rows in the browser: every network, 256x256 RGB included."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from photographs import ASTRONAUT, as_file
from PIL import Image
from rows import check_row
from web_library import Browser

import mien
from mien.data.synthetic.faces import draw_face, write_dataset


@pytest.mark.slow
@pytest.mark.parametrize("name", ["classic", "stack", "residual"])
def test_every_network_answers_as_in_python(
    tab: Browser, site_folder: Path, tmp_path: Path, name: str
) -> None:  # fmt: skip
    write_dataset(tmp_path / "data", 40, seed=5, size=64)
    out = tmp_path / "run"
    run = mien.train(tmp_path / "data", out=out, network=name, start_from="none", epochs=1, progress=False)
    shutil.copytree(run.folder / "bundle", site_folder / name)
    reader = mien.load(run.folder, threads=1)
    if name == "classic":  # that of tutorials
        assert (reader.config.input_size, reader.config.input_channels) == (256, 3)
    assert tab.load(f"{name}/")["name"] == reader.config.name
    pictures = {f"{look}-{seed}": draw_face(look, seed, 96) for look in ("happy", "sad") for seed in (7, 8)}
    for title, image in {**pictures, "astronaut": np.asarray(ASTRONAUT)}.items():
        data = as_file(Image.fromarray(image), "PNG")
        (site_folder / f"{name}-{title}.png").write_bytes(data)
        check_row(tab.predict(f"{name}-{title}.png", "x"), {**reader.predict(data).to_dict(), "source": "x"})

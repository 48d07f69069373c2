"""`mien export --page` in a real browser, served by Python's own static host: it answers as Python does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import rewrite
from golden_answers import TOLERANCE
from page_tab import Visit
from photographs import ASTRONAUT
from PIL import Image
from rows import PROBABILITY
from served_page import check_answers, served

import mien
from mien.data.synthetic.faces import draw_face, write_dataset
from mien.training.export import page as module
from mien.training.export.page import export_page

Open = Callable[..., Visit]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def built_page(page_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page that was built here is that of the clone."""
    monkeypatch.setattr(module, "CLONE", page_folder)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """A photograph, and two drawn faces."""
    folder = tmp_path / "images"
    folder.mkdir()
    ASTRONAUT.save(folder / "astronaut.png")
    for seed, look in enumerate(("happy", "sad"), 700):
        Image.fromarray(draw_face(look, seed, 96)).save(folder / f"{look}.png")
    return sorted(folder.iterdir())


def test_the_shipped_model_by_the_command(
    start_browser: Callable[..., Any], visit: Open, call: Call, images: list[Path], page_folder: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    code, out, err = call("export", "--page", site)
    assert (code, err) == (0, "")
    assert "models   mien-int8\n" in out
    assert f"python -m http.server --directory {site}" in "".join(out.split("\n"))
    # What `make web` builds is this page, with this model.
    names = {path.relative_to(site) for path in site.rglob("*")}
    assert names == {path.relative_to(page_folder) for path in page_folder.rglob("*")}
    assert (site / "files.json").read_bytes() == (page_folder / "files.json").read_bytes()
    with served(site) as address:
        page = visit(start_browser(), address)
        policy = page.tab.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
        assert str(policy).startswith("default-src 'none'; ")
        page.add(*images)
        check_answers(page, images, "mien-int8", TOLERANCE["mien-int8"])


def test_models_that_were_trained_here_and_a_config_that_was_changed(
    start_browser: Callable[..., Any], visit: Open, images: list[Path], drawn_bundle: Path, three_way: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    bundle = tmp_path / "drawn"
    shutil.copytree(drawn_bundle, bundle)
    rewrite(bundle, name="drawn by me: 100 %")
    found = export_page(tmp_path / "site", [bundle, three_way])
    assert found.models == ("drawn-by-me-100", "linear")
    with served(tmp_path) as host:  # a site may lie in a folder of another
        address = f"{host}site/"
        page = visit(start_browser(), address)
        page.add(*images)
        check_answers(page, images, bundle, PROBABILITY)
        page.tab.select_option("#model", "linear")
        page.wait_until_predicted()
        check_answers(page, images, three_way, PROBABILITY)
        page.wait_for(".what", "Works offline.")  # nothing is fetched any more
        rewrite(found.folder / "models" / "drawn-by-me-100", temperature=3.0)
        (found.folder / "files.json").write_text("")  # without a list the next page is not kept
        page = visit(start_browser(), address)
        page.wait_for("#banner-text", "models/drawn-by-me-100/config.json: sha256 is")


@pytest.mark.slow
def test_the_classic_network_of_256_pixels_in_colour(
    start_browser: Callable[..., Any], visit: Open, images: list[Path], tmp_path: Path
) -> None:
    write_dataset(tmp_path / "data", 40, seed=5, size=64)
    run = mien.train(
        tmp_path / "data", out=tmp_path / "run", network="classic", start_from="none", epochs=1, progress=False
    )
    found = export_page(tmp_path / "site", [run.folder])
    config = json.loads((found.folder / "models" / "run" / "config.json").read_text("utf-8"))
    assert (config["input"]["size"], config["input"]["channels"]) == (256, 3)
    with served(found.folder) as address:
        page = visit(start_browser(), address)
        page.add(*images)
        check_answers(page, images, run.folder, PROBABILITY)

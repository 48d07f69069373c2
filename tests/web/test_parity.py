"""The browser gives the same rows as Python: boxes within 2 pixels, probabilities within 0.02, the same answers."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_answers import TOLERANCE
from photographs import as_file
from pictures import pictures
from PIL import Image
from rows import PIXELS, check_row
from static_site import StaticSite
from web_library import Browser

import mien
from mien.data.synthetic.faces import draw_face


@pytest.fixture(scope="session")  # as long as the site: a worker may come back to this module
def files(site_folder: Path) -> dict[str, bytes]:
    """All pictures, written to the site as `pictures/0` and so on."""
    folder = site_folder / "pictures"
    folder.mkdir()
    found = dict(pictures())
    for number, data in enumerate(found.values()):
        (folder / str(number)).write_bytes(data)
    return found


def test_every_picture_gets_the_same_row(tab: Browser, files: dict[str, bytes]) -> None:
    assert len(files) >= 60
    reader = mien.load("mien", threads=1)
    assert tab.load("models/mien/")["name"] == "mien"
    statuses, faces = [], 0
    for number, (name, data) in enumerate(files.items()):
        row = tab.predict(f"pictures/{number}", name)
        wanted = {**reader.predict(data).to_dict(), "source": name}
        check_row(row, wanted)
        statuses.append(row["status"])
        faces += len(row["faces"])
    assert statuses.count("ok") > 35
    assert {"ok", "no_face", "unreadable"} == set(statuses)
    assert faces > statuses.count("ok")


def test_the_model_of_the_package_is_the_8_bit_one(tab: Browser, files: dict[str, bytes]) -> None:
    reader = mien.load("mien-int8", threads=1)
    assert tab.load("dist/models/mien-int8/")["answers"] == list(reader.answers)
    few = [name for name in files if name in ("several faces", "a large JPEG") or name.startswith(("rolled", "drawn"))]
    for name in few:
        row = tab.predict(f"pictures/{list(files).index(name)}", name)
        check_row(row, {**reader.predict(files[name]).to_dict(), "source": name}, TOLERANCE["mien-int8"])


@pytest.mark.parametrize(
    "options", [{"faces": "largest"}, {"detect": False}, {"threshold": {"sad": 0.5}}, {"mirror": True}]
)
def test_options_are_those_of_python(tab: Browser, files: dict[str, bytes], options: dict[str, Any]) -> None:
    reader = mien.load("mien", threads=1, **options)
    tab.load("models/mien/", **options)
    for name in ("several faces", "drawn sad 1", "a large JPEG"):
        row = tab.predict(f"pictures/{list(files).index(name)}", name)
        check_row(row, {**reader.predict(files[name]).to_dict(), "source": name})


@pytest.mark.parametrize(
    "name",
    ["a large PNG", "a face that fills the frame", "rolled by 38", "tiny faces in a large JPEG", "a strip", "no face"],
)
def test_the_largest_face_alone_is_that_of_python(tab: Browser, files: dict[str, bytes], name: str) -> None:
    tab.load("models/mien/", faces="largest")
    row = tab.predict(f"pictures/{list(files).index(name)}", name)
    check_row(row, {**mien.load("mien", threads=1, faces="largest").predict(files[name]).to_dict(), "source": name})


def test_several_threads_change_nothing(
    start_browser: Callable[..., Any],
    open_tab: Callable[..., Browser],
    start_host: Callable[..., StaticSite],
    site_folder: Path,
    files: dict[str, bytes],
) -> None:
    isolated = start_host(site_folder, isolated=True)
    tab = open_tab(start_browser(), isolated.url)
    assert tab.load("models/mien/", threads=2)["isolated"] is True
    reader = mien.load("mien", threads=1)
    for name in ("several faces", "rolled by 38"):
        row = tab.predict(f"pictures/{list(files).index(name)}", name)
        check_row(row, {**reader.predict(files[name]).to_dict(), "source": name})


def test_a_bundle_of_whole_images_that_was_trained_here(tab: Browser, site_folder: Path, drawn_bundle: Path) -> None:
    shutil.copytree(drawn_bundle, site_folder / "drawn")
    reader = mien.load(drawn_bundle, threads=1)
    said = tab.load("drawn")  # the slash at the end may be left out
    assert (said["answers"], said["detect"], said["overlooksFaces"]) == (["happy", "sad"], False, True)
    answers = []
    for seed in range(500, 506):
        for expression in ("happy", "sad"):
            name = f"drawn/{expression}-{seed}.png"
            (site_folder / name).write_bytes(as_file(Image.fromarray(draw_face(expression, seed, 80)), "PNG"))
            check_row(tab.predict(name, name), {**reader.predict(site_folder / name).to_dict(), "source": name})
            answers.append(reader.predict(site_folder / name).answer == expression)
    assert sum(answers) >= 10


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("method", "fit"), [("pil-bilinear", "squash"), ("bicubic", "crop"), ("cv2-area", "pad")])
def test_bundles_of_other_shapes(
    tab: Browser, site_folder: Path, make_bundle: Callable[..., Path], files: dict[str, bytes], channels: int,
    method: str, fit: str,
) -> None:  # fmt: skip
    labels = ("cat", "dog", "two words", "ünïcode")
    maps, mirror = channels == 3, method == "bicubic"
    bundle = make_bundle(labels, size=33, channels=channels, resize=method, fit=fit, maps=maps, mirror=mirror)
    name = f"other-{channels}-{method}"
    shutil.copytree(bundle, site_folder / name)
    reader = mien.load(bundle, threads=1)
    tab.load(f"{name}/")
    for picture in ("a strip", "drawn sad 2"):
        row = tab.predict(f"pictures/{list(files).index(picture)}", "x")
        check_row(row, {**reader.predict(files[picture]).to_dict(), "source": "x"})


@pytest.mark.parametrize(("label", "mirror"), [(None, False), ("sad", True)])
def test_heatmaps_are_those_of_python(
    tab: Browser, files: dict[str, bytes], label: str | None, mirror: bool
) -> None:  # fmt: skip
    reader = mien.load("mien", threads=1, mirror=mirror)
    tab.load("models/mien/", mirror=mirror)
    for name in ("several faces", "astronaut, upside down", "no face"):
        wanted = reader.explain(files[name], label=label).to_dict()
        found = tab.run("([url, label]) => page.explain(url, label)", [f"pictures/{list(files).index(name)}", label])
        heatmaps, (expected,) = found.pop("heatmaps"), wanted.pop("heatmaps") or ([],)
        check_row(found, {**wanted, "source": "x"})
        assert len(heatmaps) == len(expected) == len(found["faces"])
        for heat, other in zip(heatmaps, expected, strict=True):
            assert (heat["label"], heat["method"]) == (other["label"], other["method"])
            assert np.array(heat["corners"]) == pytest.approx(np.array(other["corners"]), abs=PIXELS)
            assert np.array(heat["heat"]).reshape(48, 48) == pytest.approx(np.array(other["heat"]), abs=0.02)


def test_pixels_that_the_page_holds_are_an_array(tab: Browser, site_folder: Path, files: dict[str, bytes]) -> None:
    (site_folder / "me.png").write_bytes(files["rolled by 15"])
    tab.load("models/mien/")
    wanted = mien.load("mien", threads=1).predict(files["rolled by 15"]).to_dict()
    rows = tab.run("(url) => page.forms(url)", "me.png")
    names = ["<image>", "<canvas>", "<bitmap>", "<canvas>", "<pixels>", "me.png", "again"]
    assert [row["source"] for row in rows] == names
    for row in rows:
        check_row(row, {**wanted, "source": row["source"]})

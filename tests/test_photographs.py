"""HEIC and AVIF photographs get the answer of their pixels, through every door."""

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heif_files import encode_heic
from photographs import ASTRONAUT, STORED, as_file, encode_avif, turned_heic, twin
from PIL import Image

import mien
from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import draw_face
from mien.io.images.decoding import load_image
from mien.training.loop.cache import cached_crops

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `photos` of photographs, and `twins` with the same pixels as PNG under the same stems."""
    place = tmp_path_factory.mktemp("photographs")
    for folder in ("photos", "twins"):
        (place / folder).mkdir()
    for name, store in STORED.items():
        stored = store(ASTRONAUT)
        (place / "photos" / name).write_bytes(stored)
        (place / "twins" / f"{Path(name).stem}.png").write_bytes(twin(stored))
    return place


@pytest.fixture(scope="module")
def expected(place: Path) -> dict[str, Any]:
    """The faces of the twins, by stem."""
    reader = mien.load()
    return {path.stem: reader.predict(path).to_dict()["faces"] for path in sorted((place / "twins").iterdir())}


def test_the_astronaut_is_as_happy_as_in_a_jpeg(expected: dict[str, Any]) -> None:
    original = mien.load().predict(as_file(ASTRONAUT, "JPEG", quality=95)).to_dict()["faces"]
    for (face,) in expected.values():
        assert face["answer"] == "happy"
        assert face["probabilities"] == pytest.approx(original[0]["probabilities"], abs=0.02)
        assert list(face["box"].values()) == pytest.approx(list(original[0]["box"].values()), abs=6)


def test_python_takes_paths_bytes_files_and_pillow_images(place: Path, expected: dict[str, Any]) -> None:
    reader = mien.load()
    for path in (place / "photos").iterdir():
        with path.open("rb") as stream:
            for source in (path, path.read_bytes(), stream):
                assert reader.predict(source).to_dict()["faces"] == expected[path.stem]
    assert reader.explain(place / "photos" / "turned.heic").faces[0].label == "happy"


def test_predict_reads_folders_zips_and_files_and_draws(
    place: Path, expected: dict[str, Any], tmp_path: Path, call: Call
) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (place / "photos").iterdir():
            packed.write(path, path.name)
        packed.writestr("noname", (place / "photos" / "turned.heic").read_bytes())
    for number, source in enumerate((place / "photos", archive, place / "photos" / "*.heic")):
        rows = tmp_path / f"{number}.jsonl"
        code, _, errors = call("predict", source, "--jsonl", rows, "--draw", tmp_path / f"drawn{number}")
        assert (code, "unreadable" in errors) == (0, False)
        found = [json.loads(line) for line in rows.read_text().splitlines()]
        assert len(found) == (3, 4, 2)[number]
        for row in found:
            assert row["faces"] == expected[Path(row["source"].replace("noname", "turned.heic")).stem]
            assert (row["width"], row["height"]) == (512, 512)
    drawn = load_image(tmp_path / "drawn0" / "turned.jpg")
    assert drawn.shape == (512, 512, 3)
    assert np.abs(drawn.astype(int) - np.asarray(ASTRONAUT)).mean() < 20, "turned, or not the image"


def test_explain_draws_them(place: Path, tmp_path: Path, call: Call) -> None:
    assert call("explain", place / "photos" / "turned.heic", "--out", tmp_path / "where.png")[0] == 0
    assert load_image(tmp_path / "where.png").shape[1] > 500


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A labelled folder of photographs, and one of their twins."""
    top = tmp_path_factory.mktemp("labelled")
    stores = {".heic": encode_heic, ".HEIC": turned_heic, ".avif": encode_avif}
    for label in ("happy", "sad"):
        for folder in ("photos", "twins"):
            (top / folder / label).mkdir(parents=True)
        for number in range(9):
            suffix, store = list(stores.items())[number % 3]
            stored = store(Image.fromarray(draw_face(label, number, 96)))
            (top / "photos" / label / f"{number}{suffix}").write_bytes(stored)
            (top / "twins" / label / f"{number}.png").write_bytes(twin(stored))
    return top / "photos", top / "twins"


def test_check_and_training_see_what_the_twins_show(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    found = mien.check(labelled[0])
    assert {facts.name: facts.reason for facts in found.facts.values() if not facts.usable} == {}
    assert {facts.kinds for facts in found.facts.values() if facts.format == "HEIF"} == {()}
    photos, twins = (cached_crops(read_manifest(folder), 48, 1, tmp_path) for folder in labelled)
    assert np.array_equal(photos, twins)


def test_show_and_a_clean_copy_keep_them(labelled: tuple[Path, Path], tmp_path: Path, call: Call) -> None:
    assert call("show", labelled[0], "--out", tmp_path / "sheet.png")[0] == 0
    assert call("check", labelled[0], "--write-clean", tmp_path / "clean")[0] == 0
    assert {path.suffix for path in (tmp_path / "clean").rglob("*.*")} >= {".heic", ".HEIC"}


def test_evaluate_scores_a_table_of_photographs(labelled: tuple[Path, Path], tmp_path: Path, call: Call) -> None:
    accuracies = []
    for folder in labelled:
        table = tmp_path / f"{folder.name}.csv"
        with table.open("w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["file", "label"])
            rows.writerows([path, path.parent.name] for path in sorted(folder.rglob("*.*")))
        out = tmp_path / f"scores-{folder.name}"
        assert call("evaluate", table, "--no-detect", "--out", out)[0] == 0
        accuracies.append(json.loads((out / "metrics.json").read_text())["accuracy"])
    assert accuracies[0] == accuracies[1]


@pytest.mark.slow  # the encoder takes most of a minute
def test_twelve_megapixels(tmp_path: Path, call: Call) -> None:
    stored = encode_heic(ASTRONAUT.resize((4032, 3024)), thumbnails=[512])
    (tmp_path / "IMG_0001.HEIC").write_bytes(stored)
    (tmp_path / "twin.png").write_bytes(twin(stored))
    code, out, _ = call("predict", tmp_path / "IMG_0001.HEIC", tmp_path / "twin.png", "--json", "-")
    photo, png = json.loads(out)
    assert (code, photo["width"], photo["faces"][0]["answer"]) == (0, 4032, "happy")
    assert photo["faces"] == png["faces"]

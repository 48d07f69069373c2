"""Training on photographs: the face is found first, and what is trained on it reads faces."""

import csv
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image

import mien
from mien.cli import main
from mien.data.dataset import read_manifest
from mien.data.detection import DetectionChoice
from mien.evaluation.scoring import score
from mien.inference.bundle import load_bundle
from mien.inference.reader import Reader
from mien.training.config import TrainConfig
from mien.training.data_split import read_split, split_folds
from mien.training.loop.cache import cached_crops
from mien.training.reporter import QuietReporter
from mien.training.result import TrainingResult
from mien.training.run import shows_photographs, start_run
from mien.training.run_data import open_crops
from mien.training.source import TrainingSource, audit_source
from mien.training.train import train_source

TINY = {
    "network": "classic",
    "size": 24,
    "width": 0.5,
    "batch_size": 8,
    "epochs": 12,
    "learning_rate": 3e-3,
}  # learns brightness fast
PER_CLASS = 24


def packaged(name: str) -> npt.NDArray[np.uint8]:
    """One of scikit-image's images, which are free to use."""
    return np.asarray(getattr(skimage.data, name)())


def photograph(bright: bool, seed: int) -> npt.NDArray[np.uint8]:
    """A face, bright or dark, somewhere in a image whose brightness says nothing about it."""
    rng = np.random.default_rng(seed)
    texture = (packaged("gravel"), packaged("brick"), packaged("grass"))[rng.integers(3)]
    top, left = rng.integers(0, 212, 2)
    light = np.asarray(Image.fromarray(rng.uniform(0.2, 1.4, (4, 4)).astype(np.float32)).resize((300, 300)))
    canvas = np.repeat((texture[top : top + 300, left : left + 300] * light)[..., np.newaxis], 3, axis=2)
    side = int(rng.integers(90, 130))
    face = Image.fromarray(packaged("astronaut")[20:220, 120:320]).resize((side, side))
    if rng.random() < 0.5:
        face = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    x, y = rng.integers(0, 300 - side, 2)
    canvas[y : y + side, x : x + side] = np.asarray(face, np.float32) * (rng.uniform(0.9, 1.2) if bright else 0.35)
    return np.asarray(np.clip(canvas, 0, 255), np.uint8)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of bright and of dark faces, and three files without a face."""
    folder = tmp_path_factory.mktemp("scraped") / "photos"
    for number, label in enumerate(("bright", "dark")):
        (folder / label).mkdir(parents=True)
        for seed in range(PER_CLASS):
            image = photograph(label == "bright", 2 * seed + number)
            Image.fromarray(image).save(folder / label / f"{seed:02d}.png")
    for number, image in enumerate((packaged("coffee"), packaged("rocket"), packaged("gravel"))):
        Image.fromarray(image).save(folder / "dark" / f"none-{number}.png")
    return folder


@pytest.fixture(scope="module")
def finished(scraped: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    config = TrainConfig.make({**TINY, "detect": True})
    return train_source(TrainingSource(scraped), config, tmp_path_factory.mktemp("runs") / "faces")


def test_images_without_a_face_are_left_out_and_counted_in_one_line(
    scraped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in {**TINY, "epochs": 1}.items()]
    with pytest.raises(SystemExit) as caught:
        main(["train", str(scraped), "--detect=yes", "--out", str(tmp_path / "run"), *flags])
    assert not caught.value.code
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert lines == ["left out 3 of 51 files: no-face 3"]
    assert "detect = true" in (tmp_path / "run" / "config.toml").read_text()


def test_a_run_on_faces_learns_what_whole_images_hide(finished: TrainingResult, scraped: Path) -> None:
    about = json.loads((finished.folder / "run.json").read_text())
    assert about["left_out"] == {"no-face": 3}
    with (finished.folder / "split.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * PER_CLASS
    assert all(30 < float(row["side"]) < 110 for row in rows)
    reader = Reader(load_bundle(finished.folder), faces="largest")
    judged = score(reader, read_manifest(scraped))
    assert judged.no_face == tuple(f"dark/none-{number}.png" for number in range(3))
    assert (judged.answers == judged.truth).mean() > 0.9


def test_its_bundle_reads_faces(finished: TrainingResult) -> None:
    assert load_bundle(finished.folder).config.framing == "face"
    image = photograph(bright=False, seed=1001)
    result = mien.load(finished.folder).predict(image)
    assert result.answer == "dark"
    assert result.face.score is not None
    assert result.face.box.width < 110


def test_what_is_trained_on_is_what_is_read(finished: TrainingResult, scraped: Path) -> None:
    """The crop that the cache holds is the one that the reader makes of the same file."""
    split, crops = open_crops(finished.folder)
    reader = mien.load(finished.folder)
    for row in (0, 30):
        name = split.manifest.samples[row].name
        expected = reader.predict(scraped / name).probability
        found = reader.probabilities(np.asarray(crops[row : row + 1]))[0].max()
        assert found == pytest.approx(expected, abs=1e-4)


def test_faces_and_whole_images_are_cached_apart(finished: TrainingResult, scraped: Path, tmp_path: Path) -> None:
    split, _ = open_crops(finished.folder)
    faces = cached_crops(split.manifest, 24, 1, tmp_path, regions=split.regions)
    whole = cached_crops(split.manifest, 24, 1, tmp_path)
    assert faces.shape == whole.shape
    assert np.abs(faces.astype(int) - whole).mean() > 10
    assert len(list(tmp_path.iterdir())) == 2
    again = cached_crops(split.manifest, 24, 1, tmp_path, regions=split.regions)
    assert (again == faces).all()


def test_every_fold_knows_the_faces_and_a_run_reads_them_back(scraped: Path, tmp_path: Path) -> None:
    audited = audit_source(TrainingSource(scraped), QuietReporter(), detect=True)
    config = TrainConfig.make({**TINY, "detect": True})
    for split in split_folds(audited, config, 3):
        assert split.regions == audited.regions
        assert {sample.name for sample in split.manifest.samples} == set(audited.regions)
    start_run(TrainingSource(scraped), config, tmp_path / "r", split, QuietReporter())
    again = read_split(tmp_path / "r", read_manifest(scraped), audited.detection)
    assert again.regions == audited.regions
    assert again.splits == split.splits


def test_whole_images_are_used_if_that_is_asked_for(scraped: Path, tmp_path: Path) -> None:
    config = TrainConfig.make({**TINY, "epochs": 1, "detect": False})
    finished = train_source(TrainingSource(scraped), config, tmp_path / "whole")
    assert load_bundle(finished.folder).config.framing == "whole"
    header = (finished.folder / "split.csv").read_text().splitlines()[0]
    assert header == "file,label,part,group,sha256", "no columns of boxes"


def test_the_shipped_model_finds_faces_in_photographs_that_were_trained_on_whole(tmp_path: Path) -> None:
    for label, bright in (("happy", True), ("sad", False)):
        (tmp_path / label).mkdir()
        for seed in range(4):
            Image.fromarray(photograph(bright, seed + 4 * bright)).save(tmp_path / label / f"{seed}.png")
    photos = read_manifest(tmp_path)
    assert shows_photographs(DetectionChoice(False), photos), "the user said --detect no"
    assert not shows_photographs(DetectionChoice(False, "crops"), photos), "the whole data was looked at"
    assert shows_photographs(DetectionChoice(True), photos)

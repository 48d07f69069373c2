"""Whether faces are found first: decided once by a sample, said, stored, and kept by all that comes after."""

import contextlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw

import mien
from mien.arguments import to_flags
from mien.cli import main
from mien.errors import ConfigError, DataError
from mien.inference.bundle import load_bundle
from mien.training.config import TrainConfig, read_settings, read_training_settings
from mien.training.data_split import split_data
from mien.training.reporter import QuietReporter
from mien.training.run import resume_run, start_run
from mien.training.search.experiment import experiment
from mien.training.search.study import Budget
from mien.training.search.sweep import Sweep
from mien.training.search.tune import Options, tune
from mien.training.source import TrainingSource, audit_source
from mien.training.train import train_source

TINY: dict[str, Any] = {"network": "classic", "size": 24, "width": 0.5, "batch_size": 8, "epochs": 1}
PER_CLASS = 10


class Lines(QuietReporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def texture(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(size)


def photo_of(label: str, seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A person of 100 pixels, in the light or in the shade, somewhere in a picture."""
    picture = texture(seed, size)
    face = skimage.data.astronaut()[20:220, 120:320] * (1.0 if label == "bright" else 0.35)  # type: ignore[no-untyped-call]
    small = Image.fromarray(face.astype(np.uint8)).resize((100, 100))
    x, y = np.random.default_rng([seed, 1]).integers(0, np.array(size) - 100)
    picture.paste(small, (int(x), int(y)))
    return picture


def shape(label: str, seed: int) -> Image.Image:
    picture = texture(seed)
    draw, x = ImageDraw.Draw(picture), 40 + 5 * seed
    (draw.ellipse if label == "balls" else draw.rectangle)([x, 60, x + 150, 210], fill=(seed * 9, 80, 200))
    return picture


def write(folder: Path, labels: tuple[str, str], draw: Callable[[str, int], Image.Image]) -> Path:
    for number, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for seed in range(PER_CLASS):
            draw(label, 2 * seed + number).save(folder / label / f"{seed:02d}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("photos") / "photos", ("bright", "dark"), photo_of)


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("things") / "things", ("balls", "boxes"), shape)


@pytest.fixture(scope="module")
def run_on_photos(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A finished run that was left to decide, and what it said."""
    said = Lines()
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_source(TrainingSource(photos), TrainConfig.make(TINY), folder, said)
    return folder, said.lines


def test_photos_are_cropped_to_their_faces_and_one_line_says_so(run_on_photos: tuple[Path, list[str]]) -> None:
    folder, lines = run_on_photos
    (line,) = [line for line in lines if "faces" in line]
    assert re.fullmatch(r"faces: found in \d+ of 20 sampled images, so each .*largest face; `detect=False` .*", line)
    assert read_settings(folder / "config.toml")["detect"] is True
    config = load_bundle(folder).config
    assert (config.framing, config.content) == ("face", "photos")
    assert json.loads((folder / "run.json").read_text())["detection"]["kind"] == "photos"
    assert json.loads((folder / "metrics.json").read_text())["about"]["detection"] == to_flags(line)


def test_a_run_is_evaluated_on_its_own_part_as_it_was_trained(run_on_photos: tuple[Path, list[str]]) -> None:
    """Without data, `mien evaluate --model RUN` gives the metrics that the run has."""
    folder, _ = run_on_photos
    found = mien.evaluate(model=folder, metrics_only=True).to_dict()
    stored = json.loads((folder / "metrics.json").read_text())
    for name in ("accuracy", "balanced_accuracy", "brier", "per_class", "n", "no_face"):
        assert found[name] == stored[name], name
    assert found["about"]["framing"] == stored["about"]["framing"] == "face"
    for detect in (True, False):
        with pytest.raises(ConfigError, match="`detect=`: needs `data=`"):
            mien.evaluate(model=folder, detect=detect)


def test_where_faces_are_small_the_default_beats_whole_images_by_far(tmp_path: Path) -> None:
    """On new photographs, of 900 by 675 pixels with a face of 50."""

    def small(label: str, seed: int) -> Image.Image:
        return photo_of(label, seed, (900, 675))

    data = write(tmp_path / "data", ("bright", "dark"), small)
    new = [(label, np.asarray(small(label, 5000 + seed))) for seed in range(10) for label in ("bright", "dark")]
    settings, share = {**TINY, "epochs": 15, "learning_rate": 3e-3}, {}
    for detect in (None, False):
        config = TrainConfig.make({**settings, "detect": detect})
        reader = mien.load(train_source(TrainingSource(data), config, tmp_path / f"run-{detect}").folder)
        answers = reader.predict_many(image for _, image in new)
        share[detect] = np.mean([found.answer == label for found, (label, _) in zip(answers, new, strict=True)])
    assert share[None] >= share[False] + 0.2, share


def test_crops_are_used_whole(faces: Path, tmp_path: Path) -> None:
    said = Lines()
    result = train_source(TrainingSource(faces), TrainConfig.make(TINY), tmp_path / "run", said)
    assert result.detection.kind == "crops"
    assert [line for line in said.lines if "faces" in line] == [result.detection.sentence]
    assert read_settings(tmp_path / "run" / "config.toml")["detect"] is False
    config = load_bundle(tmp_path / "run").config
    assert (config.framing, config.content) == ("whole", "crops")


def test_other_things_are_used_whole_and_nobody_speaks_of_faces(
    things: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    photo = next(things.rglob("*.png"))
    for words in (
        ["train", things, "--out", "run", *flags], ["evaluate", "--model", "run", "--out", "report"],
        ["predict", photo, photo, "--model", "run"], ["explain", photo, "--model", "run", "--out", "why.png"],
    ):  # fmt: skip
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        assert not caught.value.code, words
    printed = capsys.readouterr()
    texts = {"stdout": printed.out, "stderr": printed.err}
    files = ("run/config.toml", "run/run.json", "run/split.csv", "run/bundle/config.json", "run/bundle/CARD.md")
    texts |= {name: (tmp_path / name).read_text() for name in files}
    texts |= {name: text_of((tmp_path / name).read_text()) for name in ("run/report.html", "report/report.html")}
    assert "images: each is used whole; --detect yes" in printed.err
    assert {name: text for name, text in texts.items() if "face" in text.lower()} == {}
    with pytest.raises(ConfigError, match="this model's images show other things"):
        mien.explain_dataset(things, model="run")


def text_of(page: str) -> str:
    """What a page shows: without its style sheet, scripts and images."""
    return re.sub(r'(?s)<(script|style)\b.*?</\1>|"data:[^"]*"', "", page)


def test_a_resumed_run_keeps_what_was_decided(photos: Path, tmp_path: Path) -> None:
    """The data has changed since: a new sample would decide otherwise."""
    data = shutil.copytree(photos, tmp_path / "data")
    source = TrainingSource(data)
    audited = audit_source(source, QuietReporter())
    config = TrainConfig.make(TINY)
    assert config.detect is None
    start_run(source, config, tmp_path / "run", split_data(audited, config), QuietReporter())
    for number in range(80):
        texture(200 + number, (160, 120)).save(data / ("bright", "dark")[number % 2] / f"more{number}.png")
    assert not audit_source(TrainingSource(data), QuietReporter()).detection.detect
    result = resume_run(tmp_path / "run")
    assert result.detection == audited.detection
    assert load_bundle(tmp_path / "run").config.framing == "face"


def test_a_class_that_loses_its_images_is_an_error_with_the_way_out(photos: Path, tmp_path: Path) -> None:
    data = shutil.copytree(photos, tmp_path / "data")
    for path in sorted((data / "dark").iterdir())[2:]:
        texture(100 + int(path.stem)).save(path)
    wanted = r"class 'dark' has 2 usable images.* No face was found in 8 of 20 images; `detect=False`"
    with pytest.raises(DataError, match=wanted):
        train_source(TrainingSource(data), TrainConfig.make({**TINY, "detect": True}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("line", ['detect = "yes"', 'detect = "auto"', "detect = 1", "faces = true"])
def test_a_settings_file_takes_true_or_false(line: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=r"settings.toml: .*give detect = true .* leave it out to let mien decide"):
        read_training_settings(path)


def test_a_settings_file_leaves_the_choice_open_or_makes_it() -> None:
    assert "detect" not in TrainConfig.make({}).to_toml()
    for detect in (True, False):
        text = TrainConfig.make({"detect": detect}).to_toml()
        assert f"detect = {str(detect).lower()}\n" in text


def test_tune_decides_once_and_its_best_settings_say_so(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    said, out = Lines(), tmp_path / "study"
    for trials in (1, 2):
        tune(TrainingSource(photos), TINY, out, Options(Budget(trials, None)), ("dropout",), said)
    assert sum("faces: found in" in line for line in said.lines) == 1
    configs = [read_settings(path) for path in sorted(out.rglob("config.toml"))]
    assert [config["detect"] for config in configs] == [True, True]
    assert list((out / ".cache").iterdir()), "the trials saw crops"
    about = json.loads((out / "tune.json").read_text())
    assert about["detection"]["kind"] == "photos"


def test_experiment_decides_once_and_for_all_runs(photos: Path, tmp_path: Path) -> None:
    said, out = Lines(), tmp_path / "sweep"
    sweep = Sweep("dropouts", TINY, {"dropout": (0.0,)}, seeds=(0,))
    result = experiment(TrainingSource(photos), sweep, out, said)
    assert len(result.runs) == 1
    assert sum("faces: found in" in line for line in said.lines) == 1
    assert json.loads((out / "job.json").read_text())["detection"]["kind"] == "photos"
    assert {load_bundle(path).config.framing for path in out.glob("*seed=0")} == {"face"}
    more = Sweep("dropouts", TINY, {"dropout": (0.0, 0.5)}, seeds=(0,))
    again = Lines()
    experiment(TrainingSource(photos), more, out, again)
    assert not [line for line in again.lines if "sampled" in line], "the folder knows what was decided"
    assert load_bundle(out / "dropout=0.5_seed=0").config.content == "photos"


def test_a_sweep_may_try_both_but_not_under_a_flag() -> None:
    sweep = Sweep("both", TINY, {"detect": (True, False)}, seeds=(0,))
    assert [run.config.detect for run in sweep.runs()] == [True, False]
    with pytest.raises(ConfigError, match="tries several"):
        sweep.with_detect(True)
    assert Sweep("one", TINY, {"dropout": (0.0, 0.5)}, seeds=(0,)).with_detect(False).runs()[0].config.detect is False


@pytest.mark.parametrize("words", [["--detect", "yes", "--no-detect"], ["--detect", "maybe"]])
def test_the_flag_takes_three_words(words: list[str], photos: Path) -> None:
    with contextlib.redirect_stderr(io.StringIO()) as said, pytest.raises(SystemExit) as caught:
        main(["train", str(photos), *words])
    assert caught.value.code == 2
    assert "--detect" in said.getvalue()

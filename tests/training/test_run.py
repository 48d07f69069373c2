"""Training as a person does it: whole runs through the command, killed, interrupted, resumed."""

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import killing
import numpy as np
import pytest
from PIL import Image
from reporters import RecordingReporter

import mien
from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import write_dataset
from mien.errors import DataError, OutputError, TrainingError
from mien.io.atomic import LOCK, locked, new_file
from mien.training.config import TrainConfig
from mien.training.data_split import split_data
from mien.training.loop.history import read_history
from mien.training.reporter import QuietReporter
from mien.training.result import TrainingResult
from mien.training.run import failure_noted, start_run
from mien.training.run_data import open_crops
from mien.training.runs import read_run
from mien.training.source import AuditedSource, TrainingSource, audit_source
from mien.training.train import resume_training, train_source

#: The classic network is the quickest to build; the ones that are killed and that learn are deeper. Whether faces are
#: found first is decided in test_detect.py, from a sample whose search takes as long as such a training.
TINY = {
    "network": "classic", "size": 24, "width": 0.25, "batch_size": 16, "augment": "light", "label_smoothing": 0.0,
    "detect": False,
}  # fmt: skip
#: Warnings are errors, as in this process.
COMMAND = [sys.executable, "-W", "error", "-m", "mien"]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces, enough for a tiny network to learn from."""
    folder = tmp_path_factory.mktemp("data") / "drawn"
    write_dataset(folder, 60, seed=3, size=48)
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A finished tiny run, for the tests that only look at one."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    return train_source(TrainingSource(data), TrainConfig.make({**TINY, "colour": "grey", "epochs": 2}), out)


def mien_command(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False)


def flags(settings: dict[str, object]) -> list[str]:
    words = {name: "no" if value is False else str(value) for name, value in settings.items()}
    return [part for name, value in words.items() for part in (f"--{name.replace('_', '-')}", value)]


def audited(folder: Path) -> AuditedSource:
    return audit_source(TrainingSource(folder), QuietReporter(), detect=False)


def test_a_run_folder_holds_everything(finished: TrainingResult, data: Path) -> None:
    names = {path.name for path in finished.folder.iterdir()}
    assert names == {
        "augmented.png", "baselines.png", "bundle", "config.toml", "confusion.png", "curves.png", "history.csv",
        "layers.txt", "metrics.json", "model.keras", "precision-recall.png", "predictions.csv", "reliability.png",
        "report.html",
        "risk-coverage.png", "roc.png", "run.json", "samples.png", "split.csv", "thresholds.png",
        "training-accuracy.png", "training-loss.png",
    }  # fmt: skip
    layers = (finished.folder / "layers.txt").read_text(encoding="utf-8")
    assert "pixels in 0-255" in layers and "(Rescaling)" in layers
    assert repr(finished).startswith(f"<mien.TrainingResult in {finished.folder}: accuracy 0")
    assert "\n" not in repr(finished)
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    for title in ("Training", "Images to look at", "Which mistakes", finished.folder.name):
        assert title in page
    about = json.loads((finished.folder / "run.json").read_text())
    assert about["source"]["path"] == str(data)
    assert sum(sum(part.values()) for part in about["counts"].values()) == 120
    with (finished.folder / "split.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    shares = {part: sum(row["part"] == part for row in rows) for part in ("train", "validation", "test")}
    assert shares == {"train": 84, "validation": 24, "test": 12}
    metrics = json.loads((finished.folder / "metrics.json").read_text())
    low, high = metrics["accuracy"]["low"], metrics["accuracy"]["high"]
    assert 0 <= low < metrics["accuracy"]["value"] <= high <= 1


@pytest.mark.parametrize(("each", "fitted"), [(20, False), (170, True)])
def test_too_few_images_to_fit_a_temperature_are_said(tmp_path: Path, each: int, fitted: bool) -> None:
    write_dataset(tmp_path / "drawn", each, seed=5, size=32)
    reporter = RecordingReporter()
    config = TrainConfig.make({**TINY, "epochs": 1, "validation_share": 0.3})
    found = train_source(TrainingSource(tmp_path / "drawn"), config, tmp_path / "run", reporter)
    count = 2 * round(0.3 * each)
    few = (
        f"the probabilities are not calibrated: {count} validation images are too few to fit a temperature "
        "(100 are needed), so it stays 1"
    )
    bundle = mien.inference.bundle.load_bundle(found.folder).config
    temperature = bundle.temperature
    (mirror,) = [line for line in reporter.said if line.startswith("mirror images are ")]
    assert mirror.startswith("mirror images are averaged") is bundle.mirror
    assert ("mirror_gain" in bundle.about) is ("too few" not in mirror) is fitted
    about = json.loads((found.folder / "metrics.json").read_text())["about"]
    assert about.get("mirror") == ("yes" if bundle.mirror else None)
    assert (few not in reporter.said) == (temperature != 1) == fitted
    words = f"temperature {temperature:.3f}" if fitted else few
    assert words in (found.folder / "report.html").read_text(encoding="utf-8")
    assert json.loads((found.folder / "metrics.json").read_text())["about"]["calibration"] == words


def test_the_same_seed_gives_the_same_split_and_another_gives_another(data: Path, tmp_path: Path) -> None:
    def splits(seed: int) -> tuple[str, ...]:
        return split_data(audited(data), TrainConfig(seed=seed)).splits

    assert splits(1) == splits(1)
    assert splits(1) != splits(2)


def test_the_saved_keras_model_the_bundle_and_the_predictions_agree(finished: TrainingResult, data: Path) -> None:
    import keras

    network = keras.models.load_model(finished.folder / "model.keras")
    reader = mien.load(finished.folder)
    manifest = read_manifest(data)
    crops = np.stack([_crop(data / sample.name) for sample in manifest.samples[:8]])
    keras_sad = np.asarray(network(crops.astype(np.float32)))[:, 0]
    np.testing.assert_allclose(reader.logits(crops)[:, 1], np.log(keras_sad / (1 - keras_sad)), atol=1e-3)
    with (finished.folder / "predictions.csv").open() as stream:
        for row in csv.DictReader(stream):
            result = reader.predict(data / row["file"])
            assert result.answer == row["answer"]
            assert result.face.probabilities["sad"] == pytest.approx(float(row["p_sad"]), abs=1e-5)


def _crop(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    from mien.faces.crop import crop
    from mien.io.images.decoding import load_image

    return crop(load_image(path), TINY["size"], 1)  # type: ignore[arg-type]


def test_judging_a_run_on_what_it_was_trained_on_is_said(finished: TrainingResult, data: Path, call: Call) -> None:
    status, _, said = call("evaluate", data, "--model", finished.folder)
    assert status == 0
    with (finished.folder / "split.csv").open() as stream:
        count = sum(row["part"] == "train" for row in csv.DictReader(stream))
    assert said.startswith(f"mien: {count} of these 120 ")


def test_evaluating_a_run_needs_no_arguments_and_gives_its_own_figures(finished: TrainingResult, call: Call) -> None:
    status, printed, said = call("evaluate", "--model", finished.folder, "--json", "-")
    assert status == 0, said
    assert "trained on" not in said
    stored = json.loads((finished.folder / "metrics.json").read_text())
    assert json.loads(printed)["accuracy"] == stored["accuracy"]


@pytest.mark.parametrize("optimizer", [pytest.param("adam", marks=pytest.mark.slow), "muon"])
def test_a_trained_network_beats_chance_by_a_margin(tmp_path: Path, optimizer: str) -> None:
    """Upright against upside-down faces: a tiny network learns it in seconds, and only by learning."""
    write_dataset(tmp_path / "drawn", 120, seed=11, size=48)
    for label, turned in (("upright", False), ("upside-down", True)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for path in (tmp_path / "drawn" / ("sad" if turned else "happy")).iterdir():
            with Image.open(path) as image:
                (image.rotate(180) if turned else image).save(tmp_path / "data" / label / f"{path.stem}.png")
    settings = {**TINY, "network": "light", "epochs": 8, "augment": "none", "learning_rate": 3e-3}
    config = TrainConfig.make({**settings, "optimizer": optimizer})
    done = train_source(TrainingSource(tmp_path / "data"), config, tmp_path / "run")
    assert done.predictions.metrics.accuracy.low >= 0.6
    assert done.history[-1].accuracy > done.history[0].accuracy + 0.1


def test_sgd_and_several_classes_and_soft_labels_train(faces: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "drawn", 20, seed=5, size=48, classes=("happy", "sad", "neutral"))
    rows = ["file,happy,neutral,sad"]
    for sample in read_manifest(tmp_path / "drawn").samples:
        votes = {name: 8 if name == sample.label else 1 for name in ("happy", "neutral", "sad")}
        rows.append(f"{sample.name},{votes['happy']},{votes['neutral']},{votes['sad']}")
    table = tmp_path / "drawn" / "labels.csv"
    table.write_text("\n".join(rows))
    config = TrainConfig.make({**TINY, "network": "stack", "size": 32, "epochs": 2, "optimizer": "sgd",
                               "activation": "gelu", "class_weight": "balanced"})  # fmt: skip
    done = train_source(TrainingSource(table), config, tmp_path / "run")
    assert done.predictions.classes == ("happy", "neutral", "sad")
    assert set(mien.load(tmp_path / "run").predict(faces / "happy" / "happy-00001.jpg").face.probabilities) == {
        "happy", "neutral", "sad",
    }  # fmt: skip
    split, crops = open_crops(tmp_path / "run")
    targets = split.arrays(crops, "train").targets
    np.testing.assert_allclose(np.sort(targets, axis=1)[0], [0.1, 0.1, 0.8], atol=1e-6)


def test_killed_twice_and_resumed_a_run_has_the_history_of_an_uninterrupted_one(data: Path, tmp_path: Path) -> None:
    settings = {**TINY, "network": "stack", "epochs": 4, "dropout": 0.3, "augment": "strong"}
    options = ["--deterministic", *flags(settings)]
    whole = mien_command("train", data, "--out", tmp_path / "whole", *options)
    assert whole.returncode == 0, whole.stderr
    # First in the first epoch, of 6 batches, between the mosaics and the first checkpoint.
    begun = killing.run(tmp_path / "killed", ["train", data, "--out", tmp_path / "killed", *options], step=20)
    assert killing.killed(begun)
    assert (tmp_path / "killed" / "augmented.png").exists() and not read_history(tmp_path / "killed")
    begun = killing.run(tmp_path / "killed", ["train", "--resume", tmp_path / "killed"], step=48)  # in the third epoch
    assert killing.killed(begun)
    assert 2 <= len(read_history(tmp_path / "killed")) < 4
    resumed = mien_command("train", "--resume", tmp_path / "killed")
    assert resumed.returncode == 0, resumed.stderr
    expected, found = read_history(tmp_path / "whole"), read_history(tmp_path / "killed")
    for field in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        np.testing.assert_allclose(
            [getattr(row, field) for row in found], [getattr(row, field) for row in expected], atol=1e-6, rtol=0
        )
    ours, theirs = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("killed", "whole"))
    assert ours["accuracy"] == theirs["accuracy"]


def test_ctrl_c_is_one_line_that_says_how_to_continue(data: Path, tmp_path: Path) -> None:
    # So many that it still trains when this process, which may be held up, sees the first epoch.
    options = ["--out", str(tmp_path / "run"), *flags({**TINY, "epochs": 5000, "patience": 5000})]
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "train", str(data), *options], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not read_history(tmp_path / "run"):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == f"mien: interrupted; continue with: mien train --resume {tmp_path / 'run'}"
    assert "oneDNN" not in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "run").glob("*.part*"))


def test_a_folder_whose_name_looks_like_markup(data: Path, tmp_path: Path, call: Call) -> None:
    out = tmp_path / "[" / "b]x"
    code, said, _ = call("train", data, "--out", out, *flags({**TINY, "epochs": 1}))
    assert code == 0
    assert f"--model {out}" in said
    code, _, errors = call("train", "--resume", out)
    assert (code, errors) == (2, f"mien: {out}: this run is finished; see {out / 'metrics.json'}\n")


def rows_of(folder: Path) -> list[tuple[float, ...]]:
    """Return all of a history that does not depend on the clock."""
    return [(row.loss, row.accuracy, row.val_loss, row.val_accuracy, row.learning_rate) for row in read_history(folder)]


def kill_and_resume(data: Path, place: Path, expected: list[tuple[float, ...]], step: int) -> str:
    """Kill a training before its `step`-th write or batch, give the command that continues, compare the history."""
    options = ["--deterministic", *flags(KILLED)]
    first = killing.run(place, ["train", data, "--out", place, *options], step=step)
    if not killing.killed(first):
        return "it was done"
    begun = (place / "run.json").exists()
    again = ["--resume", place] if begun else [data, "--out", place, *options]
    done = killing.run(place, ["train", *again])
    if done.status == 2:
        assert "this run is finished" in done.stderr
        return "it was finished"
    assert done.status == 0, done.stderr
    assert rows_of(place) == expected, f"killed before step {step}"
    assert {path.name for path in place.iterdir() if path.name.startswith(".")} == set()
    assert (place / "augmented.png").exists() and (place / "report.html").exists()
    return "it was resumed" if begun else "it began again"


#: Dropout draws from the process's generator.
KILLED = {**TINY, "network": "stack", "epochs": 3, "dropout": 0.3, "augment": "strong"}


@pytest.mark.slow
def test_killed_at_thirty_moments_a_run_has_the_same_history(data: Path, tmp_path: Path) -> None:
    whole = killing.run(
        tmp_path / "whole", ["train", data, "--out", tmp_path / "whole", "--deterministic", *flags(KILLED)]
    )
    rng = np.random.default_rng(8)
    aimed = range(1, whole.steps, max(1, whole.steps // 15))
    steps = sorted({*aimed, *rng.integers(1, whole.steps + 1, 15).tolist()})
    found = [kill_and_resume(data, tmp_path / f"at-{step}", rows_of(tmp_path / "whole"), step) for step in steps]
    print(whole.steps, len(steps), {name: found.count(name) for name in set(found)})
    assert len(steps) >= 25 and found.count("it was resumed") > 15


@pytest.mark.slow
def test_cross_validation_judges_every_image_once(data: Path, tmp_path: Path) -> None:
    config = TrainConfig.make({**TINY, "epochs": 1})
    done = train_source(TrainingSource(data), config, tmp_path / "cv", folds=3)
    assert sorted(done.predictions.names) == sorted(sample.name for sample in read_manifest(data).samples)
    assert done.evaluated_on == "3-fold cross-validation, pooled"
    assert mien.load(tmp_path / "cv").predict(data / done.predictions.names[0]).status == "ok"
    (tmp_path / "cv" / "metrics.json").unlink()
    (tmp_path / "cv" / "fold-2" / "metrics.json").unlink()
    reporter = RecordingReporter()
    again = resume_training(tmp_path / "cv", reporter)
    assert "resuming: 2 of 3 folds are finished" in reporter.said
    np.testing.assert_allclose(again.predictions.probabilities, done.predictions.probabilities, atol=1e-6)


def test_given_parts_are_used_as_given_and_leaked_copies_are_not_trained_on(data: Path, tmp_path: Path) -> None:
    for label in ("happy", "sad"):
        files = sorted((data / label).iterdir())
        for part, chosen in (("train", files[:30]), ("val", files[30:45])):
            (tmp_path / "d" / part / label).mkdir(parents=True)
            for path in chosen:
                shutil.copy(path, tmp_path / "d" / part / label)
        shutil.copy(files[32], tmp_path / "d" / "train" / label / f"leak{files[32].suffix}")
    done = train_source(TrainingSource(tmp_path / "d"), TrainConfig.make({**TINY, "epochs": 1}), tmp_path / "run")
    assert done.evaluated_on.startswith("validation (no test part")
    assert len(done.predictions.names) == 30
    with (tmp_path / "run" / "split.csv").open() as stream:
        names = [row["file"] for row in csv.DictReader(stream)]
    assert not [name for name in names if "leak" in name]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["left_out"] == {"split-leak": 2}


def test_bad_calls_are_one_line_and_leave_nothing(data: Path, tmp_path: Path, faces: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "one" / "happy").mkdir(parents=True)
    (tmp_path / "two" / "happy").mkdir(parents=True)
    (tmp_path / "two" / "sad").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for number, path in enumerate(sorted((faces / "happy").iterdir())[:6]):
        (tmp_path / "one" / "happy" / path.name).write_bytes(path.read_bytes())
        target = "happy" if number < 4 else "sad"
        (tmp_path / "two" / target / path.name).write_bytes(path.read_bytes())
    source, config = TrainingSource, TrainConfig.make({**TINY, "epochs": 1})
    with pytest.raises(OutputError, match="already exists"):
        train_source(source(data), config, tmp_path / "taken")
    cases = {
        "one": "only one class, 'happy'",
        "two": "class 'sad' has 2 usable images",
        "empty": "no labelled images found",
        "missing": "no such file or folder",
    }
    for name, words in cases.items():
        with pytest.raises(DataError, match=words) as caught:
            train_source(source(tmp_path / name), config, tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "out.part").exists()
    with pytest.raises(TrainingError, match="no such run folder"):
        resume_training(tmp_path / "missing")
    with pytest.raises(TrainingError, match="is not a run folder"):
        resume_training(tmp_path / "taken")


def test_a_run_whose_images_have_gone_says_so(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", 20, seed=1, size=48)
    config = TrainConfig.make({**TINY, "epochs": 1})
    split = split_data(audited(tmp_path / "d"), config)
    start_run(TrainingSource(tmp_path / "d"), config, tmp_path / "r", split, QuietReporter())
    next((tmp_path / "d" / "sad").iterdir()).unlink()
    with pytest.raises(
        TrainingError, match=r"is no longer there \(1 file in all\); put back what it was, or train anew"
    ):
        resume_training(tmp_path / "r")
    assert "no longer there" in read_run(tmp_path / "r").note


def test_a_run_whose_images_have_changed_says_so_and_goes_on_once_they_are_as_before(tmp_path: Path) -> None:
    """Also if size and time are as before, which are all that the name of the cache tells of a file."""
    write_dataset(tmp_path / "d", 20, seed=1, size=48)
    (tmp_path / "d" / "sad" / "broken.png").write_bytes(b"none")
    config, source = TrainConfig.make({**TINY, "epochs": 1}), TrainingSource(tmp_path / "d")
    start_run(source, config, tmp_path / "r", split_data(audited(tmp_path / "d"), config), QuietReporter())
    open_crops(tmp_path / "r")
    first, second, *_ = sorted((tmp_path / "d" / "happy").iterdir())
    before, times = first.read_bytes(), first.stat()
    first.write_bytes(before[:-20] + b"x" + before[-19:])
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    shutil.copy(second, second.with_name("new.png"))
    reporter = RecordingReporter()
    words = rf"^{tmp_path}/d: happy/{first.name} has changed since this run began \(1 file changed\); put back"
    with pytest.raises(TrainingError, match=words):
        resume_training(tmp_path / "r", reporter)
    first.write_bytes(before)
    resume_training(tmp_path / "r", reporter)
    added = f"{tmp_path}/d: happy/new.png came after {tmp_path}/r began (1 file in all); a new run would use it"
    assert [line for line in reporter.said if "came after" in line] == [added, added]
    assert (tmp_path / "r" / "left-out.csv").read_text() == "file,reason\nsad/broken.png,text\n"


def test_a_run_whose_labels_have_changed_says_so(tmp_path: Path) -> None:
    """In a table, and soft labels too."""
    write_dataset(tmp_path / "d", 20, seed=1, size=48)
    names = [sample.name for sample in read_manifest(tmp_path / "d").samples]
    table, config = tmp_path / "d" / "labels.csv", TrainConfig.make({**TINY, "epochs": 1})
    hard = {name: name.split("/")[0] for name in names}
    soft = {name: "9,1" if name.startswith("happy") else "1,9" for name in names}
    for kind, header, rows, other, words in (
        ("hard", "file,label", hard, "sad", "has no longer the label 'happy' (1 file in all)"),
        ("soft", "file,happy,sad", soft, "7,3", "has changed since this run began (1 file changed)"),
    ):
        table.write_text("\n".join([header, *(f"{name},{label}" for name, label in rows.items())]))
        source, run = TrainingSource(table), tmp_path / kind
        start_run(source, config, run, split_data(audited(table), config), QuietReporter())
        table.write_text("\n".join([header, *(f"{name},{label}" for name, label in {**rows, names[3]: other}.items())]))
        with pytest.raises(TrainingError) as caught:
            resume_training(run)
        assert f"{names[3]} of this run {words}" in str(caught.value) or f"{names[3]} {words}" in str(caught.value)


def test_a_damaged_checkpoint_is_said_so(data: Path, tmp_path: Path) -> None:
    config = TrainConfig.make({**TINY, "epochs": 1})
    start_run(TrainingSource(data), config, tmp_path / "r", split_data(audited(data), config), QuietReporter())
    (tmp_path / "r" / "checkpoint.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(TrainingError, match=r"checkpoint\.npz: the checkpoint is damaged"):
        resume_training(tmp_path / "r")


def test_a_run_that_is_being_trained_is_not_resumed_by_another_process(data: Path, tmp_path: Path) -> None:
    config = TrainConfig.make({**TINY, "epochs": 1})
    start_run(TrainingSource(data), config, tmp_path / "r", split_data(audited(data), config), QuietReporter())
    before = sorted(path.name for path in (tmp_path / "r").iterdir())
    with locked(tmp_path / "r" / LOCK):
        assert read_run(tmp_path / "r").state == "training"
        with pytest.raises(TrainingError, match="another process trains this run"):
            resume_training(tmp_path / "r")
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == before
    assert read_run(tmp_path / "r").state == "unfinished"
    (tmp_path / "r" / ".checkpoint.npz.lock").touch()  # of killed processes
    (tmp_path / "r" / ".bundle.part").mkdir()
    assert resume_training(tmp_path / "r").folder == tmp_path / "r"
    assert [path.name for path in (tmp_path / "r").iterdir() if path.name.startswith(".")] == []


def test_what_cannot_be_written_says_what_is_kept(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").touch()
    for kept in ("finished epochs are kept", f"nothing is kept, because {run} has been removed"):
        with pytest.raises(OutputError) as caught, failure_noted(run), new_file(run / "checkpoint.npz"):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert str(caught.value) == f"{run}/checkpoint.npz: cannot be written (No space left on device); {kept}"
        assert (run / "failed.txt").exists() == ("epochs" in kept)
        shutil.rmtree(run)
        run.mkdir()


@pytest.mark.skipif(os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_is_one_line_and_nothing_half_written_is_left(data: Path, tmp_path: Path, call: Call) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("no right to mount")
    try:
        status, _, said = call("train", data, "--out", disk / "run", *flags({**TINY, "epochs": 1}))
        assert status == 2
        assert "cannot be written (No space left on device)" in said.splitlines()[-1]
        assert "Traceback" not in said
        assert not list(disk.rglob("*.part*"))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)  # this process may hold a file of it

"""Fine-tuning: which weights are loaded, from where, what it gains, and what is refused."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from reporters import RecordingReporter

from mien.cli.verbs.train import command
from mien.data.synthetic.faces import draw_face, write_dataset
from mien.errors import BundleError, ConfigError, ModelNameWarning, TrainingError
from mien.faces.crop import crop
from mien.inference.bundle import load_bundle
from mien.inference.classifier import Classifier
from mien.training.config import TrainConfig
from mien.training.loop.batches import TrainingArrays
from mien.training.loop.fit import fit
from mien.training.loop.schedule import Epoch
from mien.training.networks.networks import build, logits_of
from mien.training.networks.pretrained import (
    HEAD,
    WEIGHTS_FILE,
    _arrays,
    build_config,
    load_pretrained,
    small_dataset_config,
    write_weights,
)
from mien.training.reporter import BatchProgress, QuietReporter
from mien.training.source import TrainingSource
from mien.training.train import resume_training, train_source

SIZE = 32
#: A network that learns drawings within seconds.
SETTINGS = {
    "network": "classic", "size": SIZE, "colour": "grey", "activation": "elu", "learning_rate": 2e-3, "batch_size": 16,
    "schedule": "cosine", "warmup_epochs": 0.5, "augment": "none", "flip": True,
}  # fmt: skip


def drawings(classes: tuple[str, ...], per_class: int, seed: int) -> TrainingArrays:
    """Drawn faces, in memory."""
    names = [name for name in classes for _ in range(per_class)]
    crops = [crop(draw_face(name, seed * 1_000_000 + number, 48), SIZE, 1) for number, name in enumerate(names)]
    targets = np.eye(len(classes), dtype=np.float32)[[classes.index(name) for name in names]]
    return TrainingArrays(np.stack(crops), np.arange(len(names)), targets, np.ones(len(names), np.float32))


def fresh(config: TrainConfig, classes: int) -> Any:
    keras.utils.set_random_seed(config.seed)
    network = build(config, classes)
    load_pretrained(network, config)
    return network


def trunk(network: Any) -> list[np.ndarray[Any, Any]]:
    head = {id(weight) for weight in network.get_layer(HEAD).weights}
    return [np.array(weight) for weight in network.weights if id(weight) not in head]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, TrainConfig]:
    """A network that tells happy, sad and neutral drawings apart, and its settings."""
    classes = ("happy", "sad", "neutral")
    config = TrainConfig.make({**SETTINGS, "epochs": 10})
    network = fresh(config, 3)
    history = fit(network, config, drawings(classes, 200, 1), drawings(classes, 40, 2), tmp_path_factory.mktemp("fit"))
    assert max(row.val_accuracy for row in history) > 0.6
    return network, config


@pytest.fixture(scope="module")
def weights(trained: tuple[Any, TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that network's `weights.npz`."""
    folder = tmp_path_factory.mktemp("bundle") / "looks"
    write_weights(*trained, folder / WEIGHTS_FILE)
    return folder


@pytest.fixture
def shipped_weights(shipped: Path, weights: Path) -> Path:
    """An installation whose model `mien` can be fine-tuned, and whose `mien-two` cannot."""
    shutil.copy(weights / WEIGHTS_FILE, shipped / "mien" / WEIGHTS_FILE)
    return shipped / "mien"


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_all_weights_but_the_head_are_loaded_within_half_precision(
    trained: tuple[Any, TrainConfig], weights: Path, classes: int
) -> None:
    network = fresh(build_config({"start_from": str(weights)}), classes)
    for found, expected in zip(trunk(network), trunk(trained[0]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2**-11, atol=2**-25)
        assert found.std() > 0 or expected.std() == 0
    units = 1 if classes == 2 else classes
    assert network.output.shape == (None, units)
    image = drawings(("happy",), 1, 3).crops.astype(np.float32)
    np.testing.assert_allclose(np.asarray(network(image)), np.full((1, units), 1 / max(units, 2)), atol=1e-6)


def test_the_network_settings_come_from_the_weights_and_the_rest_is_for_fine_tuning(weights: Path) -> None:
    config = build_config({"start_from": str(weights), "size": SIZE, "epochs": 8, "batch_size": 4})
    assert (config.network, config.size, config.colour, config.width) == ("classic", SIZE, "grey", 1.0)
    assert (config.epochs, config.batch_size, config.freeze_epochs, config.optimizer) == (8, 4, 2, "adamw")
    with np.load(weights / WEIGHTS_FILE, allow_pickle=False) as file:
        assert {file[name].dtype for name in file.files} == {np.dtype(np.float16), np.dtype(np.uint8)}
        assert json.loads(file["settings"].tobytes())["dropout"] == 0.0


def test_forty_drawings_are_enough_for_a_network_that_has_seen_others(weights: Path, tmp_path: Path) -> None:
    classes = ("happy", "sad")
    few, held_out, test = drawings(classes, 20, 5), drawings(classes, 20, 6), drawings(classes, 100, 7)

    def accuracy(settings: dict[str, Any], name: str) -> float:
        config = build_config({**settings, "epochs": 8, "batch_size": 8})
        network = fresh(config, 2)
        (tmp_path / name).mkdir()
        fit(network, config, few, held_out, tmp_path / name)
        sad = np.asarray(network(test.crops.astype(np.float32)))[:, 0] >= 0.5
        return float((sad == test.truth).mean())

    tuned, scratch = accuracy({"start_from": str(weights)}, "tuned"), accuracy(SETTINGS, "scratch")
    assert tuned > 0.85
    assert tuned > scratch + 0.2


def test_a_shipped_model_is_named_and_any_folder_kept_in_full(
    shipped_weights: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mien").mkdir()  # a folder without weights does not hide the shipped model
    assert build_config({"start_from": "mien"}).start_from == "mien"
    with pytest.raises(BundleError, match=r"has no weights\.npz to start from"):
        build_config({"start_from": "./mien"})
    assert build_config({"start_from": str(shipped_weights)}).start_from == "mien"
    monkeypatch.chdir(weights.parent)
    assert build_config({"start_from": weights.name}).start_from == str(weights)


def test_a_folder_of_the_name_of_a_shipped_model_starts_only_what_names_it(
    shipped_weights: Path, trained: tuple[Any, TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = shutil.copytree(shipped_weights, tmp_path / "mien")
    for name in (f".{os.sep}mien", str(own)):
        assert build_config({"start_from": name}).start_from == str(own)
    with pytest.warns(ModelNameWarning, match="'mien' was taken for your model folder"):
        assert build_config({"start_from": "mien"}).start_from == str(own)
    # Nobody has named the folder here: the shipped weights are loaded, though those in the folder are damaged.
    (own / WEIGHTS_FILE).write_bytes(b"")
    config = small_dataset_config({})
    assert config is not None
    assert config.start_from == "mien"
    for found, expected in zip(trunk(fresh(config, 2)), trunk(trained[0]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2**-11, atol=2**-25)


@pytest.mark.parametrize("inner", [".", "final"])
def test_a_finished_run_is_started_from_in_full_precision(
    trained: tuple[Any, TrainConfig], tmp_path: Path, inner: str
) -> None:
    network, config = trained
    for folder in {tmp_path, tmp_path / inner}:
        folder.mkdir(exist_ok=True)
        (folder / "config.toml").write_text(config.to_toml())
    network.save(tmp_path / inner / "model.keras")
    found = fresh(build_config({"start_from": str(tmp_path)}), 4)
    for ours, theirs in zip(trunk(found), trunk(network), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def rewrite(folder: Path, **changes: Any) -> None:
    """Store other settings beside the same weights; None leaves one out."""
    with np.load(folder / WEIGHTS_FILE) as file:
        arrays = dict(file)
    settings = {**json.loads(arrays.pop("settings").tobytes()), **changes}
    packed = json.dumps({name: value for name, value in settings.items() if value is not None}).encode()
    np.savez(folder / WEIGHTS_FILE, settings=np.frombuffer(packed, np.uint8), **arrays)


def cut(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-2000])


def corrupt(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def one_array(folder: Path) -> None:
    with (folder / WEIGHTS_FILE).open("wb") as stream:
        np.save(stream, np.zeros(3))


def pickled(folder: Path) -> None:
    np.savez(folder / WEIGHTS_FILE, settings=np.array([print], dtype=object))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cut, "is damaged"),
        (corrupt, "is damaged"),
        (pickled, "is damaged"),
        (lambda folder: (folder / WEIGHTS_FILE).write_text("not weights"), "is damaged"),
        (lambda folder: (folder / WEIGHTS_FILE).write_bytes(b"\x93NUMPY" + bytes(200)), "is damaged"),
        (one_array, "is damaged"),
        (lambda folder: rewrite(folder, width=0.5), "holds weights of another network"),
        (lambda folder: rewrite(folder, network="stack", size=48), "holds weights of another network"),
        (lambda folder: rewrite(folder, network="vast"), "is not for a network of this mien (`network='vast'`"),
        (lambda folder: rewrite(folder, size="large"), "is not for a network of this mien (`size='large'`"),
        (lambda folder: rewrite(folder, colour=None), "is damaged ('colour')"),
    ],
)
def test_weights_that_cannot_be_used_are_one_line(
    weights: Path, tmp_path: Path, change: Callable[[Path], Any], words: str
) -> None:
    folder = shutil.copytree(weights, tmp_path / "looks")
    change(folder)
    with pytest.raises(BundleError) as caught:
        fresh(build_config({"start_from": str(folder)}), 2)
    assert str(caught.value).startswith(f"`start_from={str(folder)!r}`: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unusable_source_of_weights_says_what_is_usable(
    shipped_weights: Path, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text("")
    cases = {
        "mein": "no such model; did you mean 'mien'?",
        "resnet": "no such model; give a shipped model (mien), a bundle with weights.npz or a finished run",
        "mien-two": "has no weights.npz to start from",
        str(tmp_path): "has no weights.npz to start from",
        str(weights / WEIGHTS_FILE): "is a file",
        str(
            tmp_path / "run"
        ): f"this run is not finished; finish it with `mien.train(resume={str(tmp_path / 'run')!r})`",
    }
    for name, words in cases.items():
        with pytest.raises(BundleError) as caught:
            build_config({"start_from": name})
        assert f"`start_from={str(name)!r}`: {words}" in str(caught.value)


def test_a_contradicting_setting_is_named(weights: Path) -> None:
    for name, value, own in (("size", 48, 32), ("width", 0.5, 1.0), ("network", "stack", "classic")):
        with pytest.raises(
            ConfigError, match=f"`{name}={value!r}`: the weights of `start_from=.*` are for {own}; leave it"
        ):
            build_config({"start_from": str(weights), name: value})
    config = TrainConfig.make({"start_from": str(weights), "network": "classic"})  # 256 pixels, where they are for 32
    with pytest.raises(ConfigError, match="`size=256`: the weights"):
        load_pretrained(build(TrainConfig.make(SETTINGS), 2), config)


def test_a_weight_too_large_for_half_precision_is_refused(trained: tuple[Any, TrainConfig], tmp_path: Path) -> None:
    network = keras.models.clone_model(trained[0])
    network.set_weights([np.full_like(value, 1e5) for value in network.get_weights()])
    with pytest.raises(TrainingError, match="does not fit half precision"):
        write_weights(network, trained[1], tmp_path / WEIGHTS_FILE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "named", [{"network": "residual"}, {"size": 48}, {"colour": "rgb"}, {"width": 0.5}, {"start_from": "none"}]
)
def test_a_named_network_or_none_is_used(shipped_weights: Path, named: dict[str, Any]) -> None:
    assert small_dataset_config({"epochs": 3}) == build_config({"start_from": "mien", "epochs": 3})
    assert small_dataset_config(named) is None
    assert build_config(named).start_from is None


def test_without_shipped_weights_nothing_is_chosen(shipped: Path) -> None:
    assert small_dataset_config({}) is None
    shutil.rmtree(shipped / "mien")
    assert small_dataset_config({}) is None


@pytest.mark.parametrize("inside", [None, "README.md", "config.json"])
def test_a_small_dataset_fine_tunes_the_shipped_model_and_the_run_says_so(
    shipped_weights: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if inside:  # a clone of mien, say, or a bundle; neither is meant
        (tmp_path / "mien").mkdir()
        (tmp_path / "mien" / inside).write_text("")
    arguments = [str(faces), "--out", str(tmp_path / "run"), "--epochs", "1"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    line = "28 training images are few: fine-tuning the shipped model 'mien' (train from scratch: --from none)"
    assert line in done.stderr.splitlines()
    config = (tmp_path / "run" / "config.toml").read_text()
    assert 'start_from = "mien"' in config
    assert 'network = "classic"' in config
    assert json.loads((tmp_path / "run" / "bundle" / "config.json").read_text())["about"]["started_from"] == "mien"
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["baselines"]["shipped"]["model"] == "linear"


class StopAfter(RecordingReporter):
    """Keeps the text, and stops a run after a number of epochs."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch(self, epoch: Epoch) -> None:
        if epoch.epoch == self.epochs:
            raise KeyboardInterrupt


class StopAtOnce(QuietReporter):
    """Stops a run before its first epoch is finished."""

    def on_batch(self, batch: BatchProgress) -> None:
        raise KeyboardInterrupt


def test_a_large_dataset_trains_what_was_asked_for(
    shipped_weights: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.training.train.SMALL_DATASET", 28)
    reporter = StopAfter(1)
    with pytest.raises(KeyboardInterrupt):
        train_source(
            TrainingSource(faces),
            TrainConfig.make(SETTINGS),
            tmp_path / "run",
            reporter,
            small_config=small_dataset_config({}),
        )
    assert "start_from" not in (tmp_path / "run" / "config.toml").read_text()
    assert not [line for line in reporter.said if "mien" in line]


def test_a_begun_run_resumes_without_its_source_of_weights_and_a_new_one_cannot(weights: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "drawn", 12, seed=1, size=48)
    source = shutil.copytree(weights, tmp_path / "source")
    config = build_config({"start_from": str(source), "epochs": 2, "detect": False})
    for name, epochs in (("begun", 1), ("new", 0)):
        with pytest.raises(KeyboardInterrupt):
            train_source(
                TrainingSource(tmp_path / "drawn"),
                config,
                tmp_path / name,
                StopAfter(epochs) if epochs else StopAtOnce(),
            )
    shutil.rmtree(source)
    assert len(resume_training(tmp_path / "begun").history) == 2
    with pytest.raises(BundleError, match="no such model"):
        resume_training(tmp_path / "new")


def test_the_shipped_weights_are_those_of_the_shipped_model() -> None:
    """All of them, head included, give the logits of the shipped graph but for half precision."""
    shipped = load_bundle()
    network = build(build_config({"start_from": "mien"}), len(shipped.config.labels))
    network.set_weights([value.astype(np.float32) for value in _arrays(shipped.path / WEIGHTS_FILE, "mien")])
    crops = np.stack([crop(draw_face(("happy", "sad")[seed % 2], seed), 48, 1) for seed in range(8)])
    found = np.asarray(logits_of(network)(crops.astype(np.float32)))
    expected, _ = Classifier(shipped, threads=1).with_mirror(False)(crops)
    np.testing.assert_allclose(found, expected, atol=0.03)

"""Fine-tuning: a frozen trunk, unfreezing it, and resuming from any epoch."""

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from mien.errors import OutputError
from mien.io.layout import CHECKPOINT
from mien.training.config import TrainConfig
from mien.training.loop.batches import TrainingArrays
from mien.training.loop.checkpoint import load_checkpoint
from mien.training.loop.fit import fit
from mien.training.loop.schedule import Epoch
from mien.training.networks.networks import build
from mien.training.networks.pretrained import HEAD
from mien.training.reporter import QuietReporter

TINY = {
    "network": "stack", "size": 24, "width": 0.1, "colour": "grey", "start_from": "somewhere", "batch_size": 8,
}  # fmt: skip


def noise(count: int, seed: int) -> TrainingArrays:
    """Images of noise: enough to see which weights change."""
    rng = np.random.default_rng(seed)
    crops = rng.integers(0, 256, (count, 24, 24, 1), np.uint8)
    targets = np.eye(2, dtype=np.float32)[rng.integers(0, 2, count)]
    return TrainingArrays(crops, np.arange(count), targets, np.ones(count, np.float32))


class Copies(QuietReporter):
    """Keeps the checkpoint of every epoch, and all text."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, list[str]()

    def say(self, text: str) -> None:
        self.said.append(text)

    def on_epoch(self, epoch: Epoch) -> None:
        shutil.copy(self.folder / CHECKPOINT, self.folder / f"epoch-{epoch.epoch}.npz")


class Removes(QuietReporter):
    """Removes the folder after the first epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_epoch(self, epoch: Epoch) -> None:
        shutil.rmtree(self.folder)


def test_a_folder_that_is_removed_ends_the_training_and_stays_removed(tmp_path: Path) -> None:
    config = TrainConfig.make({"network": "stack", "size": 24, "width": 0.1, "batch_size": 8, "epochs": 3})
    run = tmp_path / "run"
    with pytest.raises(OutputError, match=r"run: has been removed, and with it all that was trained$"):
        fit(build(config, 2), config, noise(24, 1), noise(8, 2), run, Removes(run))
    assert not run.exists()


def test_the_trunk_does_not_change_while_frozen_and_changes_after(tmp_path: Path) -> None:
    config = TrainConfig.make({**TINY, "freeze_epochs": 2, "epochs": 3, "weight_average": 0.0})
    keras.utils.set_random_seed(0)
    network = build(config, 2)
    head = {id(weight) for weight in network.get_layer(HEAD).weights}
    before = [np.array(variable) for variable in network.variables]
    reporter = Copies(tmp_path)
    fit(network, config, noise(24, 1), noise(8, 2), tmp_path, reporter)
    assert reporter.said == [
        "epoch 1: training only the new head, for 2 epochs", "epoch 3: training all layers from here",
    ]  # fmt: skip

    def moved(epoch: int) -> tuple[list[bool], list[bool]]:
        """Whether each weight of the trunk (with running statistics) and of the head has changed by then."""
        arrays = load_checkpoint(tmp_path / f"epoch-{epoch}.npz").arrays
        now: list[npt.NDArray[np.float32]] = [arrays[f"ema{number}"] for number in range(len(before))]
        rows = zip(network.variables, before, now, strict=True)
        found = {id(weight): not np.array_equal(old, new) for weight, old, new in rows}
        weights = [id(weight) for weight in network.weights]
        return [found[key] for key in weights if key not in head], [found[key] for key in head]

    trunk, top = moved(2)
    assert not any(trunk)
    assert all(top)
    trunk, top = moved(3)
    assert all(trunk)
    assert all(top)


RESUMED = """
    import sys
    from pathlib import Path
    from mien.training.backend import require_keras
    require_keras("a test", deterministic=True)
    import keras, shutil
    sys.path.insert(0, sys.argv[2])
    from test_fit import TINY, Copies, noise
    from mien.training.config import TrainConfig
    from mien.training.loop.fit import fit
    from mien.training.networks.networks import build

    config = TrainConfig.make({**TINY, "network": sys.argv[4], "freeze_epochs": 2, "epochs": 4, "dropout": 0.3,
                              "optimizer": sys.argv[3]})
    def rows(name, begun):
        folder = Path(sys.argv[1]) / name
        folder.mkdir()
        if begun:
            shutil.copy(Path(sys.argv[1]) / "whole" / f"epoch-{begun}.npz", folder / "checkpoint.npz")
        keras.utils.set_random_seed(0)
        history = fit(build(config, 2), config, noise(24, 1), noise(8, 2), folder, Copies(folder))
        return [(row.loss, row.accuracy, row.val_loss, row.val_accuracy, row.learning_rate) for row in history]

    whole = rows("whole", 0)
    assert len(whole) == 4, whole
    for begun in map(int, sys.argv[5:]):
        found = rows(f"from-{begun}", begun)
        assert found == whole, (begun, found, whole)
    print("the same", len({row[0] for row in whole}))
"""


@pytest.mark.parametrize(
    ("optimizer", "network", "begun"),
    [
        ("adam", "classic", "123"),
        *(pytest.param(name, "stack", "123", marks=pytest.mark.slow) for name in ("adam", "muon")),
    ],
)
def test_resuming_before_at_and_after_unfreezing_gives_the_same_history(
    tmp_path: Path, optimizer: str, network: str, begun: str
) -> None:
    """After epoch 1 all but the head is frozen, 2 is the last such epoch; after 3 the state of every weight counts.

    `stack` takes twice as long and adds running statistics, which a run that is killed and resumed has in test_run.py.
    """
    here = str(Path(__file__).parent)
    code = textwrap.dedent(RESUMED)
    command = [sys.executable, "-c", code, str(tmp_path), here, optimizer, network, *begun]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the same 4\n"

"""Names of the files in a run folder, and which module writes each.

A run folder holds all of them. A report folder (`mien evaluate --out`) holds METRICS, PREDICTIONS and REPORT.
"""

from pathlib import Path

#: The folder that runs are written to if the user names none.
RUNS = "mien-runs"
#: Settings, labelled source and split. Written before the first step, by `mien.training.run`.
#: LEFT_OUT only if there are files that are not used.
CONFIG, RUN, SPLIT, LEFT_OUT = "config.toml", "run.json", "split.csv", "left-out.csv"
#: Mosaics of labelled and of augmented training images: `mien.training.augmentation.preview`.
SAMPLES, AUGMENTED = "samples.png", "augmented.png"
#: One row per epoch, and the state to resume from: `mien.training.loop`.
HISTORY, CHECKPOINT = "history.csv", "checkpoint.npz"
#: The network as Keras, its layers as text, as a bundle, and its learning curves: `mien.training.export.artifacts`.
KERAS, LAYERS, BUNDLE, CURVES = "model.keras", "layers.txt", "bundle", "curves.png"
#: The evaluation: `mien.report.report`. A run is finished when METRICS exists.
METRICS, PREDICTIONS, REPORT = "metrics.json", "predictions.csv", "report.html"
#: Why training stopped with an error, in one line; absent after it is resumed: `mien.training.run`.
FAILED = "failed.txt"
#: The run inside a cross-validated run whose model is used: `mien.training.folds`.
FINAL = "final"


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run, finished or not."""
    return (folder / RUN).exists()


def is_begun(folder: Path) -> bool:
    """Return whether a run has a checkpoint to resume from."""
    return (folder / CHECKPOINT).exists()


def is_finished(folder: Path) -> bool:
    """Return whether a run is trained and evaluated."""
    return (folder / METRICS).exists()

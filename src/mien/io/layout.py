"""The files of a run folder, and which module writes each.

A run folder holds all of them; a report folder (`mien evaluate --out`) holds METRICS, PREDICTIONS and REPORT.
"""

#: Settings, labelled source and split: written before the first step, by `mien.training.run`.
CONFIG, RUN, SPLIT = "config.toml", "run.json", "split.csv"
#: One row per epoch, and the state to resume from: `mien.training.loop`.
HISTORY, CHECKPOINT = "history.csv", "checkpoint.npz"
#: The trained network as Keras and as a bundle: `mien.training.export.artifacts`.
KERAS, BUNDLE = "model.keras", "bundle"
#: The evaluation: `mien.report.report`. A run is finished when METRICS exists.
METRICS, PREDICTIONS, REPORT = "metrics.json", "predictions.csv", "report.html"
#: Why a run could not go on, in one line; absent while it may: `mien.training.run`.
FAILED = "failed.txt"

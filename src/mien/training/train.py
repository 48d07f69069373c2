"""Train from Python: `mien.train`, and its parts for callers who have a config. Imports Keras when called."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.arguments import path_argument
from mien.data.dataset import require_trainable
from mien.errors import ConfigError
from mien.io.atomic import refuse_existing
from mien.io.layout import CONFIG, RUNS, is_begun, is_finished
from mien.io.targets import require_new_folder
from mien.training.backend import require_keras
from mien.training.config import FROM_SCRATCH, TrainConfig, merge_settings, read_settings
from mien.training.data_split import split_data, split_folds
from mien.training.networks.pretrained import SMALL_DATASET, build_config, small_dataset_config
from mien.training.reporter import PrintReporter, QuietReporter, Reporter
from mien.training.result import TrainingResult
from mien.training.runs import read_unfinished, refuse_existing_run
from mien.training.source import TrainingSource, audit_source


def train(
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    classes: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    folds: int = 0,
    resume: str | Path | None = None,
    fixes: bool | str | Path = True,
    config: str | Path | None = None,
    progress: bool = True,
    reporter: Reporter | None = None,
    **settings: Any,
) -> TrainingResult:
    """Train on labelled images: audit, split, train, export and evaluate, all into one run folder.

    A small dataset fine-tunes the shipped model, unless a network, an input or `start_from` is given;
    `start_from="none"` trains from scratch. An interrupted run is continued with `resume`.

    Args:
        data: a folder of class folders, a CSV or a zip.
        out: the run folder, which must not exist [mien-runs/DATA-NETWORK].
        classes: use only these classes, in this order.
        rename: classes to rename, as {old: new}.
        folds: cross-validate with so many folds (at least 3), then train the final model; 0: one run.
        resume: the folder of an interrupted run; give it alone.
        fixes: use the decisions that people made with `mien fix`: those in the data's own `mien-fixes.csv` (True), none
            (False), or those in this file.
        config: a TOML file of settings, which `settings` override.
        progress: print a line for each step and each epoch; False is silent.
        reporter: receives the progress in place of these lines.
        settings: the fields of `mien.training.config.TrainConfig`, like `epochs=20`.

    Returns:
        The finished run.

    Raises:
        ConfigError: a setting is unknown or wrong.
        DataError: the data cannot be used.
        OutputError: `out` exists or cannot be written.
        BundleError: the weights of `start_from` cannot be used.
        TrainingError: training failed, or `resume` is not an unfinished run.

    Examples:
        Training takes minutes.

        >>> import mien
        >>> run = mien.train("data", out="mine", epochs=20)  # doctest: +SKIP
        >>> mien.load(run.folder).predict("photo.jpg").answer  # doctest: +SKIP
        'happy'
    """
    reporter = reporter or (PrintReporter() if progress else QuietReporter())
    if resume is not None:
        others = (data, out, classes, rename, folds, config, fixes is not True)
        if any(others) or any(value is not None for value in settings.values()):
            raise ConfigError("`resume=`: takes the run's own data and settings; give it alone")
        return _resume(path_argument("resume", resume, "a run folder"), reporter)
    if data is None:
        raise ConfigError("give `data=`, a labelled folder, CSV or zip; or `resume=RUN`")
    place = path_argument("data", data, "a labelled folder, CSV or zip")
    toml = path_argument("config", config, "a TOML file") if config else None
    given = merge_settings(toml, settings, reporter.say)
    full, small = build_config(given), small_dataset_config(given)
    named = path_argument("out", out, "a new folder") if out else None
    folder = named or Path(RUNS) / f"{place.resolve().stem}-{full.network}"
    # Find typing errors before Keras is loaded, which takes seconds.
    refuse_existing_run(folder)
    require_new_folder(folder, data if out else None)
    source = read_source(place, tuple(classes) if classes else None, rename, fixes)
    require_keras("training", full.deterministic)
    return train_source(source, full, folder, reporter, folds=folds, small_config=small)


def read_source(
    path: Path,
    classes: tuple[str, ...] | None,
    rename: Mapping[str, str] | None,
    fixes: bool | str | Path = True,
) -> TrainingSource:
    """Return labelled data to train on.

    Args:
        path: a folder of class folders, a CSV or a zip.
        classes: use only these classes, in this order; None: all.
        rename: classes to rename, as {old: new}.
        fixes: the decisions of people to use, as in `train`.

    Raises:
        DataError: there is nothing to train on.
    """
    source = TrainingSource(path, classes, rename, fixes)
    require_trainable(source.manifest)
    return source


def train_source(
    source: TrainingSource,
    config: TrainConfig,
    out: Path,
    reporter: Reporter | None = None,
    *,
    folds: int = 0,
    small_config: TrainConfig | None = None,
) -> TrainingResult:
    """Train on a source with a config, into a new run folder.

    Args:
        source: the labelled data.
        config: all settings.
        out: the run folder.
        reporter: receives the progress.
        folds: number of folds of a cross-validation; 0: one run.
        small_config: replaces `config` if there are fewer than SMALL_DATASET training images; it must have the seed
            and the split fractions of `config`.

    Raises the errors of `train`.
    """
    from mien.training.folds import start_folds
    from mien.training.run import start_run

    reporter = reporter or QuietReporter()
    if folds in (1, 2):
        raise ConfigError(f"{folds} folds: one is for testing and one chooses the epoch; give at least 3")
    refuse_existing(out)
    audited = audit_source(source, reporter, config.detect)
    splits = split_folds(audited, config, folds) if folds else [split_data(audited, config)]
    count = len(splits[0].subset("train").samples)
    if small_config is not None and count < SMALL_DATASET:
        config = small_config
        reporter.say(
            f"{count} training images are few: fine-tuning the shipped model '{config.start_from}' "
            f"(train from scratch: `start_from={FROM_SCRATCH!r}`)"
        )
    reporter.on_start(out)
    if folds:
        start_folds(source, config, out, splits)
    else:
        start_run(source, config, out, splits[0], reporter)
    return resume_training(out, reporter)


def resume_training(folder: Path, reporter: Reporter | None = None) -> TrainingResult:
    """Continue an interrupted run or cross-validation; TrainingError if it is finished or not a run."""
    from mien.training.folds import resume_folds
    from mien.training.run import resume_run

    return (resume_folds if read_unfinished(folder).get("folds") else resume_run)(folder, reporter)


def train_or_resume(source: TrainingSource, config: TrainConfig, out: Path, reporter: Reporter | None = None) -> None:
    """Train into `out`, resume an interrupted run there, or do nothing if it is finished. See `train_source`."""
    if is_finished(out):
        return
    if out.exists():
        resume_training(out, reporter)
    else:
        train_source(source, config, out, reporter)


def _resume(folder: Path, reporter: Reporter) -> TrainingResult:
    read_unfinished(folder)
    stored = folder / CONFIG
    require_keras("training", stored.exists() and bool(read_settings(stored).get("deterministic")))
    reporter.on_start(folder)
    if stored.exists() and not (is_begun(folder) or read_unfinished(folder).get("folds")):
        epochs = TrainConfig.make(read_settings(stored)).epochs
        reporter.say(f"resuming at epoch 1 of {epochs}; no epoch was finished")
    return resume_training(folder, reporter)

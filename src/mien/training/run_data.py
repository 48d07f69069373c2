"""Open the data of a run again: its split, read from its folder and its source, and its crops."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mien.arrays import UInt8
from mien.data.detection import DetectionChoice
from mien.io.layout import CONFIG, is_run
from mien.text import pluralize
from mien.training.config import TrainConfig, read_settings
from mien.training.data_split import DataSplit, read_split
from mien.training.loop.cache import cached_crops
from mien.training.runs import read_about
from mien.training.source import TrainingSource


def open_crops(
    folder: Path,
    report: Callable[[float], None] = lambda fraction: None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[DataSplit, UInt8]:
    """Return the split of a run and the crops of all its samples, uint8 (N, S, S, C), decoded at most once.

    Args:
        folder: the run.
        report: called with the fraction done, in [0, 1].
        say: told what was added to the data since the run began.

    Raises TrainingError if a sample has changed since, or is gone.
    """
    config = TrainConfig.make(read_settings(folder / CONFIG))
    split = stored_split(folder, read_about(folder), lambda added: say(f"{added}; a new run would use it"))
    split.require_unchanged(report)
    crops = cached_crops(split.manifest, config.size, config.channels, cache_folder(folder), report, split.regions)
    return split, crops


def stored_split(folder: Path, about: Mapping[str, Any], say: Callable[[str], None] | None = None) -> DataSplit:
    """Return the split of a run, read from its folder and its source; `say` is told what was added to the source."""
    manifest = TrainingSource.from_dict(about["source"]).manifest
    split = read_split(folder, manifest, DetectionChoice.from_dict(about["detection"]))
    if say and (added := split.added(manifest)):
        say(f"{manifest.path}: {added[0]} came after {folder} began ({pluralize(len(added), 'file')} in all)")
    return split


def cache_folder(folder: Path) -> Path:
    """Return the cache beside a run; folds share the cache of their cross-validated run."""
    parent = folder.resolve().parent
    return parent.parent / ".cache" if is_run(parent) else parent / ".cache"

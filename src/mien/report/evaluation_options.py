"""Check the arguments of `mien.evaluate` before long work starts, and choose the images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.arguments import path_argument
from mien.data.dataset import read_manifest
from mien.errors import ConfigError, DataError
from mien.evaluation.answer_rows import AnswerRows, Answers, class_names
from mien.evaluation.held_out import HeldOut, held_out, held_out_of_run
from mien.inference.bundle import SHIPPED, find_bundle, load_bundle
from mien.inference.placement import refuse_device
from mien.inference.reader import Reader
from mien.inference.thresholds import Threshold
from mien.runtime.providers import Device, require_device


def check_options(
    data: str | Path | None, model: str | Path | Reader | None, answers: Answers | None,
    columns: Mapping[str, str] | None, groups: Path | None, *, detect: bool | None, threshold: Threshold | None,
    device: Device, mirror: bool | None, robustness: bool, choose_threshold: bool,
) -> None:  # fmt: skip
    """Raise ConfigError for options that do not go together, DataError for a groups file that is not there."""
    if data is not None:
        path_argument("data", data, "a labelled folder, CSV or zip")
    require_device(device)
    if answers is not None:
        _refuse_with_answers(
            data, model=model, detect=detect, threshold=threshold, device=None if device == "auto" else device,
            mirror=mirror, robustness=robustness or None, choose_threshold=choose_threshold or None,
        )  # fmt: skip
    elif columns:
        raise ConfigError("`columns=`: names columns of `answers=`; give both")
    if isinstance(model, Reader):
        refuse_device(device)
    elif model is not None:
        path_argument("model", model, "a shipped model, a bundle, a run folder or a reader")
    if groups is not None and not groups.exists():
        raise DataError(f"{groups}: no such file; give a CSV with a column file and one for each grouping")
    if choose_threshold:
        _require_threshold(model, threshold)


def held_out_images(
    data: str | Path | None, model: str | Path | Reader | None, classes: Sequence[str] | None,
    rename: Mapping[str, str] | None, fixes: bool | str | Path, detect: bool | None, given: AnswerRows | None,
) -> HeldOut:  # fmt: skip
    """Return the images of the data, or those that a run held out; ConfigError if neither is given."""
    if data is not None:
        foreign = class_names(given) if given and rename else ()
        return held_out(read_manifest(Path(data), classes, rename, fixes, foreign))
    if model is None or isinstance(model, Reader):
        raise ConfigError("give `data=` to evaluate the shipped model on; or `model=RUN`, which has its own")
    if detect is not None:
        raise ConfigError("`detect=`: needs `data=`; a run is evaluated on images as it was trained")
    if classes or rename:
        raise ConfigError("`classes=` and `rename=`: need `data=`; a run is evaluated on its own part")
    return held_out_of_run(Path(model))


def _require_threshold(model: str | Path | Reader | None, threshold: Threshold | None) -> None:
    """Refuse a model whose threshold cannot be written, before long work starts."""
    if threshold is not None:
        raise ConfigError("`threshold=` and `choose_threshold=`: give only one of them")
    if model is None or isinstance(model, Reader) or find_bundle(model).is_relative_to(SHIPPED):
        raise ConfigError("`choose_threshold=`: the shipped model stays as it is; give `model=FOLDER`, of your own")
    config = load_bundle(model).config
    if len(config.labels) != 2 or config.answer_from is not None:
        raise ConfigError(
            f"`choose_threshold=`: is for models that answer one of two labels; {model} has {len(config.labels)}"
        )


def _refuse_with_answers(data: str | Path | None, **given: object) -> None:
    """Refuse arguments that say how a model reads, when no model is asked."""
    if data is None:
        raise ConfigError("`answers=`: needs `data=`, the labelled images that they are answers to")
    for name, value in given.items():
        if value is not None:
            raise ConfigError(f"`answers=` and `{name}=`: no model is asked, so give only one of them")

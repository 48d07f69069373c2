"""Options that several verbs share, and checks of their values."""

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import click

from mien.errors import ConfigError
from mien.inference.thresholds import parse_threshold
from mien.labels import parse_classes, parse_rename
from mien.runtime.providers import Device
from mien.runtime.threads import MAX_THREADS

Function = TypeVar("Function", bound=Callable[..., Any])


class Number(click.FloatRange):
    """A finite number, perhaps in a range. Click's own types let `nan` through, and `inf` if there is no upper end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; raise click's error for anything else."""
        found = float(click.FLOAT.convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"'{value}' is not a finite number", param, ctx)
        return float(super().convert(value, param, ctx))


def threads_option(meaning: str) -> Callable[[Function], Function]:
    """Add `--threads`, a whole number from 1 to `MAX_THREADS`; None is one per core."""
    kind = click.IntRange(1, MAX_THREADS)
    return click.option("--threads", type=kind, metavar="N", show_default="one per core", help=meaning)


def data_options(function: Function) -> Function:
    """Add `--classes`, `--map`, `--fixes` and `--no-fixes`, which every verb that reads labelled data takes.

    The verb gets `fixes`, a path or a bool, as `mien.data.dataset.read_manifest` takes it.
    """

    @functools.wraps(function)
    def run(*, fixes: Path | None, no_fixes: bool, **others: Any) -> Any:
        if no_fixes and fixes:
            raise ConfigError("--fixes and --no-fixes: give only one of them")
        return function(fixes=fixes or not no_fixes, **others)

    option = click.option("--no-fixes", is_flag=True, help="use no decisions of mien fix")(run)
    words = "the file of decisions of mien fix"
    option = click.option(
        "--fixes", type=click.Path(path_type=Path), metavar="FILE", show_default="that of DATA", help=words
    )(option)
    return cast("Function", class_options(option))


def class_options(function: Function) -> Function:
    """Add `--classes` and `--map`."""
    function = click.option("--map", "rename", multiple=True, metavar="OLD=NEW", help="rename classes")(function)
    return click.option("--classes", metavar="A,B", help="use only these classes, in this order")(function)


def model_option(function: Function) -> Function:
    """Add `--model`, which every verb that runs a model takes."""
    return click.option(
        "--model",
        metavar="NAME|FOLDER",
        show_default="mien, the shipped one",
        help="a shipped model, a bundle or a run folder",
    )(function)


def device_option(function: Function) -> Function:
    """Add `--device`, which every verb that runs a model takes."""
    return click.option(
        "--device",
        type=click.Choice(get_args(Device)),
        default="auto",
        show_default=True,
        help="where the model runs; auto leaves the CPU for a clearly faster one, as mien doctor lists them",
    )(function)


_SWITCH = {"auto": None, "yes": True, "no": False}


def mirror_option(function: Function) -> Function:
    """Add `--mirror auto|yes|no`, which every verb that reads takes; the verb gets a bool, or None for auto."""
    return click.option(
        "--mirror",
        type=click.Choice(list(_SWITCH)),
        callback=lambda context, option, value: _SWITCH[value or "auto"],
        show_default="auto, as the model says",
        help="average each crop with its mirror image; no takes half the time",
    )(function)


#: How `auto` of `--detect` decides: on the model for verbs that read, on a sample of the images for verbs that train.
AS_TRAINED, BY_SAMPLE = "as the model was trained", "decided by a sample of DATA"


def detect_option(auto: str) -> Callable[[Function], Function]:
    """Add `--detect auto|yes|no` and `--no-detect`; the verb gets `detect`, a bool, or None for auto.

    Args:
        auto: how `auto` decides, for the help: `AS_TRAINED` or `BY_SAMPLE`.
    """

    def add(function: Function) -> Function:
        @functools.wraps(function)
        def run(*, detect: str | None, no_detect: bool, **others: Any) -> Any:
            if no_detect and detect not in (None, "no"):
                raise ConfigError(f"--detect {detect} and --no-detect: give only one of them")
            return function(detect=False if no_detect else _SWITCH[detect or "auto"], **others)

        option = click.option("--no-detect", is_flag=True, hidden=True, help="the same as --detect no")(run)
        words = "find faces first, or use each image whole; --no-detect is --detect no"
        choice = click.Choice(list(_SWITCH))
        return cast("Function", click.option("--detect", type=choice, show_default=f"auto, {auto}", help=words)(option))

    return add


def notice_option(function: Function) -> Function:
    """Add `--notice TEXT` and `--no-notice`; the verb gets `notice`: "" is the page's own text, None asks nobody."""

    @functools.wraps(function)
    def run(*, notice: str | None, no_notice: bool, **others: Any) -> Any:
        if notice is not None and no_notice:
            raise ConfigError("--notice and --no-notice: give only one of them")
        if notice is not None and not notice.strip():
            raise ConfigError("--notice: the text is empty; --no-notice opens the camera without asking")
        return function(notice=None if no_notice else (notice or "").strip(), **others)

    words = "what the page says before it opens the camera and asks for consent"
    option = click.option("--no-notice", is_flag=True, help="open the camera without asking")(run)
    return cast("Function", click.option("--notice", metavar="TEXT", show_default="its own text", help=words)(option))


def threshold_option(function: Function) -> Function:
    """Add `--threshold`, which every verb that answers takes; the verb gets what `parse_threshold` returns."""
    return click.option(
        "--threshold",
        callback=lambda context, option, value: None if value is None else parse_threshold(value),
        metavar="ANSWER=P,...|P",
        show_default="the model's own rule",
        help="give an answer from this probability, such as sad=0.6; a number alone is for the second of two classes",
    )(function)


def parse_data_options(classes: str | None, rename: tuple[str, ...]) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """Parse the values of `data_options`: the classes, None for all, and the renamed classes."""
    return (parse_classes(classes) if classes else None), parse_rename(rename)


def only_one(given: dict[str, Any]) -> str | None:
    """Return the name of the one option that is not None, or None; raise ConfigError for several."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ConfigError(f"--{names[0]} and --{names[1]}: give only one of them")
    return names[0] if names else None


def one_stdout(targets: Mapping[str, str | None]) -> None:
    """Raise ConfigError if several of the options have the value `-`."""
    names = [name for name, target in targets.items() if target == "-"]
    if len(names) > 1:
        raise ConfigError(f"--{names[0]} - and --{names[1]} -: only one of them can go to standard output")

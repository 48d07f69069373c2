"""What the shell offers when a user presses Tab: names of models, settings and files. Needs no framework."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from mien.inference.bundle import shipped_models
from mien.io.layout import BUNDLE, RUNS
from mien.training.config import FROM_SCRATCH, TrainConfig


class FileName(StringParamType):
    """The name of a file or folder, which need not exist; the shell offers files."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell list files."""
        return [CompletionItem(incomplete, type="file")]


class ModelName(StringParamType):
    """A model; the shell offers the shipped ones, the runs in `mien-runs` and folders.

    Args:
        scratch: also offer `none`.
    """

    def __init__(self, scratch: bool = False) -> None:
        self._scratch = scratch

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """List the models, and let the shell list folders."""
        runs = sorted(str(path.parent) for path in Path(RUNS).glob(f"*/{BUNDLE}"))
        names = [*shipped_models(), *([FROM_SCRATCH] if self._scratch else []), *runs]
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        # First, because click's script for bash forgets what stands before it. Bash then lists folders if no name fits.
        return [CompletionItem(incomplete, type="dir"), *found]


def complete_settings(_: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of training settings; of a list, the last name is completed."""
    before, comma, last = incomplete.rpartition(",")
    equals = "=" if "=" in (param.metavar or "") else ""
    return [f"{before}{comma}{name}{equals}" for name in TrainConfig.__dataclass_fields__ if name.startswith(last)]


def offer_names(parameter: click.Parameter) -> None:
    """Give a parameter that takes any text the type that its metavar names, so that the shell can complete it."""
    if not isinstance(parameter.type, StringParamType):
        return
    shown = parameter.metavar or ""
    if "FOLDER" in shown:
        parameter.type = ModelName(scratch=FROM_SCRATCH in shown)
    elif "FILE" in shown or parameter.name == "inputs":
        parameter.type = FileName()

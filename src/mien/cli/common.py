"""What several verbs share: arguments, writing results, progress bars and figures as text."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mien.cli.text import one_line
from mien.errors import ConfigError, OutputError
from mien.io.atomic import new_file, part_of, readable_errors, refuse_existing, to_bytes
from mien.labels import parse_classes, parse_rename

if TYPE_CHECKING:  # rich is imported where something is drawn: JSON into a pipe needs none of it
    from rich.console import Console
    from rich.table import Table

    from mien.metrics.estimates import ClassificationMetrics


Function = TypeVar("Function", bound=Callable[..., Any])


def console(err: bool = False) -> "Console":
    """Return a console that is never narrower than a readable table."""
    from rich.console import Console

    found = Console(stderr=err, highlight=False)
    return found if found.is_terminal else Console(stderr=err, highlight=False, width=120)


def data_options(function: Function) -> Function:
    """Add `--classes` and `--map`, which every verb that reads labelled data takes."""
    function = click.option("--map", "rename", multiple=True, metavar="OLD=NEW", help="rename classes")(function)
    return click.option("--classes", metavar="A,B", help="use only these classes, in this order")(function)


def model_option(function: Function) -> Function:
    """Add `--model`, which every verb that runs a model takes."""
    return click.option(
        "--model", metavar="NAME|FOLDER", help="a shipped model, a bundle or a run folder  [mien, the shipped one]"
    )(function)


def data_arguments(classes: str | None, rename: tuple[str, ...]) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """Read what `data_options` collected."""
    return (parse_classes(classes) if classes else None), parse_rename(rename)


def write_result(text: str, target: str) -> None:
    """Write text to a file, whole or not at all, or to standard output for `-`."""
    write_pieces([text], target)


def write_pieces(pieces: Iterable[str], target: str) -> None:
    """Write text as it comes: to a file, whole or not at all, or to standard output for `-`."""
    path = Path(target)
    if target == "-":
        for piece in pieces:
            _write_stdout(to_bytes(piece))
        return
    # A device or a pipe has no place beside it, and is never replaced.
    place = nullcontext(path) if is_device(path) else new_file(path)
    with place as found, readable_errors(path), found.open("wb") as stream:
        for piece in pieces:
            stream.write(to_bytes(piece))


def _write_stdout(data: bytes) -> None:
    if sys.stdout is None:  # the shell's >&-
        raise OutputError("-: standard output is closed; give a file")
    sys.stdout.flush()
    stream = sys.stdout.buffer
    while data:  # an unbuffered stream may take only a part at a time
        data = data[stream.write(data) :]
    stream.flush()


def is_device(path: Path) -> bool:
    """Whether `path` is a device or a pipe, which is written to and must never be replaced by a file."""
    return path.exists() and not path.is_file() and not path.is_dir()


def to_json(value: object) -> str:
    """Return JSON with a newline at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr (only on a terminal) and give a function to call with the share done."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda share: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    screen = console(err=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


@contextmanager
def counting_bar(what: str, total: int | None, done: int = 0, rate_over: float = 30.0) -> Iterator[Callable[..., None]]:
    """Show a bar that counts finished items on stderr, with rate and time left, only on a terminal.

    Gives a function to call when an item, or a number of them, is done. The rate is that of the last `rate_over`
    seconds.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda count=1: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    screen = console(err=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    hidden = not screen.is_terminal
    with Progress(*columns, console=screen, transient=True, disable=hidden, speed_estimate_period=rate_over) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield lambda count=1: bar.advance(task, count)


def figures_table(evaluation: "ClassificationMetrics", title: str, note: str = "") -> "Table":
    """Lay out an evaluation: the overall figures, then one row per class, each with its interval; a note below."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(title), "bold"), title_justify="left")
    for name in ("", "precision", "recall", "F1", "ROC-AUC"):
        table.add_column(name, justify="left")
    table.add_column("n", justify="right")
    for label, row in evaluation.per_class.items():
        figures = (row.precision, row.recall, row.f1, row.roc_auc, row.support)
        table.add_row(Text(one_line(label)), *map(str, figures))
    table.add_section()
    e = evaluation
    table.add_row("macro", str(e.macro_precision), str(e.macro_recall), str(e.macro_f1), str(e.roc_auc), str(e.n))
    table.add_row("[bold]accuracy[/]", f"[bold]{e.accuracy}[/]", "", "", "", "")
    table.caption = Text("95 % intervals in brackets" + (f"\n{one_line(note)}" if note else ""))
    table.caption_justify = "left"
    return table


def free_folder(parent: Path, name: str) -> Path:
    """Return `parent/name`, or `parent/name-2`, …, whichever does not exist yet."""
    path, number = parent / name, 2
    while path.exists() or part_of(path).exists():
        path, number = parent / f"{name}-{number}", number + 1
    return path


def require_parent(target: str | Path) -> None:
    """Refuse an output that is a folder, or whose folder cannot be made, before long work starts."""
    path = Path(target)
    if str(target) == "-" or is_device(path):
        return
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give a file name")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise OutputError(f"{path}: cannot be written; {parent} is not a folder that you may write to")


def require_new_folder(out: Path) -> None:
    """Refuse a folder that is there already, or that cannot be made, before long work starts."""
    refuse_existing(out)
    require_parent(out)


def require_report(out: Path | None, json_target: str | None) -> None:
    """Refuse, before long work starts, a report that cannot be written into the new folder `out` or as JSON."""
    if out:
        from mien.viz.charts import require_matplotlib

        require_new_folder(out)
        require_matplotlib()
    if json_target:
        require_parent(json_target)


def same_file(name: str | Path, target: str | Path) -> bool:
    """Whether two names mean one file, through links and `..` too; neither of them need exist."""
    if os.path.abspath(name) == os.path.abspath(target):  # noqa: PTH100
        return True
    try:
        return os.path.samefile(name, target)  # noqa: PTH121
    except (OSError, ValueError):
        return False


def one_of(given: dict[str, Any]) -> str | None:
    """Return the name of the one option that was given, None for none; ConfigError for several."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ConfigError(f"--{names[0]} and --{names[1]}: give only one of them")
    return names[0] if names else None

"""Progress bars on stderr, shown only on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mien.cli.terminal import console


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

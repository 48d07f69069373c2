"""Progress bars on stderr, shown only on a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mien.cli.output.terminal import console, say

#: Seconds between two lines, if there is no terminal for a bar.
SELDOM = 10.0


def _visible() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def progress_bar(what: str, *, lines: bool = False) -> Iterator[Callable[[float], None]]:
    """Show a bar; gives a function to call with the fraction done, 0 to 1.

    Args:
        what: is done.
        lines: without a terminal, print a line now and then.
    """
    if not _visible():
        yield _print_seldom(what) if lines else lambda fraction: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    screen = console(err=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


def _print_seldom(what: str) -> Callable[[float], None]:
    printed = time.monotonic()

    def report(fraction: float) -> None:
        nonlocal printed
        if time.monotonic() - printed >= SELDOM:
            printed = time.monotonic()
            say(f"{what}: {fraction:.0%}", err=True)

    return report


@contextmanager
def item_bar(what: str, rate_over: float = 30.0) -> Iterator[Callable[[float, int | None], None]]:
    """Show a bar that counts items, with their rate over the last `rate_over` seconds and the time left.

    Gives a function to call with the items done and their total, None if unknown. Call it first before any
    item of this run is done: then the rate leaves out what an earlier run did, and a line says where this one goes on.
    """
    begun = False

    def say_once(done: float, total: int | None) -> None:
        nonlocal begun
        if done and not begun:
            of = f" of {total:,}" if total else ""
            say(f"mien: resuming after {int(done):,}{of}", err=True)
        begun = True

    if not _visible():
        yield say_once
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    screen = console(err=True)
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    hidden = not screen.is_terminal
    with Progress(*columns, console=screen, transient=True, disable=hidden, speed_estimate_period=rate_over) as bar:
        tasks: list[TaskID] = []

        def report(done: float, total: int | None) -> None:
            say_once(done, total)
            if tasks:
                bar.update(tasks[0], completed=done, total=total)
            else:
                tasks.append(bar.add_task(what, total=total))
                bar.update(tasks[0], completed=done)

        yield report


@contextmanager
def counting_bar(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Show a bar that counts items; gives a function to call after each."""
    done = 0
    with item_bar(what) as report:
        report(0, total)

        def advance() -> None:
            nonlocal done
            done += 1
            report(done, total)

        yield advance

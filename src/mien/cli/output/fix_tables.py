"""What `mien fix` prints beside its page: what to look at first, what was merged, and at the end what was decided."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.output.tables import path_cell, plain
from mien.cli.output.terminal import console, say
from mien.data.fixes.decisions import Fixes
from mien.data.fixes.store import FixesFile, fixes_path
from mien.errors import ConfigError
from mien.text import dump_json, pluralize

if TYPE_CHECKING:
    from mien.data.fixes.session import FixSession

#: How the rows of --jsonl begin.
JSONL_BEGINS = r'\{"file":".*?","kind":"'
#: So many images to look at, and so many conflicts, are shown.
_SHOWN = 20


def to_jsonl(session: "FixSession") -> str:
    """Return all images in the order in which a look pays most, one JSON object per line."""
    items = session.items(0, len(session.order))
    return "".join(dump_json(item.to_dict()) + "\n" for item in items)


def print_queue(session: "FixSession") -> None:
    """Print the first images without a decision, each with the reason, and how many are probably wrong."""
    from rich.table import Table

    table = Table()
    for column in ("", "file", "why", "faces", "copies"):
        table.add_column(column, overflow="fold", justify="left" if column in ("file", "why") else "right")
    for number, item in enumerate(session.items(0, _SHOWN, decided=False), 1):
        copies = max(len(item.group) - 1, 0) + len(item.copies)
        cells = (str(count) if count else "" for count in (len(item.faces), copies))
        table.add_row(str(number), path_cell(item.name), plain(item.reason), *cells)
    console().print(table)
    say(session.remaining().sentence)


def say_decided(session: "FixSession", detect: bool | None) -> None:
    """Say at the end what was decided and how to train on it; nothing if nothing was."""
    session.refresh()
    progress = session.progress()
    if not progress.decided:
        return
    words = ["mien", "train", str(session.data), *session.source_flags]
    words += [] if detect is None else ["--detect", "yes" if detect else "no"]
    words += [] if session.store == fixes_path(session.data) else ["--fixes", str(session.store)]
    say(f"mien: {session.store}: {progress.sentence}; next: {shlex.join(words)}", err=True)


def merge_fixes(path: Path, others: Sequence[Path]) -> int:
    """Add the decisions of other files to one, and name the images about which people disagree.

    Returns:
        The exit status: 1 if people disagree, or if something in the other files cannot be read.
    """
    for other in others:
        if not other.is_file():
            what = "is not a regular file" if other.exists() else "no such file"
            raise ConfigError(f"--merge {other}: {what}; give a CSV of mien fix")
    file, unread = FixesFile(path), False
    for other in others:
        found = file.merge(other)
        say(f"{path}: {pluralize(len(found.fixes), 'decision')} added from {other}")
        for bad in found.bad_rows[:_SHOWN]:
            say(f"{other}: line {bad.line}: {bad.reason}", err=True)
        if found.bad_rows:
            say(f"mien: {other}: {pluralize(len(found.bad_rows), 'row')} cannot be read: not added", err=True)
        if found.cut_short:
            say(f"mien: {other}: its last row is cut short: not added", err=True)
        unread = unread or bool(found.bad_rows) or found.cut_short
    conflicts = Fixes(path, file.found.fixes).conflicts
    for conflict in conflicts[:_SHOWN]:
        said = "; ".join(f"{fix.who or 'somebody'}: {fix.sentence}" for fix in conflict)
        console().print(plain(f"{conflict[-1].path}: people disagree: {said}"), soft_wrap=True)
    if conflicts:
        say(
            f"mien: people disagree about {pluralize(len(conflicts), 'image')}: none of these decisions counts; "
            "mien fix shows them first",
            err=True,
        )
    return int(bool(conflicts) or unread)

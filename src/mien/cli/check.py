"""`mien check`: everything that is wrong with a dataset."""

from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from mien import clean
from mien.audit import Audit, audit
from mien.cli.common import (
    console,
    counting_bar,
    data_arguments,
    data_options,
    progress_bar,
    require_parent,
    to_json,
    write_result,
)
from mien.cli.text import one_line
from mien.dataset import read_manifest
from mien.faults import Severity
from mien.output import refuse_existing

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@click.command("check")
@click.argument("data", type=click.Path(path_type=Path))
@data_options
@click.option("--json", "json_target", metavar="FILE|-", help="write the faults as JSON")
@click.option("--write-clean", type=click.Path(path_type=Path), metavar="OUT", help="write a cleaned copy of the data")
@click.option("--strict-extensions", is_flag=True, help="keep only jpg, jpeg, png and bmp")
def command(
    data: Path, classes: str | None, rename: tuple[str, ...], json_target: str | None, write_clean: Path | None,
    strict_extensions: bool,
) -> int:  # fmt: skip
    """List everything that is wrong with DATA, worst first.

    DATA is a folder of class folders (or of train/validation/test folders with these), a CSV, or a zip
    of either. Your files are never changed. Exits 1 when there are errors and no clean copy was asked for.
    """
    if write_clean:
        refuse_existing(write_clean)
    if json_target:
        require_parent(json_target)
    manifest = read_manifest(data, *data_arguments(classes, rename))
    with progress_bar(f"reading {len(manifest.samples)} files") as report:
        found = audit(manifest, strict_extensions=strict_extensions, on_progress=report)
    if json_target:
        write_result(to_json(found.to_dict()), json_target)
    if json_target != "-":
        print_audit(found)
    if write_clean:
        _write(found, write_clean)
        return 0
    return int(any(fault.severity is Severity.ERROR for fault in found.faults))


def print_audit(found: Audit) -> None:
    """Print the faults as a table, and what is left to train on."""
    screen = console()
    counts = "  ".join(f"{name} {count}" for name, count in found.manifest.counts().items())
    screen.print(_plain(f"{found.manifest.path}: {len(found.manifest.samples)} files  ({counts})"), soft_wrap=True)
    if found.faults:
        table = Table(show_lines=False)
        for column in ("", "fault", "files", "first, or what", "what to do"):
            table.add_column(column, justify="right" if column == "files" else "left", overflow="fold")
        for fault in found.faults:
            example = fault.files[0] if fault.files else ""
            about = f"{example}: {fault.detail}" if example and fault.detail else example or fault.detail
            severity = Text(str(fault.severity), _COLOURS[fault.severity])
            count = str(len(fault.files)) if fault.files else ""
            table.add_row(severity, fault.title, count, _plain(about), _plain(fault.fix))
        screen.print(table)
    else:
        screen.print("no faults found")
    kept = "  ".join(f"{name} {count}" for name, count in found.usable.counts().items())
    screen.print(_plain(f"usable for training: {len(found.usable.samples)} files  ({kept})"), soft_wrap=True)


def _plain(text: str) -> Text:
    """Text that holds names of other people's files: never markup, never more than one line."""
    return Text(one_line(text))


def _write(found: Audit, out: Path) -> None:
    with counting_bar("writing the clean copy", None) as advance:
        count = clean.write_clean(found, out, advance)
    console(err=True).print(_plain(f"wrote {count} files to {out}"), soft_wrap=True)

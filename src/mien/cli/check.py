"""`mien check`: everything that is wrong with a dataset."""

import csv
import io
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from mien.cli.options import data_options, model_option, parse_data_options
from mien.cli.progress import counting_bar, progress_bar
from mien.cli.terminal import console, one_line
from mien.data import clean
from mien.data.audit import Audit, audit
from mien.data.contact_sheet import contact_sheet
from mien.data.dataset import read_manifest
from mien.data.issues import CATALOGUE, Severity
from mien.errors import ConfigError
from mien.io.atomic import refuse_existing
from mien.io.targets import require_writable, to_json, write_output
from mien.viz.mosaic import save_png

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@click.command("check")
@click.argument("data", type=click.Path(path_type=Path))
@data_options
@click.option("--faces", is_flag=True, help="also look at what the pictures show, and under which label")
@model_option
@click.option("--json", "json_target", metavar="FILE|-", help="write the faults as JSON")
@click.option("--csv", "csv_target", metavar="FILE|-", help="write a row for each fault of a file")
@click.option("--sheet", type=click.Path(path_type=Path), metavar="FILE.png", help="draw the faulty files, worst first")
@click.option("--write-clean", type=click.Path(path_type=Path), metavar="OUT", help="write a cleaned copy of the data")
@click.option("--leave-out", metavar="KIND,KIND", help="faults whose files the clean copy shall not have either")
@click.option("--strict-extensions", is_flag=True, help="keep only jpg, jpeg, png and bmp")
def command(
    data: Path, faces: bool, model: str | None, classes: str | None, rename: tuple[str, ...], json_target: str | None,
    csv_target: str | None, sheet: Path | None, write_clean: Path | None, leave_out: str | None,
    strict_extensions: bool,
) -> int:  # fmt: skip
    """List everything that is wrong with DATA, worst first.

    DATA is a folder of class folders (or of train/validation/test folders with these), a CSV, or a zip
    of either. Your files are never changed. Exits 1 when there are errors and no clean copy was asked for.

    With --faces, mien also finds pictures without a face, with several, with one that is too small or cut
    off, drawings and the like, and pictures whose label is probably wrong (--model says what judges that).
    """
    if model and not faces:
        raise ConfigError("--model: judges the labels of faces; give --faces, too")
    kinds = _kinds(leave_out, write_clean)
    _check_outputs(json_target, csv_target, sheet, write_clean)
    manifest = read_manifest(data, *parse_data_options(classes, rename))
    with progress_bar(f"reading {len(manifest.samples)} files") as report:
        found = audit(manifest, strict_extensions=strict_extensions, on_progress=report)
    if faces:
        found = _look_at_faces(found, model)
    if json_target:
        write_output(to_json(found.to_dict()), json_target)
    if csv_target:
        write_output(to_csv(found), csv_target)
    if sheet:
        save_png(contact_sheet(found), sheet)
    if "-" not in (json_target, csv_target):
        print_audit(found)
    if write_clean:
        _write(found, write_clean, kinds)
        return 0
    return int(any(fault.severity is Severity.ERROR for fault in found.faults))


def _kinds(leave_out: str | None, write_clean: Path | None) -> list[str]:
    kinds = [kind.strip() for kind in (leave_out or "").split(",") if kind.strip()]
    unknown = [kind for kind in kinds if kind not in CATALOGUE]
    if unknown:
        raise ConfigError(f"--leave-out {unknown[0]}: is no kind of fault; --json names those that were found")
    if kinds and not write_clean:
        raise ConfigError("--leave-out: says what a clean copy shall not have; give --write-clean OUT, too")
    return kinds


def _check_outputs(json_target: str | None, csv_target: str | None, sheet: Path | None, out: Path | None) -> None:
    if out:
        refuse_existing(out)
    for target in (json_target, csv_target, sheet):
        if target:
            require_writable(target)
    if json_target == csv_target == "-":
        raise ConfigError("--json - and --csv -: only one of them can go to standard output")
    if sheet and sheet.suffix.lower() != ".png":
        raise ConfigError(f"--sheet {sheet}: must end in .png")


def _look_at_faces(found: Audit, model: str | None) -> Audit:
    from mien.data.face_audit import audit_faces
    from mien.inference.reader import load

    reader = load(model, faces="largest")
    with progress_bar(f"looking at {len(found.usable.samples)} pictures") as report:
        seen = audit_faces(found, reader, report)
    if seen.unchecked:
        console(err=True).print(_plain(f"labels were not judged: {seen.unchecked}"), soft_wrap=True)
    return seen.audit


def to_csv(found: Audit) -> str:
    """Return a row for each fault of a file, worst first: file, label, kind, severity, note."""
    labels = {sample.name: sample.label for sample in found.manifest.samples}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("file", "label", "kind", "severity", "note"))
    for fault in found.faults:
        for name in fault.files:
            note = fault.notes.get(name, found.facts[name].reason if name in found.facts else None)
            writer.writerow((name, labels.get(name, ""), fault.kind, fault.severity, note or ""))
    return buffer.getvalue()


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


def _write(found: Audit, out: Path, leave_out: list[str]) -> None:
    with counting_bar("writing the clean copy", None) as advance:
        count = clean.write_clean(found, out, advance, leave_out)
    console(err=True).print(_plain(f"wrote {count} files to {out}"), soft_wrap=True)

"""`mien check`: list the issues of a dataset."""

from collections.abc import Collection
from pathlib import Path

import click

from mien.cli.help import verb
from mien.cli.options import (
    BY_SAMPLE,
    data_options,
    detect_option,
    device_option,
    mirror_option,
    model_option,
    one_stdout,
    parse_data_options,
)
from mien.cli.output.check_tables import print_audit, print_clean
from mien.cli.output.progress import counting_bar, progress_bar
from mien.cli.output.terminal import say, say_to_stderr
from mien.data.audit import Audit
from mien.data.check import check
from mien.data.clean import LEFT_OUT, write_clean
from mien.data.contact_sheet import contact_sheet
from mien.data.issues import ISSUE_KINDS
from mien.errors import ConfigError
from mien.io.cells import csv_line
from mien.io.targets import PNG, require_new_folder, require_output, to_json, write_output
from mien.runtime.providers import Device
from mien.text import did_you_mean
from mien.viz.mosaic import save_png

#: How the results of --json begin, and the header of those of --csv.
JSON_BEGINS = r'\{"files":\d+,"classes":\{'
COLUMNS = ("file", "label", "kind", "severity", "note")


@verb("check")
@click.argument("data", type=click.Path(path_type=Path))
@data_options
@detect_option(BY_SAMPLE)
@click.option("--quick", is_flag=True, help="check the files alone: no faces, no labels")
@model_option
@device_option
@mirror_option
@click.option("--all", "every_file", is_flag=True, help="list every file of every issue, not only the first")
@click.option("--json", "json_target", metavar="FILE|-", help="write the issues as JSON")
@click.option("--csv", "csv_target", metavar="FILE|-", help="write one row per issue and file")
@click.option("--sheet", type=click.Path(path_type=Path), metavar="FILE.png", help="draw the files, worst first")
@click.option("--write-clean", "out", type=click.Path(path_type=Path), metavar="OUT", help="write a cleaned copy")
@click.option("--leave-out", metavar="KIND,KIND", help="further issues whose files are not copied")
@click.option("--keep", metavar="KIND,KIND", help=f"copy these, too: {', '.join(LEFT_OUT)}")
@click.option("--strict-extensions", is_flag=True, help="accept only jpg, jpeg, png and bmp")
def command(
    data: Path, detect: bool | None, quick: bool, model: str | None, device: Device, mirror: bool | None,
    classes: str | None, rename: tuple[str, ...], every_file: bool, json_target: str | None, csv_target: str | None,
    sheet: Path | None, out: Path | None, leave_out: str | None, keep: str | None, strict_extensions: bool,
    fixes: bool | Path,
) -> int:  # fmt: skip
    """List all issues of DATA, worst first.

    DATA is a folder of class folders (or of train/validation/test folders with these), a CSV, or a zip
    of either. Your files are never changed. The exit status is 1 if there are errors and no clean copy was asked for.

    In photographs it also looks for faces: images without one, with several, with one that is too small or cut
    off, drawings, and labels that are probably wrong. --model checks the labels; of crops of faces, they alone are
    checked. --quick leaves all that out.
    """
    kinds = _kinds("--leave-out", leave_out, ISSUE_KINDS, out)
    kept = _kinds("--keep", keep, LEFT_OUT, out)
    _check_outputs(data, json_target, csv_target, sheet, out)
    wanted, renamed = parse_data_options(classes, rename)
    with progress_bar("checking") as report:
        found = check(
            data, classes=wanted, rename=renamed, detect=detect, quick=quick, model=model, device=device,
            mirror=mirror, strict_extensions=strict_extensions, fixes=fixes, on_progress=report,
            on_message=say_to_stderr,
        )  # fmt: skip
    if json_target:
        write_output(to_json(found.to_dict()), json_target)
    if csv_target:
        write_output(to_csv(found), csv_target)
    if sheet:
        save_png(contact_sheet(found), sheet)
    if "-" not in (json_target, csv_target):
        print_audit(found, every_file)
        if sheet:
            say(f"wrote {sheet}")
    if out:
        with counting_bar("writing the clean copy", None) as advance:
            copy = write_clean(found, out, advance, kinds, kept)
        print_clean(copy)
        return 0
    return int(found.counts["error"] > 0)


def _kinds(flag: str, given: str | None, known: Collection[str], out: Path | None) -> list[str]:
    kinds = [kind.strip() for kind in (given or "").split(",") if kind.strip()]
    unknown = [kind for kind in kinds if kind not in known]
    if unknown and unknown[0] in ISSUE_KINDS:
        raise ConfigError(f"{flag} {unknown[0]}: is for {' and '.join(known)}; see mien check --help")
    if unknown:
        near = did_you_mean(unknown[0], known) or "; --json names the kinds that were found"
        raise ConfigError(f"{flag} {unknown[0]}: is not a kind of issue{near}")
    if kinds and not out:
        raise ConfigError(f"{flag}: is for a clean copy; add --write-clean OUT")
    return kinds


def _check_outputs(
    data: Path, json_target: str | None, csv_target: str | None, sheet: Path | None, out: Path | None
) -> None:
    if out:
        require_new_folder(out, data)
    for target, begins in ((json_target, JSON_BEGINS), (csv_target, ",".join(COLUMNS)), (sheet, PNG)):
        if target:
            require_output(target, begins, data)
    one_stdout({"json": json_target, "csv": csv_target})
    if sheet and sheet.suffix.lower() != ".png":
        raise ConfigError(f"--sheet {sheet}: must end in .png")


def to_csv(found: Audit) -> str:
    """Return one row per issue and file, worst first: file, label, kind, severity, note."""
    labels = {sample.name: sample.label for sample in found.manifest.samples}
    rows = (
        (name, labels.get(name, ""), issue.kind, issue.severity, found.note(issue, name))
        for issue in found.issues for name in issue.files
    )  # fmt: skip
    return csv_line(COLUMNS) + "".join(map(csv_line, rows))

"""`mien doctor`: check the installation and say how to repair it."""

from concurrent.futures import ThreadPoolExecutor
from textwrap import fill

import click
from rich.text import Text

from mien.cli.doctor_extras import check_extra, extras
from mien.cli.doctor_system import Check, system_checks
from mien.cli.help import verb
from mien.cli.output.terminal import console
from mien.io.targets import require_output, to_json, write_output
from mien.text import one_line

_MARKS = {"ok": ("✓", "green"), "missing": ("–", "yellow"), "broken": ("✗", "red"), "info": (" ", "")}


@verb("doctor")
@click.option("--json", "target", metavar="FILE|-", help="write the checks as JSON")
def command(target: str | None) -> int:
    """Check the installation: Python, processor, shipped models, and each extra. Say how to repair what is broken.

    The exit status is 1 if something that is installed is broken. An extra that is not installed is not an error.
    """
    if target is not None:
        require_output(target, r'\{"ok":(true|false),"checks":')
    checks = list(system_checks())
    with ThreadPoolExecutor() as pool:
        checks += pool.map(check_extra, extras())
    broken = sum(check.state == "broken" for check in checks)
    if target is not None:
        rows = [check.to_dict() for check in checks]
        write_output(to_json({"ok": not broken, "checks": rows}), target)
    if target != "-":
        _print(checks, broken)
    return 1 if broken else 0


def _print(checks: list[Check], broken: int) -> None:
    screen = console()
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark, colour = _MARKS[check.state]
        indent = " " * (width + 4)
        text = fill(
            one_line(check.text), max(screen.width, width + 30), initial_indent=indent, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        line = Text.assemble((mark, colour), f" {check.name:<{width}}  {text.lstrip()}")
        screen.print(line, soft_wrap=True)
        if check.fix:
            screen.print(Text(f"  {'':<{width}}  {one_line(check.fix)}", "dim"), soft_wrap=True)
    if broken:
        screen.print(f"\n{broken} of these {'is' if broken == 1 else 'are'} installed but broken")
    else:
        screen.print("\neverything that is installed works; try it with: mien predict photo.jpg")

"""`mien doctor`: what is installed, which parts of mien work, and why others do not."""

import json
from concurrent.futures import ThreadPoolExecutor

import click
from rich.text import Text

from mien.cli.doctor_extras import check_extra, extras
from mien.cli.doctor_system import Check, system_checks
from mien.cli.terminal import console, one_line
from mien.io.targets import write_output

_MARKS = {"ok": ("✓", "green"), "missing": ("–", "yellow"), "broken": ("✗", "red"), "info": (" ", "")}


@click.command("doctor")
@click.option("--json", "target", metavar="FILE", help="as JSON, - for standard output")
def command(target: str | None) -> int:
    """Say what is installed, what works, and for what does not how to mend it.

    The exit status is 1 when something that is installed is broken; an optional part that is not installed is no
    fault.
    """
    checks = list(system_checks())
    with ThreadPoolExecutor() as pool:
        checks += pool.map(check_extra, extras())
    broken = sum(check.state == "broken" for check in checks)
    if target is not None:
        rows = [check.to_dict() for check in checks]
        write_output(json.dumps({"ok": not broken, "checks": rows}, indent=2) + "\n", target)
    if target != "-":
        _print(checks, broken)
    return 1 if broken else 0


def _print(checks: list[Check], broken: int) -> None:
    screen = console()
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark, colour = _MARKS[check.state]
        line = Text.assemble((mark, colour), f" {check.name:<{width}}  {one_line(check.text)}")
        screen.print(line, soft_wrap=True)
        if check.fix:
            screen.print(Text(f"  {'':<{width}}  {one_line(check.fix)}", "dim"), soft_wrap=True)
    if broken:
        screen.print(f"\n{broken} of these {'is' if broken == 1 else 'are'} installed but broken")
    else:
        screen.print("\nall that is installed works")

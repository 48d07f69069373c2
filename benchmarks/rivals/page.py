"""Write the page of the docs from the results and a template: no number on it is written by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rivals.readers import Reader
from rivals.tables import Table, accuracy_columns, arrange, size_columns, speed_columns

TEMPLATE = Path(__file__).parent / "page.md.j2"


def write_page(results: Mapping[str, Any], readers: Sequence[Reader], path: Path) -> None:
    """Write the page; `results` is what `compare_rivals.py` keeps in its JSON file."""
    from jinja2 import Environment, StrictUndefined

    template = Environment(  # the page is Markdown
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,
    ).from_string(TEMPLATE.read_text(encoding="utf-8"))  # fmt: skip
    accuracy, speed = accuracy_tables(results, readers), speed_tables(results, readers)
    size = size_table(results, readers)
    own = [reader.key for reader in readers if reader.own]
    tables = [*(table for tables in accuracy.values() for table in tables), *speed, size]
    ahead = [line for table in tables for line in table.ahead([key for key in own if key in table.rows])]
    text = template.render(
        about=results["about"], accuracy=accuracy, images=results["accuracy"], speed=speed, size=size, ahead=ahead,
        readers=[reader for reader in readers if reader.environment in results["environments"]],
    )  # fmt: skip
    path.write_text(text, encoding="utf-8")


def accuracy_tables(results: Mapping[str, Any], readers: Sequence[Reader]) -> dict[str, list[Table]]:
    """Return a table for each question, by the set of images."""
    return {
        key: [arrange(one["title"], accuracy_columns(), one["rows"], readers) for one in found["questions"]]
        for key, found in results["accuracy"].items()
    }


def speed_tables(results: Mapping[str, Any], readers: Sequence[Reader]) -> list[Table]:
    """Return a table for each number of cores."""
    return [
        arrange("one core" if cores == "1" else "two cores", speed_columns(cores), rows, readers)
        for cores, rows in results["speed"].items()
    ]


def size_table(results: Mapping[str, Any], readers: Sequence[Reader]) -> Table:
    """Return the table of installed sizes: one row for each environment."""
    first = {reader.environment: reader for reader in reversed(readers)}
    rows = {first[name].key: row for name, row in results["environments"].items()}
    return arrange("as installed here", size_columns(), rows, readers)

"""Make the tables of the page: who is ahead of mien comes first, then mien's models, then the others."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_estimate, format_p_value, format_points
from rivals.readers import OWN, Reader

#: Shown for what a reader does not do.
NOTHING = "–"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        value: what is compared, from a reader's row; None if it has none. Without it nothing is compared.
        show: the cell.
        higher: whether more is better.
        said: how the column is called in a sentence; default: the heading.
    """

    title: str
    show: Callable[[Row], str]
    value: Callable[[Row], float | None] | None = None
    higher: bool = False
    said: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of readers, in the order in which they are shown.

    Attributes:
        title: its heading.
        columns: after the one with the reader's name.
        rows: by the reader's key, in order.
        titles: of the readers.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Mapping[str, Row]
    titles: Mapping[str, str]

    def markdown(self) -> str:
        """Return the table; what is better than mien's is bold."""
        lines = [f"| | {' | '.join(column.title for column in self.columns)} |", "|---" * (len(self.columns) + 1) + "|"]
        for key, row in self.rows.items():
            cells = [self._cell(column, key, row) for column in self.columns]
            lines.append(f"| {self.titles[key]} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def ahead(self, own: Sequence[str]) -> list[str]:
        """Say in a sentence for each cell where another library is ahead of mien, and what mien's models read there."""
        said = []
        for key, row in self.rows.items():
            for column in self.columns:
                if key not in own and is_ahead(column, row, self.rows[OWN]):
                    ours = ", ".join(f"{self.titles[one]} {column.show(self.rows[one])}" for one in own)
                    name = column.said or f"{column.title}, {self.title}"
                    said.append(f"**{self.titles[key]}**, {name}: {column.show(row)} ({ours}).")
        return said

    def _cell(self, column: Column, key: str, row: Row) -> str:
        shown = column.show(row)
        return f"**{shown}**" if key != OWN and is_ahead(column, row, self.rows[OWN]) else shown


def is_ahead(column: Column, row: Row, own: Row) -> bool:
    """Return whether a reader is better than mien in a column."""
    if column.value is None:
        return False
    value, ours = column.value(row), column.value(own)
    if value is None or ours is None:
        return False
    return value > ours if column.higher else value < ours


def arrange(
    title: str, columns: Sequence[Column], rows: Mapping[str, Row], readers: Sequence[Reader]
) -> Table:  # fmt: skip
    """Return a table: libraries ahead of mien in most columns first, then mien's models, then the rest, best first."""
    main = next(column for column in columns if column.value is not None)

    def rank(reader: Reader) -> tuple[int, int, float]:
        row = rows[reader.key]
        count = sum(is_ahead(column, row, rows[OWN]) for column in columns)
        group = 1 if reader.own else 0 if count else 2
        value = main.value(row) if main.value else None
        best = float("inf") if value is None else -value if main.higher else value
        return group, 0 if reader.own else -count, 0.0 if reader.own else best

    present = [reader for reader in readers if reader.key in rows]
    ordered = sorted(present, key=rank)
    titles = {reader.key: reader.title for reader in present}
    return Table(title, tuple(columns), {reader.key: rows[reader.key] for reader in ordered}, titles)


def accuracy_columns() -> tuple[Column, ...]:
    return (
        Column("accuracy", lambda row: format_estimate(_estimate(row["of_all"])), _value("of_all"), higher=True),
        Column("images answered", lambda row: f"{row['answered']} of {row['n']}"),
        Column("accuracy of these", lambda row: format_estimate(_estimate(row["accuracy"]))),
        Column("less mien, in points", _difference),
        Column("p", lambda row: format_p_value(row["difference"]["p_value"]) if "difference" in row else NOTHING),
    )


def speed_columns(cores: str) -> tuple[Column, ...]:
    on = f"on {'one core' if cores == '1' else 'two cores'}"
    return (
        Column("photograph, ms", _times("photo", 1), _median("photo"), said=f"ms per photograph {on}"),
        Column("crop, ms", _times("crop", 2), _median("crop"), said=f"ms per crop {on}"),
        Column("crops/s, best batch", _batch, _rate, higher=True, said=f"crops/s in the best batch {on}"),
        Column("cold start, s", _times("cold", 2), _median("cold"), said=f"s of a cold start {on}"),
        Column("memory, MB", lambda row: f"{row['memory']:.0f}", lambda row: float(row["memory"]), said=f"MB {on}"),
    )


def size_columns() -> tuple[Column, ...]:
    return (
        Column("installed, MB", lambda row: f"{row['megabytes']:.0f}", lambda row: float(row["megabytes"])),
        Column("versions", lambda row: ", ".join(f"{name} {number}" for name, number in row["versions"].items())),
    )


def spread(values: Sequence[float] | None, digits: int = 1) -> str:
    """Return the median with the smallest and the largest."""
    if not values:
        return NOTHING
    middle, least, most = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least}-{most})"


def _median(what: str) -> Callable[[Row], float | None]:
    return lambda row: statistics.median(row[what]) if row.get(what) else None


def _times(what: str, digits: int) -> Callable[[Row], str]:
    return lambda row: spread(row.get(what), digits)


def _rate(row: Row) -> float | None:
    """Return crops per second; without a batch those of one crop after the other."""
    found = row.get("batch") or row.get("crop")
    return None if not found else 1e3 * row.get("batch_size", 1) / statistics.median(found)


def _batch(row: Row) -> str:
    rate = _rate(row)
    if rate is None:
        return NOTHING
    size = row.get("batch_size", 1)
    found = [1e3 * size / value for value in (row.get("batch") or row["crop"])]
    return f"{rate:.0f} ({min(found):.0f}-{max(found):.0f}), {f'{size} at once' if size > 1 else 'one by one'}"


def _value(name: str) -> Callable[[Row], float | None]:
    return lambda row: row[name]["value"]


def _estimate(found: Mapping[str, float | None]) -> Estimate:
    """Read an estimate back from JSON, in which an undefined one is null."""
    value, low, high = (
        math.nan if found[name] is None else float(found[name] or 0) for name in ("value", "low", "high")
    )
    return Estimate(value, low=low, high=high)


def _difference(row: Row) -> str:
    if "difference" not in row:
        return NOTHING
    return f"{format_points(_estimate(row['difference']))}, n {row['difference']['n']}"

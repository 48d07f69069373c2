"""What `mien predict` prints on a terminal."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from mien.cli.terminal import console, one_line

Row = Mapping[str, Any]

#: Pictures in the printed table; of the others it says how many there are.
SHOWN = 200


def print_table(rows: Iterable[Row]) -> None:
    """Print the first rows as a table, and how many more there are."""
    from rich.table import Table
    from rich.text import Text

    left = iter(rows)
    shown = list(islice(left, SHOWN))
    more = sum(1 for _ in left)
    table = Table()
    explained = any(row["status"] != "ok" or any(face["why"] for face in row["faces"]) for row in shown)
    for name in ("picture", "answer", "probability", "most probable", *(["why"] if explained else [])):
        table.add_column(name, overflow="fold")
    for cells in _cells(shown):
        style = "" if cells[2] else "red"
        texts = [Text(cell, style if place == 1 else "") for place, cell in enumerate(cells)]
        table.add_row(*texts[: 4 + explained])
    console().print(table)
    if more:
        console().print(f"and {more} more pictures; --csv FILE writes a row for each", soft_wrap=True)


def _cells(rows: Iterable[Row]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        picture = one_line(row["source"])
        if row["status"] != "ok":
            yield picture, row["status"], "", "", one_line(row["reason"] or "")
        for face in row["faces"]:
            why = one_line(face["why"] or "")
            yield picture, one_line(face["answer"]), f"{face['probability']:.3f}", _most_probable(face), why


def _most_probable(face: Row, count: int = 2) -> str:
    """List the most probable of the labels that the model itself tells apart."""
    shares = sorted(face.get("expressions", face["probabilities"]).items(), key=lambda item: -item[1])
    return "  ".join(f"{one_line(label)} {value:.2f}" for label, value in shares[:count])


def summary(counts: Mapping[str, int]) -> str:
    """Say how many pictures could not be read, and in how many there was no face; nothing where there are none."""
    total, bad, faceless = sum(counts.values()), counts.get("unreadable", 0), counts.get("no_face", 0)
    if bad:
        also = f", and in {faceless} no face was found" if faceless else ""
        return f"{bad} of {total} files could not be read{also}; see their rows"
    return f"in {faceless} of {total} pictures no face was found" if faceless else ""

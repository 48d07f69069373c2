"""What `mien predict` prints: the table of images, and the counts below it."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from mien.cli.terminal import console, one_line
from mien.io.formats import ResultRow

#: Images in the printed table; the others are only counted.
SHOWN = 200


def print_table(rows: Iterable[ResultRow]) -> None:
    """Print the first rows as a table, and the number of further rows."""
    from rich.table import Table
    from rich.text import Text

    left = iter(rows)
    shown = list(islice(left, SHOWN))
    more = sum(1 for _ in left)
    table = Table()
    explained = any(row["status"] != "ok" or any(face["why"] for face in row["faces"]) for row in shown)
    for name in ("image", "answer", "probability", "most probable", *(["why"] if explained else [])):
        table.add_column(name, overflow="fold")
    for cells in _cells(shown):
        style = "" if cells[2] else "red"
        texts = [Text(cell, style if place == 1 else "") for place, cell in enumerate(cells)]
        table.add_row(*texts[: 4 + explained])
    console().print(table)
    if more:
        console().print(f"and {more} more images; --csv FILE writes a row for each", soft_wrap=True)


def _cells(rows: Iterable[ResultRow]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        image = one_line(row["source"])
        if row["status"] != "ok":
            yield image, row["status"], "", "", one_line(row["reason"] or "")
        for face in row["faces"]:
            why = one_line(face["why"] or "")
            yield image, one_line(face["answer"]), f"{face['probability']:.3f}", _most_probable(face), why


def _most_probable(face: ResultRow, count: int = 2) -> str:
    """List the most probable of the model's own labels."""
    probabilities = sorted(face.get("expressions", face["probabilities"]).items(), key=lambda item: -item[1])
    return "  ".join(f"{one_line(label)} {value:.2f}" for label, value in probabilities[:count])


def summary(counts: Mapping[str, int]) -> str:
    """Say how many files were unreadable and how many had no face; empty if none.

    Examples:
        >>> summary({"ok": 3, "no_face": 2})
        'no face was found in 2 of 5 images'
    """
    total, bad, faceless = sum(counts.values()), counts.get("unreadable", 0), counts.get("no_face", 0)
    if bad:
        also = f", and no face was found in {faceless}" if faceless else ""
        return f"{bad} of {total} files could not be read{also}; see their rows"
    return f"no face was found in {faceless} of {total} images" if faceless else ""

"""What `mien predict` prints: the table of images, and the counts below it."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from mien.cli.tables import FoldedCell, path_cell
from mien.cli.terminal import console, one_line
from mien.io.formats import ResultRow

#: Images in the printed table; the others are only counted.
SHOWN = 200
_NARROW = 80  # a narrower screen does without the most probable labels


def print_table(rows: Iterable[ResultRow]) -> None:
    """Print the first rows as a table, and the number of further rows."""
    from rich.table import Table
    from rich.text import Text

    left = iter(rows)
    shown = list(islice(left, SHOWN))
    more = sum(1 for _ in left)
    table = Table()
    explained = any(row["status"] != "ok" or any(face["why"] for face in row["faces"]) for row in shown)
    screen = console()
    labelled = screen.width >= _NARROW
    columns = ("image", "answer", "probability", *["most probable"] * labelled, *["why"] * explained)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in ("answer", "probability"))
    for image, answer, probability, most_probable, why in _cells(shown):
        cells: dict[str, FoldedCell | Text] = {
            "image": path_cell(image),
            "answer": Text(answer, "" if probability else "red"),
            "probability": Text(probability),
            "most probable": FoldedCell(most_probable),
            "why": path_cell(why),
        }
        table.add_row(*(cells[name] for name in columns))
    screen.print(table)
    if more:
        screen.print(f"and {more} more images; --csv FILE writes a row for each", soft_wrap=True)


def _cells(rows: Iterable[ResultRow]) -> Iterator[tuple[str, str, str, list[str], str]]:
    for row in rows:
        image = row["source"]
        if row["status"] != "ok":
            yield image, row["status"], "", [], row["reason"] or ""
        for face in row["faces"]:
            answer, probability = one_line(face["answer"]), f"{face['probability']:.3f}"
            yield image, answer, probability, _most_probable(face), face["why"] or ""


def _most_probable(face: ResultRow, count: int = 2) -> list[str]:
    """List the most probable of the model's own labels."""
    probabilities = sorted(face.get("expressions", face["probabilities"]).items(), key=lambda item: -item[1])
    return [f"{label} {value:.2f}  " for label, value in probabilities[:count]]


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

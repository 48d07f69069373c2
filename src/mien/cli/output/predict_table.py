"""What `mien predict` prints: the table of images, and the counts below it."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from mien.cli.output.tables import FoldedCell, path_cell
from mien.cli.output.terminal import console
from mien.inference.jobs.summary import BatchSummary
from mien.io.formats import ResultRow
from mien.text import one_line, pluralize

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
    if not shown:
        return
    table = Table()
    explained = any(row["reason"] or any(face["why"] for face in row["faces"]) for row in shown)
    screen = console()
    labelled = screen.width >= _NARROW
    several = any(len(row["faces"]) > 1 for row in shown)
    columns = (
        "#",
        "image",
        *["face"] * several,
        "answer",
        "probability",
        *["most probable"] * labelled,
        *["why"] * explained,
    )
    for name in columns:
        number = name in {"#", "face"}
        fixed = number or name in {"answer", "probability"}
        table.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=fixed)
    for place, image, face, answer, probability, most_probable, why in _cells(shown):
        cells: dict[str, FoldedCell | Text] = {
            "#": Text(place),
            "image": path_cell(image),
            "face": Text(face),
            "answer": Text(answer, "" if probability else "red"),
            "probability": Text(probability),
            "most probable": FoldedCell(most_probable),
            "why": path_cell(why),
        }
        table.add_row(*(cells[name] for name in columns))
    screen.print(table)
    if more:
        screen.print(f"and {more} more images; --csv FILE writes a row for each", soft_wrap=True)


def _cells(rows: Iterable[ResultRow]) -> Iterator[tuple[str, str, str, str, str, list[str], str]]:
    for number, row in enumerate(rows, 1):
        image = row["source"]
        if row["status"] != "ok":
            yield str(number), image, "", row["status"], "", [], row["reason"] or ""
        for place, face in enumerate(row["faces"], 1):
            answer, probability = one_line(face["answer"]), f"{face['probability']:.3f}"
            why = "; ".join(filter(None, (row["reason"] if place == 1 else None, face["why"])))
            yield str(number), image, str(place), answer, probability, _most_probable(face), why


def _most_probable(face: ResultRow, count: int = 2) -> list[str]:
    """List the most probable of the model's own labels."""
    probabilities = sorted(face.get("expressions", face["probabilities"]).items(), key=lambda item: -item[1])
    return [f"{label} {value:.2f}  " for label, value in probabilities[:count]]


def summary(counts: Mapping[str, int], frames: Mapping[str, int] = MappingProxyType({}), videos: int = 0) -> str:
    """Say how many files were unreadable, and how many images and frames had no face; empty if none.

    Examples:
        >>> summary({"ok": 3, "no_face": 2})
        'no face was found in 2 of 5 images'
    """
    total, bad = sum(counts.values()), counts.get("unreadable", 0)
    found = (
        (counts.get("no_face", 0), total - bad, "images"),
        (frames.get("no_face", 0), sum(frames.values()), "frames"),
    )
    faceless = " and ".join(f"in {count} of {all_} {noun}" for count, all_, noun in found if count)
    if bad:
        also = f", and no face was found {faceless}" if faceless else ""
        return f"{bad} of {total + videos} files could not be read{also}; see their rows"
    return f"no face was found {faceless}" if faceless else ""


def written(target: str, kind: str, found: BatchSummary) -> str:
    """Say what was written to a file.

    Examples:
        >>> from collections import Counter
        >>> written("rows.csv", "csv", BatchSummary(Counter(ok=2, no_face=1), faces=4))
        'wrote rows.csv: 5 rows, one per face: 4 faces in 3 images'
    """
    images, frames = sum(found.counts.values()), sum(found.frames.values())
    bad = found.counts["unreadable"]
    faceless = images + frames - found.counts["ok"] - found.frames["ok"]
    each = (
        "one per face" if kind in {"csv", "parquet"} else "one per image" if not frames else "one per image and frame"
    )
    rows = found.faces + faceless if kind in {"csv", "parquet"} else images + frames
    of = [pluralize(images - bad, "image")] if images > bad or not frames else []
    of += [pluralize(frames, "frame")] if frames else []
    lost = f", {pluralize(bad, 'file')} unreadable" if bad else ""
    contents = f"{pluralize(found.faces, 'face')} in {' and '.join(of)}{lost}"
    return f"wrote {target}: {pluralize(rows, 'row')}, {each}: {contents}"

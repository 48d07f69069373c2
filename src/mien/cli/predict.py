"""`mien predict`: read the expression in pictures."""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from mien.cli.common import console, counting_bar, model_option, one_of, require_parent, to_json, write_result
from mien.cli.text import one_line
from mien.dataset import IMAGE_SUFFIXES
from mien.errors import ConfigError, InputError
from mien.labels import EXPRESSIONS
from mien.reader import Reader, load
from mien.result import Face, ImageResult
from mien.sources import is_junk


@click.command("predict")
@click.argument("inputs", nargs=-1, required=True)
@model_option
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="two classes: the second is answered from this probability on  [the model's own, 0.5]",
)
@click.option("--json", "json_target", metavar="FILE|-", help="write one JSON array of rows")
@click.option("--jsonl", "jsonl_target", metavar="FILE|-", help="write one JSON row per line")
@click.option("--csv", "csv_target", metavar="FILE|-", help="write a CSV")
def command(
    inputs: tuple[str, ...], model: str | None, threshold: float | None, json_target: str | None,
    jsonl_target: str | None, csv_target: str | None,
) -> int:  # fmt: skip
    """Read the expression in INPUTS: picture files, folders of them, or a list.txt with one path per line.

    A file that cannot be read becomes a row that says why; the others are still read, and the exit
    status is 1.
    """
    targets = {"json": json_target, "jsonl": jsonl_target, "csv": csv_target}
    kind = one_of(targets)
    target = targets[kind] or "" if kind else "-"
    require_parent(target)
    reader = load(model, threshold=threshold)
    paths = list(expand(inputs))
    if target != "-" and target in {*inputs, *paths}:
        raise ConfigError(f"--{kind} {target}: is one of the inputs; give another file")
    results: list[ImageResult] = []
    with counting_bar(f"reading {len(paths)} pictures", len(paths)) as advance:
        for result in reader.predict_many(paths):
            results.append(result)
            advance()
    if kind == "json":
        write_result(to_json([result.to_dict() for result in results]), target)
    elif kind == "jsonl":
        lines = (json.dumps(result.to_dict(), ensure_ascii=False) + "\n" for result in results)
        write_result("".join(lines), target)
    elif kind == "csv":
        write_result(to_csv(results, _columns(reader)), target)
    else:
        _print_table(results)
    bad = sum(result.status == "unreadable" for result in results)
    if bad:
        click.echo(f"mien: {bad} of {len(results)} files could not be read; see their rows", err=True)
    return int(bad > 0)


def expand(inputs: Iterable[str]) -> Iterator[str]:
    """Yield the picture paths that INPUTS name; InputError for one that does not exist or holds none."""
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            yield from _folder(path)
        elif path.suffix.lower() == ".txt" and path.is_file():
            yield from _list(path)
        elif path.exists() or path.is_symlink():
            yield name
        else:
            raise InputError(f"{name}: no such file or folder")


def _folder(path: Path) -> Iterator[str]:
    found: list[Path] = []
    for root, folders, files in os.walk(path, onerror=_refuse):
        folders[:] = [name for name in folders if not is_junk(name)]
        names = (name for name in files if Path(name).suffix.lower() in IMAGE_SUFFIXES and not is_junk(name))
        found += [Path(root, name) for name in names]
    if not found:
        raise InputError(f"{path}: has no pictures in it")
    yield from map(str, sorted(found))


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename}: the folder cannot be read ({error.strerror})")


def _list(path: Path) -> Iterator[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path}: is not a readable list of paths, one per line") from None
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise InputError(f"{path}: lists no paths")
    yield from names


def _columns(reader: Reader) -> tuple[str, ...]:
    """Name the probabilities that a CSV holds: of every answer, and of all expressions where a model has them."""
    seven = EXPRESSIONS if set(reader.config.labels) == set(EXPRESSIONS) else ()
    return tuple(dict.fromkeys((*reader.answers, *seven)))


def to_csv(results: Iterable[ImageResult], columns: tuple[str, ...]) -> str:
    """Return one line per face, and one for every picture without; probabilities as columns `p_LABEL`."""
    buffer = io.StringIO()
    names = ["source", "status", "reason", "x", "y", "width", "height", "score", "answer", "probability", "why"]
    writer = csv.DictWriter(buffer, [*names, *(f"p_{label}" for label in columns)], lineterminator="\n")
    writer.writeheader()
    for result in results:
        head: dict[str, Any] = {"source": result.source, "status": result.status, "reason": result.reason}
        for face in result.faces:
            known = {**(face.expressions or {}), **face.probabilities}
            shares = {f"p_{label}": round(known[label], 6) for label in columns}
            answer = {"answer": face.answer, "probability": round(face.probability, 6), "why": face.why}
            writer.writerow(head | face.box.to_dict() | {"score": face.score} | answer | shares)
        if not result.faces:
            writer.writerow(head)
    return buffer.getvalue()


def _print_table(results: list[ImageResult]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    explained = any(result.status != "ok" or any(face.why for face in result.faces) for result in results)
    for name in ("picture", "answer", "probability", "most probable", *(["why"] if explained else [])):
        table.add_column(name, overflow="fold")
    for result in results:
        picture = Text(one_line(result.source))
        if result.status != "ok":
            table.add_row(picture, Text(result.status, "red"), "", "", Text(one_line(result.reason or "")))
        for face in result.faces:
            answer, why = Text(one_line(face.answer)), [Text(one_line(face.why or ""))] if explained else []
            table.add_row(picture, answer, f"{face.probability:.3f}", Text(_most_probable(face)), *why)
    console().print(table)


def _most_probable(face: Face, count: int = 2) -> str:
    """List the most probable of the labels that the model itself tells apart."""
    shares = sorted((face.expressions or face.probabilities).items(), key=lambda item: -item[1])
    return "  ".join(f"{one_line(label)} {value:.2f}" for label, value in shares[:count])

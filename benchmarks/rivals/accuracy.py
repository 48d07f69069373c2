"""Let every reader answer a set of images, and score the answers with `mien.evaluate` and `mien.compare`."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mien
from mien.evaluation.answer_rows import class_names, read_answers
from mien.metrics.estimates import UNDEFINED, proportion
from mien.metrics.significance import holm_correction
from mien.report.report import Evaluation
from rivals.environments import Environment
from rivals.readers import OWN, Reader
from rivals.sets import ImageSet, Question
from rivals.worker import running


def measure(
    images: ImageSet, readers: Sequence[Reader], environments: Mapping[str, Environment], where: Path,
    rename: Mapping[str, str], reuse: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return the accuracy of every reader that reads such images, by each question, JSON-ready.

    Args:
        images: what is read.
        readers: who reads.
        environments: by name.
        where: gets the answers.
        rename: class names of the data that differ from mien's.
        reuse: score complete answers of an earlier run as they are.
    """
    able = [reader for reader in readers if (reader.crops if images.what == "crop" else reader.photos)]
    files = {}
    for reader in able:
        path = files[reader.key] = where / "answers" / f"{images.key}-{reader.key}.jsonl"
        if reuse and path.is_file() and len(path.read_bytes().splitlines()) == len(images.names):
            continue
        print(f"{images.key}: {reader.key} reads {len(images.names)} images", flush=True)
        answer(images, reader, environments[reader.environment], path, where / "adapters.log")
    return {
        "what": images.what,
        "images": len(images.names),
        "questions": [score(question, able, files, rename) for question in images.questions],
    }


def answer(images: ImageSet, reader: Reader, environment: Environment, path: Path, log: Path) -> None:
    """Write the answers of a reader as JSON lines, which `mien evaluate DATA --answers FILE` reads, too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with running(reader, environment, sorted(os.sched_getaffinity(0)), log) as worker:
        write_rows(path, images, worker.answers(images.what, images.files))


def write_rows(path: Path, images: ImageSet, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows, each with the image's name in the data."""
    names = {str(file): name for file, name in zip(images.files, images.names, strict=True)}
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({**row, "file": names[row["file"]]}) + "\n")


def score(
    question: Question, readers: Sequence[Reader], files: Mapping[str, Path], rename: Mapping[str, str]
) -> dict[str, Any]:  # fmt: skip
    """Return the accuracy of each reader and its difference from mien, on the images that both answer."""
    print(f"scores: {question.title}", flush=True)
    found = {}
    for reader in readers:
        rows = read_answers(files[reader.key])
        if any(row.status == "ok" for row in rows.rows):
            theirs = {old: new for old, new in reader.rename.items() if old in class_names(rows)}
            found[reader.key] = mien.evaluate(
                question.data, answers=files[reader.key], classes=question.classes, rename={**theirs, **rename},
                fixes=False, metrics_only=True,
            )  # fmt: skip
    others = [key for key in found if key != OWN]
    pairs = {key: mien.compare(found[OWN], found[key]).differences[0] for key in others}
    p_values = dict(zip(others, holm_correction([pairs[key].p_value for key in others]), strict=True))
    shown = {key: _row(evaluation) for key, evaluation in found.items()}
    for key, pair in pairs.items():
        change = pair.metrics["accuracy"].to_dict()
        shown[key]["difference"] = {**change, "n": pair.n, "p_value": p_values[key]}
    n = shown[OWN]["n"]
    silent = {"n": n, "answered": 0, "accuracy": UNDEFINED.to_dict(), "of_all": proportion(0, n).to_dict()}
    return {"title": question.title, "rows": {reader.key: shown.get(reader.key, silent) for reader in readers}}


def _row(evaluation: Evaluation) -> dict[str, Any]:
    """Return accuracy among the answered images, and among all, where no answer counts as wrong."""
    predictions = evaluation.predictions
    answered = len(predictions.names)
    n = answered + len(predictions.no_face) + len(predictions.no_answer) + len(predictions.skipped)
    return {
        "n": n,
        "answered": answered,
        "accuracy": evaluation.metrics.overall["accuracy"].to_dict(),
        "of_all": proportion(int(predictions.is_right.sum()), n).to_dict(),
    }

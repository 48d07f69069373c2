"""Score answers that anybody gave to labelled images: which file, which class, which probability each row means."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.arrays import Float64
from mien.data.dataset import Manifest
from mien.data.layouts.names import NameIndex, simple_path
from mien.data.layouts.tables import BadRow
from mien.errors import DataError, ImageError
from mien.evaluation.answer_classes import AnswerClasses
from mien.evaluation.answer_rows import AnswerRows, RawRow
from mien.evaluation.scoring import Predictions, SetDigest
from mien.inference.answer_fields import AnswerField, renormalise
from mien.labels import EXPRESSIONS
from mien.metrics.formatting import format_value
from mien.text import pluralize, shorten

#: So many bad rows are named.
NAMED = 5
#: The probabilities of an image may sum to more than 1 by this much.
_TOLERANCE = 0.02


@dataclass(frozen=True)
class GivenAnswers:
    """How the answers of a file fit the images: what was guessed, and what does not count.

    Attributes:
        source: the file, or `answers`.
        rows: number of usable rows.
        bad: rows that cannot be used, and why.
        unit: what their numbers count, `line` or `entry`.
        others: answers to files that are not evaluated.
        repeated: files that have more than one answer; the first counts.
        notes: all of this and what was guessed, as sentences.
    """

    source: str
    rows: int
    bad: tuple[BadRow, ...]
    unit: str
    others: tuple[str, ...]
    repeated: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "source": self.source,
            "rows": self.rows,
            "bad_rows": [{self.unit: one.number, "reason": one.reason} for one in self.bad],
            "of_other_files": list(self.others),
            "answered_twice": list(self.repeated),
        }


def score_answers(
    given: AnswerRows, manifest: Manifest, rename: Mapping[str, str] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[Predictions, GivenAnswers]:  # fmt: skip
    """Score given answers on a dataset, as `mien.evaluation.scoring.score` scores a model.

    If an answer has a class and probabilities, the class counts; if some class is none of the dataset's, the most
    probable of the dataset's classes counts for every image. Probabilities are rescaled among these.

    Args:
        given: the answers.
        manifest: labelled samples of at least two classes.
        rename: maps class names of the answers to those of the dataset.
        on_progress: called with the fraction done, in [0, 1].

    Raises:
        DataError: no answer is to an image of the dataset, or no class is one of the dataset's.
    """
    if len(manifest.classes) < 2:
        raise DataError(f"{manifest.path}: has only the class '{manifest.classes[0]}'; evaluation needs at least two")
    classes = AnswerClasses(given, manifest.classes, rename or {})
    found = _Matched(_Files(manifest), {sample.name for sample in manifest.samples}, given.unit)
    for row in given.rows:
        found.add(row)
    kept = _Kept(classes)
    skipped, no_face, no_answer = [], [], []
    digest = SetDigest()
    for number, sample in enumerate(manifest.samples):
        digest.add(sample.name, sample.label, _bytes(manifest, sample.name))
        own = found.rows.get(sample.name)
        if own is None:
            no_answer.append(sample.name)
        elif own.status == "no_face":
            no_face.append(sample.name)
        elif own.status == "unreadable":
            skipped.append((sample.name, own.reason or own.status))
        elif not kept.add(sample.name, manifest.classes.index(sample.label), own):
            no_answer.append(sample.name)
        if on_progress:
            on_progress((number + 1) / len(manifest.samples))
    bad = sorted((*given.bad, *found.bad, *kept.bad), key=lambda one: one.number)
    if not kept.names:
        raise _nothing_scored(given, manifest, found, bad)
    probabilities, answers, answer_field, note = kept.finish()
    predictions = Predictions(
        manifest.classes, tuple(kept.names), np.array(kept.truth), np.array(answers), probabilities,
        skipped=tuple(skipped), answer_field=answer_field, no_face=tuple(no_face), no_answer=tuple(no_answer),
        sha256=digest.hexdigest(),
    )  # fmt: skip
    notes = [given.guessed, *classes.notes, note, *found.notes(), *_bad_notes(given, bad)]
    said = tuple(f"{given.source}: {text}" for text in notes if text)
    return predictions, GivenAnswers(
        given.source, len(given.rows) - len(found.bad) - len(kept.bad), tuple(bad), given.unit, tuple(found.others),
        tuple(found.repeated), said,
    )  # fmt: skip


def no_answer_in_words(predictions: Predictions) -> str:
    """Say how many images have no answer, and what that is worth at most; empty if all have one."""
    missing = predictions.no_answer
    if not missing:
        return ""
    right, n = int(predictions.is_right.sum()), len(predictions.names)
    total = n + len(missing) + len(predictions.no_face)
    return (
        f"no answer for {len(missing):,} of {total:,} images, like '{missing[0]}'; they do not count. If every image "
        f"without an answer counted as wrong, accuracy would be {format_value(right / total)}"
    )


def _bytes(manifest: Manifest, name: str) -> bytes:
    try:
        return manifest.read(name)
    except ImageError:
        return b""


def _nothing_scored(given: AnswerRows, manifest: Manifest, found: "_Matched", bad: Sequence[BadRow]) -> DataError:
    if bad and not found.others:
        first = f"{given.unit} {bad[0].number}: {bad[0].reason}"
        return DataError(f"{given.source}: none of its {pluralize(len(bad), 'row')} can be used; the first is {first}")
    has = f"it has '{shorten(found.others[0])}', they have " if found.others else "they have "
    return DataError(
        f"{given.source}: answers none of the {len(manifest.samples):,} images ({has}'{manifest.samples[0].name}'); "
        "give paths relative to the data"
    )


def _bad_notes(given: AnswerRows, bad: Sequence[BadRow]) -> list[str]:
    notes = [f"{given.unit} {one.number}: {one.reason}" for one in bad[:NAMED]]
    if bad:
        named = f" (the first {NAMED} are named)" if len(bad) > NAMED else ""
        does = "does" if len(bad) == 1 else "do"
        notes.append(f"{pluralize(len(bad), 'row')} cannot be used and {does} not count{named}")
    return notes


class _Files:
    """Finds the image of a dataset that an answer names, by its path or by the end of it."""

    def __init__(self, manifest: Manifest) -> None:
        listed = [*manifest.source.names, *manifest.pixels, *(sample.name for sample in manifest.samples)]
        self._exact = set(listed)
        # An image that is not evaluated is found too, so that its answer is not taken for that of another one.
        self._index = NameIndex(self._exact, self._exact)
        root = manifest.source.path
        self._root = os.path.abspath(root) + os.sep  # noqa: PTH100  # as written: links are not followed
        self._here = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118

    def find(self, named: str) -> tuple[str | None, int]:
        """Return the name in the dataset, or None, and how many images the end of the path alone would fit.

        The number is 0 for a name that is not guessed.
        """
        if named in self._exact:
            return named, 0
        name = simple_path(named.strip().replace("\\", "/"))
        absolute = os.path.isabs(named)  # noqa: PTH117
        plainly = name == named and not absolute and "/../" not in f"/{name}/" and os.sep == "/"
        inside = self._here + name if plainly else os.path.abspath(named)  # noqa: PTH100  # which takes longer
        within = inside.removeprefix(self._root).replace(os.sep, "/") if inside.startswith(self._root) else name
        for one in (name, within):
            if one in self._exact:
                return one, 0
            if (same := self._index.same(one)) is not None:
                return same, 0
        if within != name or (absolute and Path(named).exists()):
            return None, 0  # another file, though its name may end as one of these
        alike = self._index.alike(name)
        return (alike[0] if len(alike) == 1 else None), len(alike)


@dataclass
class _Matched:
    """The row of each image, and the rows that have none."""

    files: _Files
    wanted: set[str]
    unit: str
    rows: dict[str, RawRow] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    repeated: dict[str, tuple[int, int]] = field(default_factory=dict)
    guessed: int = 0

    def add(self, row: RawRow) -> None:
        try:
            name, alike = self.files.find(row.file)
        except (OSError, ValueError):  # not a possible name
            name, alike = None, 0
        if name is None and alike > 1:
            self.bad.append(
                BadRow(
                    row.number,
                    f"'{shorten(row.file)}' may be {alike} files of the data; give paths relative to the data",
                )
            )
        elif name is None or name not in self.wanted:
            self.others.append(row.file)
        elif name in self.rows:
            self.repeated.setdefault(name, (self.rows[name].number, row.number))
        else:
            self.rows[name] = row
            self.guessed += alike == 1

    def notes(self) -> list[str]:
        notes = []
        if self.guessed:
            notes.append(f"finds {pluralize(self.guessed, 'image')} by the end of the path alone")
        if self.repeated:
            name, (first, second) = next(iter(self.repeated.items()))
            notes.append(
                f"several answers to {pluralize(len(self.repeated), 'image')}, like '{name}' ({self.unit}s {first} and "
                f"{second}): the first counts"
            )
        if self.others:
            are = "is to a file that is" if len(self.others) == 1 else "are to files that are"
            notes.append(
                f"{pluralize(len(self.others), 'answer')} {are} not evaluated, like '{shorten(self.others[0])}'"
            )
        return notes


@dataclass
class _Kept:
    """What is kept of every image that has an answer."""

    classes: AnswerClasses
    names: list[str] = field(default_factory=list)
    truth: list[int] = field(default_factory=list)
    labels: list[int | None] = field(default_factory=list)
    scores: list[list[float]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    def add(self, name: str, truth: int, row: RawRow) -> bool:
        """Keep a row; False, with the reason in `bad`, if it is of no use."""
        try:
            label = self.classes.label(row)
            scores = self.classes.scores(row)
        except ValueError as error:
            self.bad.append(BadRow(row.number, str(error)))
            return False
        self.names.append(name)
        self.truth.append(truth)
        self.labels.append(label)
        self.scores.append(scores)
        return True

    def finish(self) -> tuple[Float64, list[int], AnswerField, str]:
        """Return probabilities (N, K), answers (N,), what was compared, and what was made of the probabilities."""
        names = self.classes.classes
        known = [label for label in self.labels if label is not None]
        if not self.classes.has_scores:
            return np.full((len(self.names), len(names)), math.nan), known, "answer", ""
        given = np.array(self.scores) / (100 if self.classes.percent else 1)
        above = bool((given.sum(axis=1) > 1 + _TOLERANCE).any())
        note = "rescales its probabilities, since the sum of some is above 1" if above else ""
        probabilities = renormalise(given)
        if len(known) == len(self.names):
            return probabilities, known, "answer", note
        chosen: AnswerField = (
            "two_way" if set(names) == {"happy", "sad"}
            else "expressions" if set(names) <= set(EXPRESSIONS)
            else "probabilities"
        )  # fmt: skip
        return probabilities, probabilities.argmax(axis=1).tolist(), chosen, note

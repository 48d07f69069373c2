"""Say which class of a dataset an answer means, and which of its columns are the probabilities of the classes."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mien.data.layouts.found import plain
from mien.errors import DataError
from mien.evaluation.answer_rows import AnswerRows, RawRow
from mien.io.cells import columns_of
from mien.text import join_words, nearest, shorten

#: Before the name of a class in mien's own columns.
_PREFIX = "p_"
#: A probability may be above 1, or 100 for percentages, by this share: it was rounded.
_ROUNDING = 1e-3
#: So many classes or columns are named.
_NAMED = 20
#: So many answers that are none of the classes get a suggestion each.
_ADVISED = 100


class AnswerClasses:
    """The classes and probabilities of answers, in terms of a dataset.

    A name means a class if `rename` says so, if it is that class's, or if it differs from that of one class only in
    capital letters. Columns of several names for one class are added up.

    Args:
        given: the answers.
        classes: the K classes of the dataset.
        rename: maps names of the answers to names of the dataset.

    Attributes:
        classes: the K classes.
        has_scores: whether there is a probability for each class.
        percent: whether these are percentages.
        strange: an answer that is none of the classes; None if there is none.
        notes: what was guessed, as sentences.

    Raises:
        DataError: there are neither classes nor probabilities in the answers.
    """

    def __init__(self, given: AnswerRows, classes: Sequence[str], rename: Mapping[str, str]) -> None:
        self.classes = tuple(classes)
        self._rename = {plain(old): new for old, new in rename.items()}
        folded = Counter(name.casefold() for name in classes)
        self._folded = {name.casefold(): name for name in classes if folded[name.casefold()] == 1}
        self._unknown: dict[str, str] = {}
        self._respelt: dict[str, str] = {}
        self._own = given.own
        self._columns = self._probability_columns(given)
        missing = [name for name, columns in zip(self.classes, self._columns, strict=True) if not columns]
        self.has_scores = not missing
        maxima = [max(values) for row in given.rows if (values := self._numbers(row))] if self.has_scores else []
        self.percent = bool(maxima) and float(np.median(maxima)) > 1
        labelled = any(row.label for row in given.rows)
        if missing and not labelled and any(row.status == "ok" for row in given.rows):
            raise _no_answers(given, missing, self.classes)
        labels = dict.fromkeys(row.label for row in given.rows if row.label)
        self.strange = next((label for label in labels if self._resolve(label) is None), None)
        self.notes = self._notes(missing)

    def label(self, row: RawRow) -> int | None:
        """Return the index of the class that a row answers; None if only its probabilities can say.

        Raises ValueError, with the reason, if the row answers none of the classes and has no probabilities.
        """
        name = None if row.label is None else self._resolve(row.label)
        if name is not None:
            return self.classes.index(name)
        if self.has_scores:
            return None
        if row.label is None:
            raise ValueError("has no answer")
        raise ValueError(self._name_unknown(row.label))

    def scores(self, row: RawRow) -> list[float]:
        """Return the probability of each class, as it was given; empty without them. ValueError says what is wrong."""
        if not self.has_scores:
            return []
        most, found = 100 if self.percent else 1, []
        for name, columns in zip(self.classes, self._columns, strict=True):
            total = 0.0
            for column in columns:
                value = _number(row.scores.get(column))
                if value is None:
                    raise ValueError(f"its probability of {name} is {_shown(row.scores.get(column))}, no number")
                if not 0 <= value <= most * (1 + _ROUNDING):
                    raise ValueError(f"its probability of {name} is {value:g}, not from 0 to {most}")
                total += value
            found.append(total)
        if not any(found) and not any(map(_number, row.scores.values())):
            raise ValueError("its probabilities are all 0")
        return found

    def _name_unknown(self, label: str) -> str:
        """Say that an answer is none of the classes; of many such answers the first ones get advice."""
        if label not in self._unknown:
            shown = shorten(label)
            if len(self._unknown) >= _ADVISED:
                return f"its answer '{shown}' is none of the classes"
            near = nearest(label, self.classes) or self.classes[0]
            self._unknown[label] = (
                f"its answer '{shown}' is none of {_listed(self.classes)}; `rename={ {shown: near} }` would map it"
            )
        return self._unknown[label]

    def _resolve(self, name: str) -> str | None:
        name = plain(name)
        renamed = self._rename.get(name, name)
        if renamed in self.classes:
            return renamed
        respelt = self._folded.get(renamed.casefold())
        if respelt is not None:
            self._respelt[name] = respelt
        return respelt

    def _probability_columns(self, given: AnswerRows) -> list[list[str]]:
        """Return the columns that hold the probability of each class."""
        header = columns_of(row.scores for row in given.rows)
        prefixed = {name: name.removeprefix(_PREFIX) for name in header if name.startswith(_PREFIX)}
        names = prefixed if any(map(self._resolve, prefixed.values())) else dict(zip(header, header, strict=True))
        found: list[list[str]] = [[] for _ in self.classes]
        for column, name in names.items():
            # In a row of mien `neither` stands beside the expressions that it sums up.
            own = self._own and _PREFIX + (meant := self._resolve(name) or "") in names and name != meant
            if (known := self._resolve(name)) is not None and not own:
                found[self.classes.index(known)].append(column)
        return found

    def _numbers(self, row: RawRow) -> list[float]:
        values = (_number(row.scores.get(column)) for columns in self._columns for column in columns)
        return [value for value in values if value is not None]

    def _notes(self, missing: Sequence[str]) -> list[str]:
        notes = []
        if self._respelt:
            said = _listed([f"'{old}' as {new}" for old, new in self._respelt.items()])
            first, to = next(iter(self._respelt.items()))
            notes.append(f"reads {said}; `rename={ {first: to} }` maps names")
        if missing and len(missing) < len(self.classes):
            notes.append(f"has no probability for {_listed(missing)}, so only its answers count")
        if self.strange is not None and self.has_scores:
            notes.append(
                f"some answers are other classes, like '{shorten(self.strange)}': "
                "the most probable of the data's counts"
            )
        if self.percent:
            notes.append("reads its probabilities as percentages, since most are above 1")
        return notes


def _no_answers(given: AnswerRows, missing: Sequence[str], classes: Sequence[str]) -> DataError:
    if len(missing) < len(classes):
        return DataError(
            f"{given.source}: has no probability for {_listed(missing)}; "
            f"`rename={ {'NAME': missing[0]} }` says under which name"
        )
    has = columns_of(row.scores for row in given.rows)
    listed = f" (it has {', '.join(map(shorten, has[:8]))}{', …' if len(has) > 8 else ''})" if has else ""
    return DataError(
        f"{given.source}: has neither answers nor a probability for each of {_listed(classes)}{listed}; "
        f"`columns={ {'label': 'NAME'} }` names the column of answers"
    )


def _listed(names: Sequence[str]) -> str:
    """List names as a sentence does; of many, the first ones."""
    shown = [shorten(name) for name in names[:_NAMED]]
    return join_words(shown if len(names) <= _NAMED else [*shown, f"{len(names) - _NAMED:,} more"])


def _number(value: Any) -> float | None:
    """Return a finite number, perhaps written as text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _shown(value: Any) -> str:
    text = "missing" if value in (None, "") else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"

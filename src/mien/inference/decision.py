"""Decide the answer from calibrated probabilities. The rule stands here alone, for one row and for millions.

A model answers one of its labels. If its bundle has `answer_from`, it answers one of the labels named there, or
`neither`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64, Int64
from mien.errors import ConfigError
from mien.inference.thresholds import Threshold, checked_threshold, quoted_threshold
from mien.labels import NEITHER

#: For a label, how many times as probable as each of some others it must be.
MinimumRatios = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Answer:
    """An answer, the probability of each possible answer, and why the answer is not the most probable label.

    `why` is None if the answer is the most probable label. `neither` has the probability of all labels that the
    rule does not name.
    """

    label: str
    probabilities: Mapping[str, float]
    why: str | None

    @property
    def probability(self) -> float:
        """The probability of the answer, in [0, 1]."""
        return self.probabilities[self.label]


@dataclass(frozen=True)
class _Condition:
    """The probability of a label must be at least `least`, or `least` times that of the label `of`."""

    label: str
    least: float
    of: str | None = None

    def shortfall(self, value: float, other: float | None) -> str:
        """Say that a probability, with that of the label `of`, does not meet the condition."""
        if other is not None:
            return f"{self.label} {value:.2f} is below {self.least:g} times {self.of} {other:.2f}"
        # Rounded up, it might seem to reach the limit that it is below.
        shown = value if round(value, 2) < self.least else math.floor(value * 100) / 100
        return f"{self.label} {shown:.2f} is below {self.least:g}"


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The labels that may be the answer, one element each; `otherwise` is the answer if none meets its conditions.

    `columns` are those of their probabilities, `starts` those of their first conditions, `places` their indices in
    `AnswerRule.answers`.
    """

    columns: Int64
    starts: Int64
    places: Int64
    otherwise: int


@dataclass(frozen=True)
class AnswerRule:
    """How a model answers.

    With `answer_from`, the answer is the most probable of the labels that reach their probability there (the
    first of equals in the rule's order), or `neither` if none does. A label in `answer_over` must also be that
    many times as probable as the others named with it. Without `answer_from`, the second of two labels is the
    answer if its probability is at least `threshold`; of more labels, the most probable is (the first of equals).

    Args:
        labels: the model's K labels, in the order of its logits.
        threshold: in (0, 1); counts for two labels without `answer_from` only.
        answer_from: the least probability, in (0, 1), of each label that may be the answer.
        answer_over: the least ratios to other labels of some of these.

    Examples:
        >>> rule = AnswerRule(("happy", "neutral", "sad"), answer_from={"happy": 0.45, "sad": 0.55})
        >>> rule.answers
        ('happy', 'sad', 'neither')
        >>> [(answer.label, answer.why) for answer in rule.decide([[0.6, 0.3, 0.1], [0.4, 0.1, 0.5]])]
        [('happy', None), ('neither', 'sad 0.50 is below 0.55')]
    """

    labels: Sequence[str]
    threshold: float = 0.5
    answer_from: Mapping[str, float] | None = None
    answer_over: MinimumRatios | None = None

    @cached_property
    def answers(self) -> tuple[str, ...]:
        """Every possible answer: the labels, or those that `answer_from` names and `neither`."""
        return tuple(self.labels) if self.answer_from is None else (*self.answer_from, NEITHER)

    def with_threshold(self, threshold: Threshold) -> "AnswerRule":
        """Return this rule with other thresholds.

        Args:
            threshold: the probability, in (0, 1), from which a label is the answer, by label. It replaces all that
                the rule asks of that label: its least probability and its ratios to others. For two labels a number
                alone is that of the second.

        Raises:
            ConfigError: a number outside (0, 1), a label that the rule does not name, or a model of more than two
                labels without a rule.

        Examples:
            >>> rule = AnswerRule(("happy", "neutral", "sad"), answer_from={"happy": 0.6, "sad": 0.25})
            >>> rule.with_threshold({"sad": 0.5}).answer_from
            {'happy': 0.6, 'sad': 0.5}
        """
        if isinstance(threshold, Mapping):
            return self._with_thresholds(threshold)
        quoted = quoted_threshold(threshold)
        if self.answer_from is not None:
            raise ConfigError(f"{quoted}: name the answer, such as `threshold={ {list(self.answer_from)[-1]: 0.5} }`")
        if len(self.labels) != 2:
            raise ConfigError(f"{quoted}: is for models of two labels, this one has {len(self.labels)}")
        return replace(self, threshold=float(checked_threshold(threshold, quoted)))

    def _with_thresholds(self, by_label: Mapping[str, float]) -> "AnswerRule":
        known = tuple(self.answer_from or (self.labels if len(self.labels) == 2 else ()))
        if not known:
            raise ConfigError(
                f"{quoted_threshold(dict(by_label))}: this model answers the most probable label, without thresholds"
            )
        for label, value in by_label.items():
            if label not in known:
                raise ConfigError(
                    f"{quoted_threshold({label: value})}: this model has thresholds for {' and '.join(known)}"
                )
            checked_threshold(value, quoted_threshold({label: value}))
        if self.answer_from is not None:
            left = {label: ratios for label, ratios in (self.answer_over or {}).items() if label not in by_label}
            limits = {label: float(by_label.get(label, limit)) for label, limit in self.answer_from.items()}
            return replace(self, answer_from=limits, answer_over=left or None)
        if len(by_label) > 1:
            raise ConfigError(
                f"{quoted_threshold(dict(by_label))}: give one of the two, the other answer is all the rest"
            )
        first, second = self.labels
        return replace(self, threshold=float(by_label[second] if second in by_label else 1 - by_label[first]))

    def describe(self) -> str:
        """Say when each answer is given, in one line.

        Examples:
            >>> AnswerRule(("happy", "neutral", "sad"), answer_from={"happy": 0.6, "sad": 0.25}).describe()
            'happy from 0.6, sad from 0.25, else neither'
        """
        if self.answer_from is None:
            if len(self.labels) == 2:
                return f"{self.labels[1]} from {self.threshold:g}, else {self.labels[0]}"
            return "the most probable label"
        parts = []
        for label, limit in self.answer_from.items():
            ratios = (self.answer_over or {}).get(label, {})
            also = "".join(f" and {times:g} times {other}" for other, times in ratios.items())
            parts.append(f"{label} from {limit:g}{also}")
        return ", ".join(parts) + f", else {NEITHER}"

    def to_dict(self) -> dict[str, Any]:
        """Return the thresholds, JSON-serialisable: all that another `threshold` changes."""
        over = None if self.answer_over is None else {label: dict(one) for label, one in self.answer_over.items()}
        return {
            "threshold": self.threshold,
            "answer_from": None if self.answer_from is None else dict(self.answer_from),
            "answer_over": over,
        }

    def choose(self, rows: npt.ArrayLike) -> Int64:
        """Return the answer to each row of probabilities (N, K), int64 (N,): indices into `answers`."""
        values = np.asarray(rows, np.float64)
        return self._choose(values, self._met(values))

    def decide(self, rows: npt.ArrayLike) -> list[Answer]:
        """Return the answer to each row of probabilities (N, K), with its reason."""
        values = np.asarray(rows, np.float64)
        met = self._met(values)
        places = self._choose(values, met).tolist()
        shares = self.probabilities_of(values, self.answers).tolist()
        return [
            Answer(self.answers[place], dict(zip(self.answers, by_answer, strict=True)), self._why(row, place, kept))
            for row, by_answer, place, kept in zip(values.tolist(), shares, places, met.tolist(), strict=True)
        ]

    def probabilities_of(self, rows: npt.ArrayLike, names: Sequence[str]) -> Float64:
        """Return the probabilities of some labels or possible answers, float64 (N, M), from rows (N, K).

        `neither` has what the labels named in `answer_from` leave. Rows of M names need not sum to 1.
        """
        values = np.asarray(rows, np.float64)
        neither = [self.answer_from is not None and name == NEITHER for name in names]
        found: Float64 = values[:, [0 if no else self._column[name] for no, name in zip(neither, names, strict=True)]]
        if any(neither):
            others = [column for label, column in self._column.items() if label not in (self.answer_from or {})]
            rest = [min(math.fsum(row), 1.0) for row in values[:, others].tolist()]
            found[:, neither] = np.reshape(rest, (-1, 1))
        return found

    @cached_property
    def _column(self) -> dict[str, int]:
        return {label: column for column, label in enumerate(self.labels)}

    @cached_property
    def _conditions(self) -> list["_Condition"]:
        """All that a label must meet to be the answer, label by label; the most probable that meets its own is."""
        if self.answer_from is None:
            if len(self.labels) == 2:
                return [_Condition(self.labels[1], self.threshold)]
            return [_Condition(label, 0.0) for label in self.labels]
        ratios = self.answer_over or {}
        return [
            condition
            for label, limit in self.answer_from.items()
            for condition in (
                _Condition(label, limit),
                *(_Condition(label, times, other) for other, times in ratios.get(label, {}).items()),
            )
        ]

    @cached_property
    def _candidates(self) -> _Candidates:
        names = [condition.label for condition in self._conditions]
        labels = list(dict.fromkeys(names))
        return _Candidates(
            columns=np.array([self._column[label] for label in labels]),
            starts=np.array([names.index(label) for label in labels]),
            places=np.array([self.answers.index(label) for label in labels]),
            otherwise=self.answers.index(self.labels[0] if self.answer_from is None else NEITHER),
        )

    def _met(self, values: Float64) -> Bool:
        """Return which conditions C each row of probabilities (N, K) meets: bool (N, C)."""
        column, least, of = self._operands
        probabilities = np.concatenate([values, np.ones((len(values), 1))], axis=1)
        met: Bool = probabilities[:, column] >= least * probabilities[:, of]
        return met

    @cached_property
    def _operands(self) -> tuple[Int64, Float64, Int64]:
        """Per condition: the column of its label, `least`, and the column of `of` (one past the last is 1)."""
        column = [self._column[condition.label] for condition in self._conditions]
        of = [len(self.labels) if one.of is None else self._column[one.of] for one in self._conditions]
        return np.array(column), np.array([condition.least for condition in self._conditions]), np.array(of)

    def _choose(self, values: Float64, met: Bool) -> Int64:
        candidates = self._candidates
        reached = np.logical_and.reduceat(met, candidates.starts, axis=1)
        best = np.where(reached, values[:, candidates.columns], -1.0).argmax(axis=1)
        found: Int64 = np.where(reached.any(axis=1), candidates.places[best], candidates.otherwise)
        return found

    def _why(self, row: Sequence[float], place: int, met: Sequence[bool]) -> str | None:
        """Say why the chosen answer is not the most probable label; None if it is."""
        top, chosen = max(row), self.answers[place]
        if chosen in self._column and row[self._column[chosen]] >= top:
            return None
        if self.answer_from is None:
            return f"threshold {self.threshold:g} for {self.labels[1]}"
        best = self.labels[row.index(top)]
        for condition, kept in zip(self._conditions, met, strict=True):
            if condition.label == best and not kept:
                other = None if condition.of is None else row[self._column[condition.of]]
                return condition.shortfall(top, other)
        if chosen == NEITHER:
            return f"most probable is {best} {top:.2f}"
        return f"{chosen} reaches {self.answer_from[chosen]:g}, though {best} is {top:.2f}"

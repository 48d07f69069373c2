"""Decide the answer from calibrated probabilities. The rule stands here alone, for one row and for millions.

A model answers one of its labels. If its bundle has `answer_from`, it answers one of the labels named there, or
`neither`.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64, Int64
from mien.errors import ConfigError
from mien.labels import EXPRESSIONS, NEITHER

#: For a label, how many times as probable as each of some others it must be.
MinimumRatios = Mapping[str, Mapping[str, float]]

AnswerField = Literal["answer", "two_way", "expressions", "probabilities"]

#: The field of a face that is compared with the label, in words.
ANSWER_FIELDS: dict[AnswerField, str] = {
    "answer": "answer, by the model's own rule",
    "two_way": "two_way, P(happy) / (P(happy) + P(sad)) at 0.5",
    "expressions": "expressions, the most probable of the data's classes",
    "probabilities": "probabilities, the most probable of the data's classes",
}

#: Probabilities are raised to this before they are renormalised, so that no row is divided by zero.
_SMALLEST = 1e-12


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

    Example:
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

    def with_threshold(self, threshold: float) -> "AnswerRule":
        """Return the rule of two labels with another threshold; ConfigError unless it is one, and in (0, 1)."""
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold {threshold}: give a number between 0 and 1")
        if len(self.labels) != 2:
            raise ConfigError(f"threshold {threshold}: is for models of two labels, this one has {len(self.labels)}")
        if self.answer_from is not None:
            raise ConfigError(f"threshold {threshold}: this model has an answer rule of its own")
        return replace(self, threshold=threshold)

    def choose(self, rows: npt.ArrayLike) -> Int64:
        """Return the answer to each row of probabilities (N, K), int64 (N,): indices into `answers`."""
        values = np.asarray(rows, np.float64)
        candidates = list(self._conditions)
        met = np.ones((len(values), len(candidates)), bool)
        for number, conditions in enumerate(self._conditions.values()):
            for condition in conditions:
                met[:, number] &= condition.met(values)
        named = values[:, [self._column[label] for label in candidates]]
        best = np.where(met, named, -1.0).argmax(axis=1)
        places = np.array([self.answers.index(label) for label in candidates])
        found: Int64 = np.where(met.any(axis=1), places[best], self.answers.index(self._otherwise)).astype(np.int64)
        return found

    def decide(self, rows: npt.ArrayLike) -> list[Answer]:
        """Return the answer to each row of probabilities (N, K), with its reason."""
        values = np.asarray(rows, np.float64)
        shares = self.probabilities_of(values, self.answers).tolist()
        return [
            Answer(self.answers[place], dict(zip(self.answers, by_answer, strict=True)), self._why(row, place))
            for row, by_answer, place in zip(values, shares, self.choose(values).tolist(), strict=True)
        ]

    def probabilities_of(self, rows: npt.ArrayLike, names: Sequence[str]) -> Float64:
        """Return the probabilities of some labels or possible answers, float64 (N, M), from rows (N, K).

        `neither` has what the labels named in `answer_from` leave. Rows of M names need not sum to 1.
        """
        values = np.asarray(rows, np.float64)
        ruled = self.answer_from is not None
        columns = [
            self._neither(values) if ruled and name == NEITHER else values[:, self._column[name]] for name in names
        ]
        found: Float64 = np.stack(columns, axis=1)
        return found

    def _neither(self, values: Float64) -> Float64:
        others = [column for label, column in self._column.items() if label not in (self.answer_from or {})]
        return np.array([min(math.fsum(row), 1.0) for row in values[:, others].tolist()])

    @cached_property
    def _column(self) -> dict[str, int]:
        return {label: column for column, label in enumerate(self.labels)}

    @cached_property
    def _conditions(self) -> dict[str, list["_Condition"]]:
        """What a label must meet to be the answer; the most probable that meets all is."""
        if self.answer_from is None:
            if len(self.labels) != 2:
                return {label: [] for label in self.labels}
            return {self.labels[1]: [self._condition(self.labels[1], self.threshold)]}
        ratios = self.answer_over or {}
        return {
            label: [
                self._condition(label, limit),
                *(self._condition(label, times, other) for other, times in ratios.get(label, {}).items()),
            ]
            for label, limit in self.answer_from.items()
        }

    def _condition(self, label: str, least: float, of: str | None = None) -> "_Condition":
        return _Condition(label, self._column[label], least, of, None if of is None else self._column[of])

    @property
    def _otherwise(self) -> str:
        """The answer if no label meets its conditions."""
        return self.labels[0] if self.answer_from is None else NEITHER

    def _why(self, row: Float64, place: int) -> str | None:
        """Say why the chosen answer is not the most probable label; None if it is."""
        chosen, best = self.answers[place], self.labels[int(row.argmax())]
        if chosen in self._column and row[self._column[chosen]] >= row.max():
            return None
        if self.answer_from is None:
            return f"threshold {self.threshold:g} for {self.labels[1]}"
        for condition in self._conditions.get(best, []):
            if not condition.met(row):
                return condition.shortfall(row)
        top = f"{row.max():.2f}"
        if chosen == NEITHER:
            return f"most probable is {best} {top}"
        return f"{chosen} reaches {self.answer_from[chosen]:g}, though {best} is {top}"


@dataclass(frozen=True)
class _Condition:
    """The probability of a label must be at least `least`, or `least` times that of the label `of`."""

    label: str
    column: int
    least: float
    of: str | None
    of_column: int | None

    def met(self, values: Float64) -> Bool:
        """Return whether rows of probabilities (..., K) meet it: bool (...)."""
        least = self.least if self.of_column is None else self.least * values[..., self.of_column]
        found: Bool = values[..., self.column] >= least
        return found

    def shortfall(self, row: Float64) -> str:
        """Say how a row of probabilities (K,) falls short of it."""
        value = float(row[self.column])
        if self.of_column is not None:
            return f"{self.label} {value:.2f} is below {self.least:g} times {self.of} {row[self.of_column]:.2f}"
        # Rounded up, it might seem to reach the limit that it is below.
        shown = value if round(value, 2) < self.least else math.floor(value * 100) / 100
        return f"{self.label} {shown:.2f} is below {self.least:g}"


def two_way(by_label: Mapping[str, float]) -> dict[str, float] | None:
    """Return happy against sad, rescaled to sum to 1; None if the model does not know both.

    Example:
        >>> two_way({"happy": 0.375, "neutral": 0.5, "sad": 0.125})
        {'happy': 0.75, 'sad': 0.25}
    """
    if not {"happy", "sad"} <= by_label.keys():
        return None
    happy, sad = by_label["happy"], by_label["sad"]
    total = happy + sad
    share = happy / total if total > 0 else 0.5
    return {"happy": share, "sad": 1.0 - share}


def renormalise(rows: npt.ArrayLike) -> Float64:
    """Return probabilities of some of a model's classes rescaled among these: float64 (N, M), rows sum to 1.

    Example:
        >>> renormalise([[0.375, 0.125]]).tolist()
        [[0.75, 0.25]]
    """
    shares = np.maximum(np.array(rows), _SMALLEST)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def choose_field(labels: Collection[str], answers: Collection[str], classes: Collection[str]) -> AnswerField | None:
    """Return the field of a face to compare with labels of these classes; None if the model lacks one of them.

    Happy and sad are `two_way` if the model knows more labels than these. Some of the seven expressions are
    `expressions` if the model has all seven. All possible answers (happy, sad and neither, say) are `answer`, and
    some of them are `probabilities`.

    Args:
        labels: the model's labels.
        answers: the model's possible answers.
        classes: the classes of the data.

    Example:
        >>> choose_field(["happy", "sad"], ["happy", "sad"], ["sad", "happy"])
        'answer'
    """
    wanted, known = set(classes), set(labels)
    if wanted == {"happy", "sad"} and wanted < known:
        return "two_way"
    if wanted <= known == set(EXPRESSIONS):
        return "expressions"
    if wanted == set(answers):
        return "answer"
    return "probabilities" if wanted <= set(answers) else None

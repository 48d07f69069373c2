"""Decide what to answer, given calibrated probabilities.

A model answers one of its labels; or, where its bundle has a rule `answer_from`, one of the labels named
there or `neither`. The rule maps a label to the probability in (0, 1) from which on it is answered;
`answer_over` beside it may ask more of a label: to be some times as probable as another one.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64, Int64
from mien.labels import EXPRESSIONS, NEITHER

#: For a label, how many times as probable as each of some others it must be.
Over = Mapping[str, Mapping[str, float]]

AnswerField = Literal["answer", "two_way", "expressions", "probabilities"]

#: Which field of a face was set beside the label, in words.
ANSWER_FIELDS: dict[AnswerField, str] = {
    "answer": "answer, by the model's own rule",
    "two_way": "two_way, P(happy) / (P(happy) + P(sad)) at 0.5",
    "expressions": "expressions, the most probable of the data's classes",
    "probabilities": "probabilities, the most probable of the data's classes",
}


@dataclass(frozen=True)
class Answer:
    """An answer, its probability in [0, 1], and why it is not the most probable label (None where it is).

    The probability of `neither` is that of all labels which the rule does not name.
    """

    label: str
    probability: float
    why: str | None


def possible_answers(labels: Sequence[str], answer_from: Mapping[str, float] | None = None) -> tuple[str, ...]:
    """Return everything a model may answer: its labels, or those its rule names and `neither`."""
    return tuple(labels) if answer_from is None else (*answer_from, NEITHER)


def answer_probabilities(
    by_label: Mapping[str, float], answer_from: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return the probability of every possible answer; `neither` has what the rule's labels leave."""
    if answer_from is None:
        return dict(by_label)
    rest = math.fsum(value for label, value in by_label.items() if label not in answer_from)
    return {label: by_label[label] for label in answer_from} | {NEITHER: min(rest, 1.0)}


def decide(
    row: npt.ArrayLike,
    labels: Sequence[str],
    threshold: float = 0.5,
    answer_from: Mapping[str, float] | None = None,
    answer_over: Over | None = None,
) -> Answer:
    """Choose the answer for one row of probabilities (K,).

    With a rule `answer_from`, the most probable of the labels that reach their probability there is
    answered (the first of equals in the rule's order), or `neither` where none does; a label named in
    `answer_over` must also be at least so many times as probable as the others named with it. Without a
    rule, the second of two labels is answered when its probability is at least `threshold`, and of more
    labels the most probable (the first of equals).
    """
    values = np.asarray(row, dtype=np.float64)
    if answer_from is not None:
        by_label = {label: float(value) for label, value in zip(labels, values, strict=True)}
        return _decide_by_rule(by_label, answer_from, answer_over or {})
    best = int(values.argmax())
    chosen = int(values[1] >= threshold) if len(labels) == 2 else best
    why = None if values[chosen] >= values[best] else f"threshold {threshold:g} for {labels[1]}"
    return Answer(labels[chosen], float(values[chosen]), why)


def _decide_by_rule(by_label: Mapping[str, float], answer_from: Mapping[str, float], answer_over: Over) -> Answer:
    reached = [label for label in answer_from if _unmet(by_label, label, answer_from, answer_over) is None]
    chosen = max(reached, key=by_label.__getitem__, default=NEITHER)
    probability = answer_probabilities(by_label, answer_from)[chosen]
    return Answer(chosen, probability, _why(by_label, chosen, answer_from, answer_over))


def _unmet(
    by_label: Mapping[str, float], label: str, answer_from: Mapping[str, float], answer_over: Over
) -> str | None:
    """Say what keeps the rule from answering `label`; None where nothing does."""
    value, limit = by_label[label], answer_from[label]
    if value < limit:
        # Rounded up, it might seem to reach the limit that it is below.
        shown = value if round(value, 2) < limit else math.floor(value * 100) / 100
        return f"{label} {shown:.2f} is below {limit:g}"
    for other, times in answer_over.get(label, {}).items():
        if value < times * by_label[other]:
            return f"{label} {value:.2f} is below {times:g} times {other} {by_label[other]:.2f}"
    return None


def _why(by_label: Mapping[str, float], chosen: str, answer_from: Mapping[str, float], answer_over: Over) -> str | None:
    best = max(by_label, key=by_label.__getitem__)
    top = by_label[best]
    if by_label.get(chosen, -1.0) >= top:
        return None
    if best in answer_from:
        return _unmet(by_label, best, answer_from, answer_over)
    if chosen == NEITHER:
        return f"most probable is {best} {top:.2f}"
    return f"{chosen} reaches {answer_from[chosen]:g}, though {best} is {top:.2f}"


def answers(
    rows: Float64,
    labels: Sequence[str],
    threshold: float = 0.5,
    answer_from: Mapping[str, float] | None = None,
    answer_over: Over | None = None,
) -> Int64:
    """Return what `decide` answers for every row of probabilities (N, K): indices (N,) into `possible_answers`."""
    if answer_from is not None:
        named = rows[:, [labels.index(label) for label in answer_from]]
        reached = named >= list(answer_from.values())
        for number, label in enumerate(answer_from):
            for other, times in (answer_over or {}).get(label, {}).items():
                reached[:, number] &= named[:, number] >= times * rows[:, labels.index(other)]
        best = np.where(reached.any(axis=1), np.where(reached, named, -1.0).argmax(axis=1), len(answer_from))
    else:
        best = rows[:, 1] >= threshold if len(labels) == 2 else rows.argmax(axis=1)
    found: Int64 = best.astype(np.int64)
    return found


def two_way(by_label: Mapping[str, float]) -> dict[str, float] | None:
    """Return happy against sad, forced to sum to 1; None for a model that does not know both."""
    if not {"happy", "sad"} <= by_label.keys():
        return None
    happy, sad = by_label["happy"], by_label["sad"]
    total = happy + sad
    share = happy / total if total > 0 else 0.5
    return {"happy": share, "sad": 1.0 - share}


def shares_of(rows: Sequence[Sequence[float]]) -> Float64:
    """Return probabilities of some of a model's labels as shares among these, float64 (N, K), rows summing to 1."""
    shares = np.maximum(np.array(rows), 1e-12)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def choose_field(labels: Collection[str], answers: Collection[str], classes: Collection[str]) -> AnswerField | None:
    """Return which field of a face is judged by labels of these classes; None if the model does not know them all.

    Happy and sad are `two_way` for a model that knows more than the two, any of the seven are
    `expressions` for a model of seven, all that a model may answer is its `answer` (happy, sad and
    neither, say), and some of that are `probabilities`.

    Args:
        labels: the model's labels.
        answers: all that the model may answer.
        classes: the classes of the data.
    """
    wanted, known = set(classes), set(labels)
    if wanted == {"happy", "sad"} and wanted < known:
        return "two_way"
    if wanted <= known == set(EXPRESSIONS):
        return "expressions"
    if wanted == set(answers):
        return "answer"
    return "probabilities" if wanted <= set(answers) else None

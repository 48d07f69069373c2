"""Choose the temperature, and the rule by which a model of seven expressions answers happy, sad or neither.

`mien.inference.decision` applies the rule. What to expect of it on other faces: `cross_fitting.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from mien.errors import InputError
from mien.inference.calibration import probabilities
from mien.inference.decision import AnswerRule, MinimumRatios
from mien.labels import EXPRESSIONS
from mien.training.export.temperature import fit_temperature

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Candidate thresholds for each label: 0.15 to 0.95. A label below 0.15 is never answered, whatever its odds.
GRID = tuple(percent / 100 for percent in range(15, 100, 5))

#: Candidates for how many times as probable as neutral sad must be: 1 to 8, and 0 for no such condition.
OVER_NEUTRAL = (0.0, *(quarters / 4 for quarters in range(4, 33)))

#: The answers of a rule, in the order of its `answer_from`, and neither.
HAPPY, SAD, NEITHER = range(3)


@dataclass(frozen=True)
class Aim:
    """What is asked of a rate: `required` at the worst, and `wanted`, which is one margin better."""

    required: float
    wanted: float

    def margin(self, rate: npt.ArrayLike) -> Floats:
        """Return how far the rate is beyond `required`: 0 there, 1 at `wanted`, negative if it falls short."""
        return (np.asarray(rate, np.float64) - self.required) / (self.wanted - self.required)


#: How often people's answer and the rule's go together. One margin is about the standard error of each rate on
#: FER2013's validation fold, so that no rate is bought with the luck of another.
AIMS: Mapping[tuple[str, int], Aim] = {
    ("neutral", SAD): Aim(0.05, 0.04),
    ("sad", SAD): Aim(0.70, 0.73),
    ("happy", HAPPY): Aim(0.94, 0.95),
}


@dataclass(frozen=True)
class Rule:
    """A rule and its metrics on the faces it was chosen on, which flatter it; rates and macro-F1 in [0, 1].

    Attributes:
        answer_from: as in a bundle's config: the calibrated probability that `happy` and `sad` must reach.
        answer_over: as in a bundle's config: how many times as probable as `neutral` sad must be.
        margin: the smallest margin of all aims.
        macro_f1: mean F1 of happy, sad and neither.
    """

    answer_from: Mapping[str, float]
    answer_over: MinimumRatios
    margin: float
    macro_f1: float
    neutral_called_sad: float
    sad_called_sad: float
    happy_called_happy: float


@dataclass(frozen=True)
class Fitted:
    """A temperature, and the rule for the probabilities at that temperature."""

    temperature: float
    rule: Rule

    def answers(self, logits: npt.ArrayLike, labels: Sequence[str] = EXPRESSIONS) -> Ints:
        """Return HAPPY, SAD or NEITHER for each row of logits (N, K), int64 (N,)."""
        rule = AnswerRule(labels, answer_from=self.rule.answer_from, answer_over=self.rule.answer_over)
        return rule.choose(probabilities(logits, self.temperature))


def fit_answers(logits: npt.ArrayLike, majority: npt.ArrayLike) -> Fitted:
    """Fit the temperature, and choose the rule at that temperature.

    Args:
        logits: float (N, 7), of faces that the model was not trained on, in the order of EXPRESSIONS.
        majority: (N,) integers in [0, 7), what most people see in each face.

    Raises:
        InputError: as `choose_rule`.
    """
    temperature = fit_temperature(logits, np.eye(len(EXPRESSIONS))[np.asarray(majority)])
    return Fitted(temperature, choose_rule(probabilities(logits, temperature), majority))


def choose_rule(
    probabilities: npt.ArrayLike,
    majority: npt.ArrayLike,
    labels: Sequence[str] = EXPRESSIONS,
    aims: Mapping[tuple[str, int], Aim] = AIMS,
) -> Rule:
    """Choose how happy and sad are answered, on labelled faces that the model has not seen.

    Sadness is mostly mistaken for a neutral face, so its odds against neutral tell more than its probability alone.
    Among all rules from `GRID` and `OVER_NEUTRAL` this returns the one whose smallest margin is the largest; of equals
    the one with the best macro-F1 over happy, sad and neither, then the one with the lowest thresholds. A rule that
    merely keeps a limit lies at the edge of it, and breaks it on every second other set of faces.

    Args:
        probabilities: float (N, K), calibrated, rows sum to 1.
        majority: (N,) integers in [0, K), what most people see in each face.
        labels: the K labels, including happy, sad and neutral.
        aims: what is asked of the rates; keys as in AIMS.

    Raises:
        InputError: wrong shapes; labels without happy, sad or neutral; or no face of one of these.
    """
    rows, truth = np.asarray(probabilities, np.float64), np.asarray(majority)
    _check(rows, truth, labels)
    faces = {name: truth == labels.index(name) for name in ("happy", "sad", "neutral")}
    faces["rest"] = ~np.logical_or.reduce(list(faces.values()))
    sizes = {name: int(chosen.sum()) for name, chosen in faces.items()}
    counts = _count_answers(rows, labels, faces)
    shares = {(name, answer): counts[name][answer] / sizes[name] for name, answer in AIMS}
    margin = np.min([aim.margin(shares[key]) for key, aim in aims.items()], axis=0)
    score = _macro_f1(counts, sizes)
    equals = np.flatnonzero(margin == margin.max())
    best = int(equals[score.ravel()[equals].argmax()])
    answer_from, answer_over = list(_rules())[best]
    rates = (float(shares[key].ravel()[best]) for key in (("neutral", SAD), ("sad", SAD), ("happy", HAPPY)))
    return Rule(answer_from, answer_over, float(margin.ravel()[best]), float(score.ravel()[best]), *rates)


def _rules() -> Iterator[tuple[dict[str, float], dict[str, dict[str, float]]]]:
    """Yield every candidate rule as `answer_from` and `answer_over`."""
    for (low_sad, over), low_happy in product(_sad_conditions(), GRID):
        yield {"happy": low_happy, "sad": low_sad}, over


def _sad_conditions() -> Iterator[tuple[float, dict[str, dict[str, float]]]]:
    for times, low in product(OVER_NEUTRAL, GRID):
        yield low, ({"sad": {"neutral": times}} if times else {})


def _count_answers(rows: Floats, labels: Sequence[str], faces: Mapping[str, Bools]) -> dict[str, dict[int, Floats]]:
    """Return how many of each kind of faces every candidate rule answers with HAPPY and with SAD: float (S, H) each.

    S counts the conditions for sad and H those for happy. A face that meets both has the more probable answer, happy
    if they are equal; so the counts of all S x H rules follow from two products of matrices.
    """
    happy = np.stack([_met(rows, labels, {"happy": low}, {}) for low in GRID])
    sad = np.stack([_met(rows, labels, {"sad": low}, over) for low, over in _sad_conditions()])
    first = rows[:, labels.index("happy")] >= rows[:, labels.index("sad")]
    found = {}
    for name, chosen in faces.items():
        of_happy, of_sad = happy[:, chosen].astype(np.float32), sad[:, chosen].astype(np.float32)
        lost_by_happy, lost_by_sad = of_sad @ (of_happy * ~first[chosen]).T, of_sad @ (of_happy * first[chosen]).T
        found[name] = {
            HAPPY: of_happy.sum(axis=1, dtype=np.float64) - lost_by_happy,
            SAD: of_sad.sum(axis=1, dtype=np.float64)[:, np.newaxis] - lost_by_sad,
        }
    return found


def _met(rows: Floats, labels: Sequence[str], answer_from: Mapping[str, float], over: MinimumRatios) -> Bools:
    """Return which rows meet the conditions of one answer."""
    met: Bools = AnswerRule(labels, answer_from=answer_from, answer_over=over or None).choose(rows) == 0
    return met


def _macro_f1(counts: Mapping[str, Mapping[int, Floats]], sizes: Mapping[str, int]) -> Floats:
    """Return the mean F1 of happy, sad and neither of each candidate rule, float (S, H)."""
    said = {answer: np.sum([found[answer] for found in counts.values()], axis=0) for answer in (HAPPY, SAD)}
    others = {name: sizes[name] - counts[name][HAPPY] - counts[name][SAD] for name in ("neutral", "rest")}
    answered_neither = sum(sizes.values()) - said[HAPPY] - said[SAD]
    scores = (
        2 * counts["happy"][HAPPY] / (said[HAPPY] + sizes["happy"]),
        2 * counts["sad"][SAD] / (said[SAD] + sizes["sad"]),
        2 * (others["neutral"] + others["rest"]) / (answered_neither + sizes["neutral"] + sizes["rest"]),
    )
    mean: Floats = np.mean(scores, axis=0)
    return mean


def _check(rows: Floats, truth: npt.NDArray[np.generic], labels: Sequence[str]) -> None:
    if rows.ndim != 2 or rows.shape[1] != len(labels):
        raise InputError(f"probabilities: shape is {rows.shape}; give (N, {len(labels)}), one column per label")
    if truth.shape != (len(rows),) or truth.dtype.kind not in "iu":
        raise InputError(f"majority: {truth.dtype} {truth.shape}; give {len(rows)} integers in [0, {len(labels)})")
    for name in ("happy", "sad", "neutral"):
        if name not in labels:
            raise InputError(f"labels {', '.join(labels)!r}: '{name}' is missing; the rule needs it")
        if not (truth == labels.index(name)).any():
            raise InputError(f"majority: no face is {name}; give some of each of happy, sad and neutral")

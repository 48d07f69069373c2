"""Choose the rule by which a model of seven expressions answers happy, sad or neither.

`mien.inference.decision` applies the rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from mien.errors import InputError
from mien.inference.decision import AnswerRule, MinimumRatios
from mien.labels import EXPRESSIONS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Candidate thresholds for each label: 0.15 to 0.95. A label below 0.15 is never answered, whatever its odds.
GRID = tuple(percent / 100 for percent in range(15, 100, 5))

#: Candidates for how many times as probable as neutral sad must be: 1 to 8, and 0 for no such condition.
OVER_NEUTRAL = (0.0, *(quarters / 4 for quarters in range(4, 33)))

HAPPY, SAD, NEITHER = range(3)


@dataclass(frozen=True)
class Rule:
    """A rule and its metrics on the faces it was chosen on; rates and macro-F1 in [0, 1].

    Attributes:
        answer_from: as in a bundle's config: the calibrated probability that `happy` and `sad` must reach.
        answer_over: as in a bundle's config: how many times as probable as `neutral` sad must be.
        macro_f1: mean F1 of happy, sad and neither. On other faces expect a little less.
    """

    answer_from: Mapping[str, float]
    answer_over: MinimumRatios
    macro_f1: float
    neutral_called_sad: float
    sad_called_sad: float
    happy_called_happy: float


def choose_rule(
    probabilities: npt.ArrayLike,
    majority: npt.ArrayLike,
    labels: Sequence[str] = EXPRESSIONS,
    neutral_as_sad: float = 0.048,
    sad_as_sad: float = 0.7,
) -> Rule:
    """Choose how happy and sad are answered, on labelled faces that the model has not seen.

    Sadness is mostly mistaken for a neutral face, so its odds against neutral tell more than its probability alone.
    Among all rules from `GRID` and `OVER_NEUTRAL` that answer sad to at most a fraction `neutral_as_sad` of the
    neutral faces, this returns the one with the best macro-F1 over happy, sad and neither (on a tie, the one with the
    lowest thresholds). Rules that answer sad to at least a fraction `sad_as_sad` of the sad faces take precedence.

    Args:
        probabilities: float (N, K), calibrated, rows sum to 1.
        majority: (N,) integers in [0, K), what most people see in each face.
        labels: the K labels, including happy, sad and neutral.
        neutral_as_sad: in [0, 1]; set it below the limit for other faces.
        sad_as_sad: in [0, 1].

    Raises:
        InputError: wrong shapes; labels without happy, sad or neutral; no face of one of these; or no rule keeps within
            `neutral_as_sad`.
    """
    rows, truth = np.asarray(probabilities, np.float64), np.asarray(majority)
    _check(rows, truth, labels)
    happy, sad, neutral = (truth == labels.index(name) for name in ("happy", "sad", "neutral"))
    three_way = np.select([happy, sad], [HAPPY, SAD], NEITHER)
    best: tuple[bool, Rule] | None = None
    for answer_from, answer_over in _rules():
        answered = AnswerRule(labels, answer_from=answer_from, answer_over=answer_over).choose(rows)
        too_sad = float((answered[neutral] == SAD).mean())
        if too_sad > neutral_as_sad:
            continue
        score, sads = _macro_f1(three_way, answered), float((answered[sad] == SAD).mean())
        if best is None or (sads >= sad_as_sad, score) > (best[0], best[1].macro_f1):
            happies = float((answered[happy] == HAPPY).mean())
            best = sads >= sad_as_sad, Rule(answer_from, answer_over, score, too_sad, sads, happies)
    if best is None:
        raise InputError(
            f"choose_rule: no thresholds keep the neutral faces answered sad within {neutral_as_sad:g}; "
            "allow more, or train a better model"
        )
    return best[1]


def _rules() -> Iterator[tuple[dict[str, float], dict[str, dict[str, float]]]]:
    """Yield every candidate rule as `answer_from` and `answer_over`."""
    for times, low_sad, low_happy in product(OVER_NEUTRAL, GRID, GRID):
        over = {"sad": {"neutral": times}} if times else {}
        yield {"happy": low_happy, "sad": low_sad}, over


def _macro_f1(truth: Ints, answered: Ints) -> float:
    confusion = np.bincount(3 * truth + answered, minlength=9).reshape(3, 3)
    return float((2 * np.diag(confusion) / np.maximum(confusion.sum(0) + confusion.sum(1), 1)).mean())


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

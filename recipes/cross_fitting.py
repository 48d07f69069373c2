"""Say what to expect of a fitted rule on faces that it was not fitted on.

A rule is best on the faces that it was chosen on. So it is chosen on most of them and applied to the rest, fold after
fold, and that again for other folds: every face is answered by rules that never saw it, or a copy of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from choose_rule import AIMS, fit_answers

from mien.labels import EXPRESSIONS
from mien.metrics.bootstrap import resample_groups
from mien.metrics.estimates import Estimate, bounded_estimate
from mien.metrics.intervals import wilson_interval
from mien.training.export.temperature import fit_temperature

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FOLDS = 10
REPEATS = 3
RESAMPLES = 40


def assign_folds(copies: Ints, seed: int, folds: int = FOLDS) -> Ints:
    """Return the fold of each face, (N,) in [0, folds), at random; faces of one group (`copies`) share it."""
    _, group = np.unique(copies, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(int(group.max()) + 1)
    found: Ints = shuffled[group] % folds
    return found


def parts(copies: Ints, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield the rows to fit on and the rows to apply to, for each fold."""
    fold = assign_folds(copies, seed)
    for number in np.unique(fold):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def resamples(copies: Ints) -> Iterator[Ints]:
    """Yield the rows of bootstrap resamples; faces of one group are drawn together."""
    _, group = np.unique(copies, return_inverse=True)
    for counts in resample_groups(int(group.max()) + 1, RESAMPLES):
        yield from (np.repeat(np.arange(len(copies)), times[group].astype(np.int64)) for times in counts)


def cross_fit_temperatures(logits: Floats, truth: Ints, copies: Ints) -> Floats:
    """Return for each face the temperature that fits faces of other folds best, float (N,).

    Args:
        logits: float (N, K).
        truth: (N,) integers in [0, K).
        copies: (N,), equal for copies of one image.
    """
    targets, found = np.eye(logits.shape[1])[truth], np.empty(len(logits))
    for known, others in parts(copies, seed=0):
        found[others] = fit_temperature(logits[known], targets[known])
    return found


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """Answers by temperatures and rules that were fitted on other faces.

    Attributes:
        answers: int64 (R, N), `choose_rule.HAPPY`, `SAD` or `NEITHER`, for each repeat.
        resampled: int64 (B, N), what rules that were chosen on resamples of the faces answer to all of them.
    """

    answers: Ints
    resampled: Ints

    def rate(self, faces: Bools, answer: int) -> Estimate:
        """Return how often the faces (N,) get an answer, to be expected on other faces, with a 95 % interval.

        The interval is Wilson's, at the variance of a count of so many faces plus that of the rule. The first is what
        other faces would change in the count, the second what other faces would change in the rule: how much the rate
        differs between rules that are chosen on bootstrap resamples. (A jackknife over the folds is no measure of it: a
        choice from a grid jumps.)
        """
        n = int(faces.sum())
        value = float((self.answers[:, faces] == answer).mean())
        of_rule = float((self.resampled[:, faces] == answer).mean(axis=1).var(ddof=1))
        # The variance of a count of so many faces: not 0 even if none of them got the answer.
        of_count = (n * value + 1) * (n * (1 - value) + 1) / (n + 2) ** 2 / n
        size = n * of_count / (of_count + of_rule)
        return bounded_estimate(value, wilson_interval(value * size, size))


def cross_fit_answers(logits: Floats, majority: Ints, copies: Ints, repeats: int = REPEATS) -> CrossFitted:
    """Return answers to all faces by temperatures and rules that were fitted on other faces.

    Args:
        logits: float (N, 7), in the order of EXPRESSIONS.
        majority: (N,) integers in [0, 7), what most people see in each face.
        copies: (N,), equal for copies of one image.
        repeats: how often, with other folds each time.
    """
    answers = np.empty((repeats, len(logits)), np.int64)
    for seed in range(repeats):
        for known, others in parts(copies, seed):
            answers[seed, others] = fit_answers(logits[known], majority[known]).answers(logits[others])
    resampled = [fit_answers(logits[rows], majority[rows]).answers(logits) for rows in resamples(copies)]
    return CrossFitted(answers, np.stack(resampled))


def expected_rates(logits: Floats, majority: Ints, copies: Ints) -> Mapping[tuple[str, int], Estimate]:
    """Return the rates that `AIMS` names, to be expected on other faces; arguments as in `cross_fit_answers`."""
    crossed = cross_fit_answers(logits, majority, copies)
    return {(face, answer): crossed.rate(majority == EXPRESSIONS.index(face), answer) for face, answer in AIMS}

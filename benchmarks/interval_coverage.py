"""Simulate the coverage of the 95 % intervals of `mien.metrics.classification`.

    python benchmarks/interval_coverage.py [--repeats 10000] [--groups]

Each repeat draws n samples from a population whose true metrics are known in closed form, evaluates them, and checks
for every interval whether it contains the true value. `p` is the accuracy (errors are spread evenly over the other
classes). Scores are normal, shifted so that the AUC is `p` too. Prevalence: "even" draws every class alike, "skewed"
draws class 0 four times as often as each other class, "fixed" has the same number of samples of each class every time,
as in a balanced test set.

With --groups, samples come in groups of two even classes. A fraction `alike` of the members copies the class and the
correctness of the first member; the others are drawn independently. "alone" ignores the groups, "percentile" is the
percentile interval of a group bootstrap, "by group" is the interval that mien reports for grouped samples.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from mien.metrics.bootstrap import bootstrap_replicates, percentile_interval, resample_groups
from mien.metrics.classification import ClassificationMetrics, classification_metrics
from mien.metrics.estimates import Estimate
from mien.metrics.samples import check_samples

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SHARED = 0.3  # part of the score noise that all classes of a sample share


@dataclass(frozen=True)
class Population:
    """K classes with known metrics; see the module docstring."""

    k: int
    p: float
    prevalence: str  # "even", "skewed" or "fixed"

    @property
    def weights(self) -> Floats:
        weights: Floats = np.ones(self.k)
        if self.prevalence == "skewed":
            weights[0] = 4
        weights /= weights.sum()
        return weights

    def true_metrics(self) -> dict[str, float]:
        wrong = (1 - self.p) / (self.k - 1)
        confusion = self.weights[:, None] * np.where(np.eye(self.k, dtype=bool), self.p, wrong)
        hits, answered = np.diag(confusion), confusion.sum(axis=0)
        f1 = 2 * hits / (self.weights + answered)
        return {
            "accuracy": self.p,
            "recall": self.p,
            "precision": float((hits / answered)[1]),
            "F1": float(f1[1]),
            "AUC": self.p,
            "AP": self._average_precision(float(self.weights[1])),
            "balanced": self.p,
            "macro prec.": float((hits / answered).mean()),
            "macro F1": float(f1.mean()),
            "macro AUC": self.p,
            "macro AP": float(np.mean([self._average_precision(float(weight)) for weight in self.weights])),
        }

    def _average_precision(self, prevalence: float) -> float:
        """Return the mean precision at the scores of positives, which are normal around the shift."""
        shift, normal = np.sqrt(2) * NormalDist().inv_cdf(self.p), NormalDist()
        quantiles = (np.arange(4000) + 0.5) / 4000
        found = np.array([prevalence * (1 - q) for q in quantiles])
        alarms = np.array([(1 - prevalence) * (1 - normal.cdf(normal.inv_cdf(q) + shift)) for q in quantiles])
        return float((found / (found + alarms)).mean())

    def draw(self, n: int, rng: np.random.Generator) -> ClassificationMetrics:
        truth = np.arange(n) % self.k if self.prevalence == "fixed" else rng.choice(self.k, n, p=self.weights)
        off = rng.integers(1, self.k, n)
        answers = np.where(rng.random(n) < self.p, truth, (truth + off) % self.k)
        noise = np.sqrt(1 - SHARED) * rng.standard_normal((n, self.k))
        noise += np.sqrt(SHARED) * rng.standard_normal((n, 1))
        shift = np.sqrt(2) * NormalDist().inv_cdf(self.p)
        scores = noise + shift * (truth[:, None] == np.arange(self.k))
        return classification_metrics(truth, scores, [str(c) for c in range(self.k)], answers)


def metrics(result: ClassificationMetrics) -> dict[str, Estimate]:
    """Return the metrics under the names of `Population.true_metrics`; per-class metrics are those of class 1."""
    one = result.per_class["1"]
    return {
        "accuracy": result.accuracy,
        "recall": one.recall,
        "precision": one.precision,
        "F1": one.f1,
        "AUC": one.roc_auc,
        "AP": one.average_precision,
        "balanced": result.balanced_accuracy,
        "macro prec.": result.macro_precision,
        "macro F1": result.macro_f1,
        "macro AUC": result.roc_auc,
        "macro AP": result.average_precision,
    }


def coverage(population: Population, n: int, repeats: int, seed: int) -> dict[str, float]:
    """Return the fraction of repeats whose interval contains the truth; undefined metrics are left out."""
    rng = np.random.default_rng(seed)
    truth = population.true_metrics()
    held, seen = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for _ in range(repeats):
        for name, estimate in metrics(population.draw(n, rng)).items():
            seen[name] += not np.isnan(estimate.value)
            held[name] += estimate.low <= truth[name] <= estimate.high
    return {name: held[name] / seen[name] for name in truth}


def settings() -> Iterator[tuple[Population, int]]:
    for k, prevalence, n, p in itertools.product((2, 7), ("even", "skewed", "fixed"), (50, 200, 2000), (0.6, 0.95)):
        yield Population(k, p, prevalence), n


#: Group sizes to draw from, and the fraction of a group that copies its first member.
CLUSTERS = {"copies": ((1, 1, 1, 1, 2, 3), 0.95), "fours": ((4,), 0.7), "tens": ((10,), 0.5)}
WAYS = ("alone", "percentile", "by group")


def clustered(kind: str, n: int, p: float, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Return truth, answers and groups, (n,) each; see the module docstring."""
    sizes, alike = CLUSTERS[kind]
    group = np.repeat(np.arange(n), rng.choice(sizes, n))[:n]
    same = rng.random(n) < alike
    truth = np.where(same, rng.integers(0, 2, n)[group], rng.integers(0, 2, n))
    right = np.where(same, (rng.random(n) < p)[group], rng.random(n) < p)
    return truth, np.where(right, truth, 1 - truth), group


def clustered_coverage(kind: str, n: int, p: float, repeats: int, seed: int) -> dict[str, float]:
    """Return the coverage of the intervals of accuracy and of class 1's F1 (truth: p), for each of WAYS."""
    rng = np.random.default_rng(seed)
    held = {f"{estimate}, {way}": 0 for estimate in ("accuracy", "F1") for way in WAYS}
    for repeat in range(repeats):
        truth, answers, group = clustered(kind, n, p, rng)
        found = {
            "alone": limits(classification_metrics(truth, np.zeros((n, 2)), ["0", "1"], answers)),
            "percentile": percentiles(truth, answers, group, repeat),
            "by group": limits(classification_metrics(truth, np.zeros((n, 2)), ["0", "1"], answers, group, repeat)),
        }
        for way, intervals in found.items():
            for estimate, (low, high) in intervals.items():
                held[f"{estimate}, {way}"] += low <= p <= high
    return {name: count / repeats for name, count in held.items()}


def limits(result: ClassificationMetrics) -> dict[str, tuple[float, float]]:
    chosen = {"accuracy": result.accuracy, "F1": result.per_class["1"].f1}
    return {name: (estimate.low, estimate.high) for name, estimate in chosen.items()}


def percentiles(truth: Ints, answers: Ints, group: Ints, seed: int) -> dict[str, tuple[float, float]]:
    """Return the percentile interval of a bootstrap of whole groups."""
    given = check_samples(truth, np.zeros((len(truth), 2)), ["0", "1"], answers, group)
    statistics = {"accuracy": lambda resamples: resamples.accuracy, "F1": lambda resamples: resamples.f1[:, 1]}
    drawn = bootstrap_replicates(given, statistics, resample_groups(given.n_groups, seed=seed))
    return {name: percentile_interval(values, given.n_groups) for name, values in drawn.items()}


def print_clustered(repeats: int, seed: int) -> None:
    names = [f"{estimate}, {way}" for estimate in ("accuracy", "F1") for way in WAYS]
    print(f"Grouped samples: coverage in %, {repeats} repeats; 95.0 is right")
    print(f"{'groups':8} {'n':>5} {'p':>5} " + " ".join(f"{name:>20}" for name in names))
    for kind, n, p in itertools.product(CLUSTERS, (50, 200, 2000), (0.6, 0.95)):
        row = clustered_coverage(kind, n, p, repeats, seed)
        print(f"{kind:8} {n:5} {p:5.2f} " + " ".join(f"{100 * row[name]:20.1f}" for name in names), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", action="store_true", help="grouped instead of independent samples")
    args = parser.parse_args()
    if args.groups:
        print_clustered(args.repeats, args.seed)
        return
    names = list(Population(2, 0.6, "even").true_metrics())
    print(f"Coverage in %, {args.repeats} repeats; 95.0 is right")
    print(f"{'K':>2} {'prevalence':10} {'n':>5} {'p':>5} " + " ".join(f"{name:>11}" for name in names))
    for population, n in settings():
        row = coverage(population, n, args.repeats, args.seed)
        cells = " ".join(f"{100 * row[name]:11.1f}" for name in names)
        print(f"{population.k:2} {population.prevalence:10} {n:5} {population.p:5.2f} {cells}", flush=True)


if __name__ == "__main__":
    main()

"""How often the 95 % intervals of mien.metrics hold the truth, by simulation; prints one table.

    python benchmarks/interval_coverage.py [--repeats 10000]

Each repeat draws n samples from a population whose true figures are known in closed form, evaluates them, and
asks of every interval whether it holds the true figure. `p` is how often the right class is answered (wrong
answers are spread evenly over the other classes); scores are normal, shifted so that the AUC is `p` too.
Prevalence "even" draws every class alike; "skewed" draws class 0 four times as often as each other class;
"fixed" is even with the same number of samples of each class every time, as in a balanced test set.
"""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from mien.metrics import Evaluation, Figure, evaluate

Floats = npt.NDArray[np.float64]
SHARED = 0.3  # part of the score noise that all classes of a sample share


@dataclass(frozen=True)
class Population:
    """K classes with known figures; see the module's docstring."""

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

    def true_figures(self) -> dict[str, float]:
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
            "balanced": self.p,
            "macro prec.": float((hits / answered).mean()),
            "macro F1": float(f1.mean()),
            "macro AUC": self.p,
        }

    def draw(self, n: int, rng: np.random.Generator) -> Evaluation:
        truth = np.arange(n) % self.k if self.prevalence == "fixed" else rng.choice(self.k, n, p=self.weights)
        off = rng.integers(1, self.k, n)
        answers = np.where(rng.random(n) < self.p, truth, (truth + off) % self.k)
        noise = np.sqrt(1 - SHARED) * rng.standard_normal((n, self.k))
        noise += np.sqrt(SHARED) * rng.standard_normal((n, 1))
        shift = np.sqrt(2) * NormalDist().inv_cdf(self.p)
        scores = noise + shift * (truth[:, None] == np.arange(self.k))
        return evaluate(truth, scores, [str(c) for c in range(self.k)], answers)


def figures(result: Evaluation) -> dict[str, Figure]:
    """The figures under the names of `Population.true_figures`; those of one class are class 1's."""
    one = result.per_class["1"]
    return {
        "accuracy": result.accuracy,
        "recall": one.recall,
        "precision": one.precision,
        "F1": one.f1,
        "AUC": one.roc_auc,
        "balanced": result.balanced_accuracy,
        "macro prec.": result.macro_precision,
        "macro F1": result.macro_f1,
        "macro AUC": result.roc_auc,
    }


def coverage(population: Population, n: int, repeats: int, seed: int) -> dict[str, float]:
    """Fraction of repeats whose interval holds the truth; undefined figures are left out."""
    rng = np.random.default_rng(seed)
    truth = population.true_figures()
    held, seen = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for _ in range(repeats):
        for name, figure in figures(population.draw(n, rng)).items():
            seen[name] += not np.isnan(figure.value)
            held[name] += figure.low <= truth[name] <= figure.high
    return {name: held[name] / seen[name] for name in truth}


def settings() -> Iterator[tuple[Population, int]]:
    for k, prevalence, n, p in itertools.product((2, 7), ("even", "skewed", "fixed"), (50, 200, 2000), (0.6, 0.95)):
        yield Population(k, p, prevalence), n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    names = list(Population(2, 0.6, "even").true_figures())
    print(f"Coverage in %, {args.repeats} repeats; 95.0 is right")
    print(f"{'K':>2} {'prevalence':10} {'n':>5} {'p':>5} " + " ".join(f"{name:>11}" for name in names))
    for population, n in settings():
        row = coverage(population, n, args.repeats, args.seed)
        cells = " ".join(f"{100 * row[name]:11.1f}" for name in names)
        print(f"{population.k:2} {population.prevalence:10} {n:5} {population.p:5.2f} {cells}", flush=True)


if __name__ == "__main__":
    main()

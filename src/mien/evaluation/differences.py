"""Measure how two models differ on the same images: in every compared metric, and whether in accuracy significantly."""

from dataclasses import dataclass
from typing import Any

from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_p_value
from mien.metrics.samples import Samples
from mien.metrics.significance import SIGNIFICANCE_LEVEL, PairedTest, metric_differences, paired_accuracy_test
from mien.metrics.wording import accuracy_difference_in_words, begin_sentence, excludes_zero


@dataclass(frozen=True)
class Difference:
    """The difference of two reports on the same images, second minus first.

    Attributes:
        first: name of the first report.
        second: name of the second report.
        n: number of images.
        metrics: the difference of each compared metric with its 95 % interval, by key.
        test: the test of equal accuracy, by group if groups are known.
        mcnemar: the same for independent images.
        both: number of images that both get right.
        p_value: that of `test`, corrected for the number of comparisons (Holm).
        only_by_seed: whether both are runs whose settings differ only by their seed.
    """

    first: str
    second: str
    n: int
    metrics: dict[str, Estimate]
    test: PairedTest
    mcnemar: PairedTest
    both: int
    p_value: float
    only_by_seed: bool = False

    @property
    def significant(self) -> bool:
        """Whether the difference in accuracy is significant (corrected p < 0.05)."""
        return self.p_value < SIGNIFICANCE_LEVEL

    def sentence(self) -> str:
        """Say in one sentence whether the difference in accuracy is significant."""
        if self.test.only_first + self.test.only_second == 0:
            first = begin_sentence(self.first)
            return f"{first} and {self.second} are right on the same {self.both:,} of the {self.n:,} images."
        change = self.metrics["accuracy"]
        remarks = []
        if excludes_zero(change) and not self.significant:
            remarks.append("a close call, since the interval excludes 0 and the test does not")
        if self.only_by_seed and self.significant:
            remarks.append("they differ only by their seed, so another seed may reverse it")
        elif self.only_by_seed:
            remarks.append("as expected of runs that differ only by their seed")
        evidence = f"on {self.n:,} images ({self.test.method}, {format_p_value(self.p_value, named=True)})"
        said = accuracy_difference_in_words(
            self.first, self.second, change, self.significant, evidence, "; ".join(remarks)
        )
        return f"{said}."

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "first": self.first,
            "second": self.second,
            "images": self.n,
            "differences": {key: estimate.to_dict() for key, estimate in self.metrics.items()},
            "test": self.test.to_dict(),
            "mcnemar": self.mcnemar.to_dict(),
            "p_value": self.p_value,
            "significant": self.significant,
            "only_by_seed": self.only_by_seed,
            "sentence": self.sentence(),
        }


def measure_difference(
    names: tuple[str, str], samples: tuple[Samples, Samples], seed: int = 0, only_by_seed: bool = False
) -> Difference:
    """Compare two models on the same samples.

    Args:
        names: of the first and the second model.
        samples: the answers of the first and the second, with the same truth, groups and classes.
        seed: seed of the bootstrap and of the permutation test.
        only_by_seed: whether both are runs whose settings differ only by their seed.

    Raises:
        InputError: if truths, groups or classes differ.
    """
    one, two = samples
    differences = metric_differences(one, two, seed=seed)
    hits, other_hits = (one.truth == one.answers), (two.truth == two.answers)
    test = paired_accuracy_test(hits, other_hits, one.group if one.has_groups else None, seed)
    return Difference(
        *names,
        n=one.n,
        metrics=differences,
        test=test,
        mcnemar=paired_accuracy_test(hits, other_hits),
        both=int((hits & other_hits).sum()),
        p_value=test.p_value,
        only_by_seed=only_by_seed,
    )

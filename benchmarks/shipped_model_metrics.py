"""Compute every metric of one model on the validation fold."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mien.errors import BundleError
from mien.faces.crop import crop
from mien.inference.calibration import probabilities
from mien.inference.reader import Reader
from mien.labels import EXPRESSIONS
from mien.metrics.calibration import risk_coverage
from mien.metrics.classification import classification_metrics
from mien.metrics.estimates import proportion
from mien.metrics.formatting import format_p_value
from mien.metrics.significance import accuracy_difference, paired_accuracy_test
from shipped_model_answers import risks, three_ways
from shipped_model_calibration import calibration
from shipped_model_crying import crying
from shipped_model_data import HAPPY, SAD, UNDECIDED, Fold
from shipped_model_likelihood import likelihoods, likelihoods_changed
from shipped_model_perturbations import CHANGES, Change, apply
from shipped_model_rows import Floats, Limits, Measured, Question, Row

Ints = npt.NDArray[np.int64]

FER2013, FERPLUS, PUBLISHED = "FER2013 labels", "FER+ majority", "FER+ majority as published"
ACCURACY: Mapping[str, Limits | None] = {
    f"happy vs sad, {FER2013}": Limits(0.955, 0.966),
    f"happy vs sad, {FERPLUS}": Limits(0.992, 0.995),
    f"seven, {FER2013}": None,  # targets that follow the crowd lower it
    f"seven, {FERPLUS}": Limits(0.888, 0.91),
    f"seven, {PUBLISHED}": Limits(0.86, 0.875),
}
LIKELIHOOD = {
    f"happy vs sad, {FER2013}": Limits(0.108, 0.10, most=True),
    f"seven, {FER2013}": Limits(0.84, 0.80, most=True),
    f"seven, {FERPLUS}": Limits(0.34, 0.30, most=True),
}
MAY_LOSE = Limits(-0.015)
MEAN_OF_ROWS, WORST_ROW = "mean of these rows", "worst of these rows"
LOST = "Robustness: change of happy vs sad, FER2013 labels, points"
MAY_LOSE_AS_INT8 = Limits(-0.01)


def measure(name: str, reader: Reader, size: int, fold: Fold) -> Measured:
    """Measure one model; raise BundleError without the seven expressions."""
    found = Measured(name, reader, size)
    logits, asked = logits_of(reader, fold.images), questions(fold)
    accuracies(found, fold, asked, logits)
    three_ways(found, fold, logits)
    seven, two = asked[f"seven, {FERPLUS}"], asked[f"happy vs sad, {FERPLUS}"]
    calibration(found, seven, two, logits, fold.copies)
    two = asked[f"happy vs sad, {FER2013}"]
    changed = {item: changed_logits(reader, item, fold.images[two.faces]) for item in CHANGES}
    robustness(found, two.scores(logits), changed, two.truth)
    rows = {name: (one.scores(logits), one.truth) for name, one in asked.items() if PUBLISHED not in name}
    likelihoods(found, rows, LIKELIHOOD)  # contempt has no likelihood
    likelihoods_changed(found, {item.name: draws for item, draws in changed.items()}, two.truth)
    classes(found, fold, logits)
    risks(found)
    crying(found, fold, logits)
    return found


def logits_of(reader: Reader, images: npt.NDArray[np.uint8]) -> Floats:
    """Return logits (N, 7) in the order of EXPRESSIONS for images (N, H, W), 0-255 grey."""
    config = reader.config
    if set(config.labels) != set(EXPRESSIONS):
        raise BundleError(f"{config.name}: knows {', '.join(config.labels)}; give a model of {', '.join(EXPRESSIONS)}")
    rgb = np.repeat(images[..., None], 3, axis=-1)
    crops = np.stack([crop(image, config.input_size, config.input_channels) for image in rgb])
    return reader.logits(crops)[:, [config.labels.index(name) for name in EXPRESSIONS]].astype(np.float64)


def questions(fold: Fold) -> dict[str, Question]:
    """Return the accuracy questions, by their names in ACCURACY."""
    found = {}
    for labels, truth in ((FER2013, fold.labels), (FERPLUS, fold.majority)):
        known, either = truth != UNDECIDED, np.isin(truth, (HAPPY, SAD))
        found[f"happy vs sad, {labels}"] = Question(either, [HAPPY, SAD], (truth[either] == SAD).astype(np.int64))
        found[f"seven, {labels}"] = Question(known, list(range(len(EXPRESSIONS))), truth[known])
    known = fold.published != UNDECIDED
    found[f"seven, {PUBLISHED}"] = Question(known, list(range(len(EXPRESSIONS))), fold.published[known])
    return found


def accuracies(found: Measured, fold: Fold, asked: Mapping[str, Question], logits: Floats) -> None:
    """Add the accuracies, and the risk-coverage curves."""
    for name, question in asked.items():
        scores = question.scores(logits)
        hits = found.hits[name] = scores.argmax(axis=1) == question.truth
        confidence = probabilities(scores, found.reader.config.temperature).max(axis=1)
        found.curves[name] = risk_coverage(confidence, hits)
    for name, limits in ACCURACY.items():
        hits = found.hits[name]
        found.rows.append(Row("Accuracy", name, len(hits), proportion(int(hits.sum()), len(hits)), limits))
    for name in ACCURACY:
        hits = found.hits[name][fold.alone[asked[name].faces]]
        section = "Accuracy on images without a near copy in train"
        found.rows.append(Row(section, name, len(hits), proportion(int(hits.sum()), len(hits))))


def differences(found: Measured, first: Measured) -> None:
    """Add the changes against the first model, face by face: int8 against fp32, or new weights against those before."""
    for name, before in first.hits.items():
        after = found.hits[name]
        estimate = accuracy_difference(before, after)
        note = ""
        if before.dtype == bool:  # not a mean over draws
            p_value = paired_accuracy_test(before.astype(bool), after.astype(bool)).p_value
            note = f"({format_p_value(p_value, named=True)})"
        section = "Against the first model, points"
        found.rows.append(Row(section, name, len(after), estimate, MAY_LOSE_AS_INT8, is_change=True, note=note))


# Robustness, happy against sad by FER2013 labels


def robustness(found: Measured, plain: Floats, changed: Mapping[Change, Sequence[Floats]], truth: Ints) -> None:
    """Add the accuracy and loss under every perturbation; return the logits (N, 2) of every draw."""
    before = (plain.argmax(axis=1) == truth).astype(float)
    rows = [(item, hit_shares(draws, truth)) for item, draws in changed.items()]
    left = "Robustness: happy vs sad, FER2013 labels"
    for item, hits in rows:
        limits = MAY_LOSE if item.wanted else None
        found.rows.append(Row(LOST, item.name, len(hits), accuracy_difference(before, hits), limits, is_change=True))
    average: Floats = np.mean([hits for _, hits in rows], axis=0)
    worst = min((hits for _, hits in rows), key=lambda hits: float(hits.mean()))
    for name, hits in ((MEAN_OF_ROWS, average), (WORST_ROW, worst)):
        found.rows.append(Row(LOST, name, len(hits), accuracy_difference(before, hits), is_change=True))
        found.hits[f"robustness, {name}"] = hits
    for item, hits in rows:
        found.rows.append(Row(left, item.name, len(hits), proportion(float(hits.sum()), len(hits))))


def changed_logits(reader: Reader, item: Change, images: npt.NDArray[np.uint8]) -> list[Floats]:
    """Return logits (N, 2) of happy and sad for the perturbed images, for each draw."""
    draws = (apply(draw, images, seed) for seed, draw in enumerate(item.draws))
    return [logits_of(reader, altered)[:, [HAPPY, SAD]] for altered in draws]


def hit_shares(draws: Sequence[Floats], truth: Ints) -> Floats:
    """Return how often each perturbed image is answered rightly, (N,), averaged over draws."""
    shares: Floats = np.mean([two.argmax(axis=1) == truth for two in draws], axis=0, dtype=np.float64)
    return shares


# Classes


def classes(found: Measured, fold: Fold, logits: Floats) -> None:
    """Add precision, recall and F1 of every class, against both kinds of labels."""
    for labels, truth in ((FER2013, fold.labels), (FERPLUS, fold.majority)):
        known = truth != UNDECIDED
        result = classification_metrics(truth[known], probabilities(logits[known]), EXPRESSIONS)
        section = f"Seven classes, {labels}"
        for name, metrics in result.per_class.items():
            for what in ("precision", "recall", "f1"):
                shown = "F1" if what == "f1" else what
                found.rows.append(Row(section, f"{name}: {shown}", metrics.support, getattr(metrics, what)))
        found.rows.append(Row(section, "mean recall (balanced accuracy)", result.n, result.balanced_accuracy))
        found.rows.append(Row(section, "macro-F1", result.n, result.macro_f1))
        found.confusion = result.confusion  # of the last, the FER+ majority

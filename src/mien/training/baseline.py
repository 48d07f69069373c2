"""A linear baseline on pixels: the accuracy that a network must beat."""

import numpy as np

from mien.metrics.classification import ClassificationMetrics, classification_metrics
from mien.training.loop.batches import TrainingArrays


def pixel_baseline(train: TrainingArrays, test: TrainingArrays, classes: tuple[str, ...]) -> ClassificationMetrics:
    """Return the metrics of a logistic regression on pixels.

    Args:
        train: samples to fit on.
        test: samples to evaluate on.
        classes: class names, in the order of the targets.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.01, max_iter=2000).fit(_pixels(train), train.truth)
    probabilities = np.zeros((len(test.rows), len(classes)))
    probabilities[:, model.classes_] = model.predict_proba(_pixels(test))
    return classification_metrics(test.truth, probabilities, classes)


def _pixels(split: TrainingArrays) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    flat = split.crops[split.rows].reshape(len(split.rows), -1).astype(np.float32) / 255.0
    return np.asarray(flat, dtype=np.float32)

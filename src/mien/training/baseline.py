"""What a linear model makes of the same pixels: the figure that a network has to beat to be worth its weights."""

import numpy as np

from mien.metrics.classification import ClassificationMetrics, classification_metrics
from mien.training.loop.batches import TrainingArrays


def pixel_baseline(train: TrainingArrays, judged: TrainingArrays, classes: tuple[str, ...]) -> ClassificationMetrics:
    """Fit scikit-learn's LogisticRegression on the pixels of `train` and evaluate it on `judged`."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.01, max_iter=2000).fit(_pixels(train), train.truth)
    probabilities = np.zeros((len(judged.rows), len(classes)))
    probabilities[:, model.classes_] = model.predict_proba(_pixels(judged))
    return classification_metrics(judged.truth, probabilities, classes)


def _pixels(part: TrainingArrays) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    flat = part.crops[part.rows].reshape(len(part.rows), -1).astype(np.float32) / 255.0
    return np.asarray(flat, dtype=np.float32)

"""Compare the model before and after the decisions, on the images that no decision has changed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.evaluation.comparison import compare_predictions
from mien.evaluation.predictions import SavedPredictions
from mien.text import pluralize

#: Names of the two models in the sentence and the table.
BEFORE, AFTER = "the model without the decisions", "the model with them"
#: With fewer images no comparison is made.
_FEWEST = 10


def measure_outcome(before: SavedPredictions, after: SavedPredictions) -> dict[str, Any]:
    """Compare the out-of-fold predictions of two trainings, image by image.

    Only images that both have under the same label count: a changed label would favour the model that knows of it.

    Args:
        before: of the training that ignores the decisions.
        after: of the training that uses them.

    Returns:
        `sentence`, `columns`, `rows` and `notes`, JSON-serialisable; without rows if too few images are in both.
    """
    truth = {name: before.classes[label] for name, label in zip(before.names, before.truth, strict=True)}
    same = [
        name for name, label in zip(after.names, after.truth, strict=True) if truth.get(name) == after.classes[label]
    ]
    changed = len(set(before.names) | set(after.names)) - len(same)
    notes = [
        f"Each picture was answered by a model that was not trained on it. {pluralize(changed, 'picture')} that the "
        "decisions changed, or that one of the two trainings left out, do not count.",
        "Of the rest some labels may still be wrong. Trust a test on other pictures more.",
    ]
    if len(same) < _FEWEST or set(before.classes) != set(after.classes):
        return {
            "sentence": f"Only {pluralize(len(same), 'picture')} can be compared: too few to tell.",
            "columns": [], "rows": [], "notes": notes,
        }  # fmt: skip
    found = compare_predictions([_only(before, same, BEFORE), _only(after, same, AFTER)])
    return {
        "sentence": found.conclusion(),
        "columns": ["metric", "without the decisions", "with the decisions"],
        "rows": [list(row) for row in found.rows()],
        "notes": [*notes, *found.notes],
    }


def _only(given: SavedPredictions, names: list[str], title: str) -> SavedPredictions:
    """Return the predictions of these images, under another title."""
    row_of = {name: row for row, name in enumerate(given.names)}
    rows = np.array([row_of[name] for name in names])
    return replace(
        given,
        path=Path(title),
        names=tuple(names),
        truth=given.truth[rows],
        answers=given.answers[rows],
        probabilities=given.probabilities[rows],
        groups=None if given.groups is None else tuple(given.groups[row] for row in rows),
        data_sha256=None,  # the same images; the decisions alone differ
    )

"""Choose what of a face is compared with a label: the answer, happy against sad, or probabilities of some classes."""

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64
from mien.labels import EXPRESSIONS

AnswerField = Literal["answer", "two_way", "expressions", "probabilities"]

#: The field of a face that is compared with the label, in words.
ANSWER_FIELDS: dict[AnswerField, str] = {
    "answer": "the answer of the model, by its own rule",
    "two_way": "whether happy or sad is more probable, since the data has only these two",
    "expressions": "the most probable of the expressions that the data has",
    "probabilities": "the most probable of the classes that the data has",
}

#: Probabilities are raised to this before they are renormalised, so that no row is divided by zero.
_SMALLEST = 1e-12


def choose_field(labels: Collection[str], answers: Collection[str], classes: Collection[str]) -> AnswerField | None:
    """Return the field of a face to compare with labels of these classes; None if the model lacks one of them.

    Happy and sad are `two_way` if the model knows more labels than these. Some of the seven expressions are
    `expressions` if the model has all seven. All possible answers (happy, sad and neither, say) are `answer`, and
    some of them are `probabilities`.

    Args:
        labels: the model's labels.
        answers: the model's possible answers.
        classes: the classes of the data.

    Examples:
        >>> choose_field(["happy", "sad"], ["happy", "sad"], ["sad", "happy"])
        'answer'
    """
    wanted, known = set(classes), set(labels)
    if wanted == {"happy", "sad"} and wanted < known:
        return "two_way"
    if wanted <= known == set(EXPRESSIONS):
        return "expressions"
    if wanted == set(answers):
        return "answer"
    return "probabilities" if wanted <= set(answers) else None


def two_way(by_label: Mapping[str, float]) -> dict[str, float] | None:
    """Return happy against sad, rescaled to sum to 1; None if the model does not know both.

    Examples:
        >>> two_way({"happy": 0.375, "neutral": 0.5, "sad": 0.125})
        {'happy': 0.75, 'sad': 0.25}
    """
    if not {"happy", "sad"} <= by_label.keys():
        return None
    happy, sad = by_label["happy"], by_label["sad"]
    total = happy + sad
    share = happy / total if total > 0 else 0.5
    return {"happy": share, "sad": 1.0 - share}


def renormalise(rows: npt.ArrayLike) -> Float64:
    """Return probabilities of some of a model's classes rescaled among these: float64 (N, M), rows sum to 1.

    Examples:
        >>> renormalise([[0.375, 0.125]]).tolist()
        [[0.75, 0.25]]
    """
    shares = np.maximum(np.array(rows), _SMALLEST)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))

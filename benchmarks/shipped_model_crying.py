"""Count the sad and distressed faces taken for happy ones: most of them cry or wince with an open mouth."""

from mien.labels import EXPRESSIONS
from mien.metrics.estimates import proportion
from shipped_model_data import HAPPY, SAD, VOTED, Fold
from shipped_model_rows import Floats, Measured, Row

SECTION = "Crying: faces called happy that people do not see as happy"
#: What people see in a face that cries or winces, and how many of ten must see one of these.
DISTRESS, LEAST = ("sadness", "fear", "anger"), 5
#: How many of ten may see happiness.
MOST = 2


def crying(found: Measured, fold: Fold, logits: Floats) -> None:
    """Add how many sad and distressed faces are called happy; logits (N, 7) in the order of EXPRESSIONS.

    Two-way compares happy with sad. By arg-max happy is the most probable of seven.
    """
    two_way, seven = logits[:, HAPPY] > logits[:, SAD], logits.argmax(axis=1) == EXPRESSIONS.index("happy")
    distress = fold.votes[:, [VOTED.index(name) for name in DISTRESS]].sum(axis=1) >= LEAST
    asked = {
        "sad by 6 of 10, two-way": (fold.majority == SAD, two_way),
        "sad by 6 of 10, arg-max": (fold.majority == SAD, seven),
        "sad as published, two-way": (fold.published == SAD, two_way),
        "sad as published, arg-max": (fold.published == SAD, seven),
        f"sad, afraid or angry by {LEAST} of 10, happy by at most {MOST}, arg-max": (
            distress & (fold.votes[:, VOTED.index("happiness")] <= MOST),
            seven,
        ),
    }
    for name, (faces, called) in asked.items():
        hits = called[faces]
        found.rows.append(Row(SECTION, name, len(hits), proportion(int(hits.sum()), len(hits))))

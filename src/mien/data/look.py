"""What the detector and the model saw in one image of a dataset, kept by the audit so that nobody has to look again."""

from dataclasses import dataclass

from mien.results import Box


@dataclass(frozen=True)
class Look:
    """What was seen in an image.

    Attributes:
        faces: the boxes of the faces that were found, in pixels of the upright image; the first is the one that
            training uses: the one that a person chose, or the largest.
        labels: the probability of each of the model's labels; empty if the model was not asked.
        classes: the probability of each class of the data; empty if the model does not know them all.
    """

    faces: tuple[Box, ...] = ()
    labels: tuple[float, ...] = ()
    classes: tuple[float, ...] = ()

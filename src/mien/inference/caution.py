"""Say what makes an answer less sure than its probability: few pixels, or a photograph that is read whole.

Every door shows these words in `why`, after the reason of the answer rule.
"""

from mien.results import Box

#: A face is small if its shorter side has fewer pixels than this.
MIN_FACE = 32

#: An image is a photograph, not a crop of a face, if its shorter side has so many pixels and is so many
#: times as long as the network's input.
_PHOTOGRAPH, _TIMES = 400, 3


def is_photograph(width: int, height: int, input_size: int) -> bool:
    """Return whether an image is too large to be a crop of a face for a network with this input size.

    Examples:
        >>> is_photograph(1024, 768, input_size=48), is_photograph(96, 96, input_size=48)
        (True, False)
    """
    return min(width, height) >= max(_PHOTOGRAPH, _TIMES * input_size)


def small_face(box: Box) -> str | None:
    """Return the words for a face of few pixels; None for a larger one.

    Examples:
        >>> small_face(Box(0, 0, 20, 26))
        'the face has only 20x26 pixels'
    """
    return f"the face has only {box.width}x{box.height} pixels" if min(box.width, box.height) < MIN_FACE else None


def whole_photograph(width: int, height: int, input_size: int) -> str | None:
    """Return the words for a photograph whose faces nobody looked for; None for a smaller image.

    Examples:
        >>> whole_photograph(1024, 768, input_size=48)
        'read whole, though it is as large as a photograph'
    """
    return "read whole, though it is as large as a photograph" if is_photograph(width, height, input_size) else None


def overlooked_faces(photographs: int | None = None, of: int = 0) -> str:
    """Say that a model reads images whole although so many of them are photographs, and what to do; None: a video.

    Examples:
        >>> overlooked_faces(3, 4)[:101]
        'this model was trained on whole images and classifies them whole, but 3 of 4 are as large as photogra'
    """
    whole = "this model was trained on whole images and classifies them whole"
    but = "" if photographs is None else f", but {photographs} of {of} are as large as photographs"
    return f"{whole}{but}; `detect=True` finds the faces first (`mien.train(detect=True)` trains for that)"


def join_reasons(*reasons: str | None) -> str | None:
    """Join the reasons that there are; None if there is none.

    Examples:
        >>> join_reasons("sad 0.50 is below 0.55", None, "the face has only 20x26 pixels")
        'sad 0.50 is below 0.55; the face has only 20x26 pixels'
    """
    return "; ".join(reason for reason in reasons if reason) or None

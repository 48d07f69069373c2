"""Images with a pinned answer: drawn faces, and the astronaut that comes with scikit-image (NASA, public domain).

Cropped faces are read whole; in photographs the face is found first.

`python tests/golden/images.py` writes what the shipped models say of them to `answers.json`; do so after a
new model has been looked at, never to make a failing test pass.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage.data import astronaut

from mien.data.synthetic.faces import draw_face

ANSWERS = Path(__file__).with_name("answers.json")

#: Rows and columns of Eileen Collins's face, framed as a face detector frames one.
FACE = (slice(60, 190), slice(160, 290))


def photographs() -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """Names and RGB images, uint8 (H, W, 3), with a face to find."""
    image = astronaut()  # type: ignore[no-untyped-call]
    yield "photograph", image
    yield "photograph-upside-down", np.ascontiguousarray(image[::-1, ::-1])


def crops() -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """Names and RGB images, uint8 (H, W, 3), that are cropped faces."""
    yield "astronaut", astronaut()[FACE]  # type: ignore[no-untyped-call]
    for seed in (1, 2, 3):
        for expression in ("happy", "sad", "neutral"):
            yield f"drawn-{expression}-{seed}", draw_face(expression, seed)


def main() -> None:
    """Write the answers of every shipped model."""
    import mien
    from mien.inference.bundle import shipped_models

    found = {}
    for name in shipped_models():
        whole, finding = (mien.load(name, threads=1, detect=detect) for detect in (False, True))
        rows = [(title, whole.predict(image).face) for title, image in crops()]
        rows += [(title, finding.predict(image).face) for title, image in photographs()]
        found[name] = {
            title: {label: round(value, 4) for label, value in (face.expressions or {}).items()} for title, face in rows
        }
    ANSWERS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

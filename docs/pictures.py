"""Draws the pictures of README and docs anew, from drawn faces and a public-domain portrait.

    python docs/pictures.py

The portrait is NASA's, of Eileen Collins, and comes with scikit-image. Screenshots of the report and the page need
Chromium; without it the older ones stay.
"""

import tempfile
from pathlib import Path

from PIL import Image
from skimage.data import astronaut

from mien.cli import main as mien
from mien.synthetic import write_dataset

IMAGES = Path(__file__).parent / "images"
#: Pictures are at most this wide, in pixels.
WIDTH = 800


def main() -> None:
    """Draw all of them."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        draw(place)
        for made in sorted(place.glob("*.png")):
            picture = Image.open(made).convert("RGB")
            picture.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.LANCZOS)
            picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(IMAGES / made.name, optimize=True)
            print(IMAGES / made.name)


def draw(place: Path) -> None:
    """Make the pictures in a folder, by the commands that a reader would give."""
    photo, drawn = place / "photo.jpg", place / "data"
    Image.fromarray(astronaut()).save(photo, quality=95)  # type: ignore[no-untyped-call]
    write_dataset(drawn, 40, seed=1)
    call("predict", photo, "--draw", place / "annotated")
    Image.open(next((place / "annotated").iterdir())).save(place / "astronaut.png")
    call("explain", photo, "--out", place / "astronaut-heat.png")
    call("show", drawn, "--per-class", 8, "--out", place / "drawn.png")
    call("show", drawn, "--per-class", 8, "--augment", "strong", "--size", 96, "--out", place / "augmented.png")


def call(*arguments: object) -> None:
    """Run a verb of `mien`; stop where it is refused."""
    try:
        mien([str(argument) for argument in arguments])
    except SystemExit as end:
        if end.code not in (0, 1, None):
            raise


if __name__ == "__main__":
    main()

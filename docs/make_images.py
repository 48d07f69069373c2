"""Draw the images of README and docs from drawn faces and a public-domain portrait.

    python docs/make_images.py

The portrait is NASA's, of Eileen Collins, and comes with scikit-image. The screenshot of the page needs Chromium;
without it the existing one stays.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from skimage.data import astronaut

from mien.cli import main as mien
from mien.data.synthetic.faces import write_dataset

IMAGES = Path(__file__).parent / "images"
CHROMIUM = Path("/usr/bin/chromium")
#: Largest width of an image, in pixels.
WIDTH = 800


def main() -> None:
    """Draw all images."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        draw(place)
        for made in sorted(place.glob("*.png")):
            image = Image.open(made).convert("RGB")
            image.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.LANCZOS)
            if "astronaut" not in made.name:  # 256 colours would spoil a photo
                image = image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
            image.save(IMAGES / made.name, optimize=True)
            print(IMAGES / made.name)


def draw(place: Path) -> None:
    """Make the images in a folder, with the commands that a user would run."""
    photo, drawn = place / "photo.jpg", place / "data"
    Image.fromarray(astronaut()[:340, 60:430]).save(photo, quality=95)  # type: ignore[no-untyped-call]
    write_dataset(drawn, 40, seed=1)
    call("predict", photo, "--draw", place / "annotated")
    Image.open(next((place / "annotated").iterdir())).save(place / "astronaut.png")
    call("explain", photo, "--out", place / "astronaut-heat.png")
    call("show", drawn, "--per-class", 8, "--out", place / "drawn.png")
    call("show", drawn, "--per-class", 8, "--augment", "strong", "--size", 96, "--out", place / "augmented.png")
    if CHROMIUM.exists():
        screenshot(photo, place / "page.png")


def screenshot(photo: Path, out: Path) -> None:
    """Serve the page, upload a photo, and take a screenshot."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "mien", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        said = server.stdout.readline() if server.stdout else ""
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(said.split()[-1])
            page.set_input_files("#files", photo)
            page.get_by_text("If forced to choose").wait_for()
            page.screenshot(path=out)
            browser.close()
    finally:
        server.terminate()
        server.wait()


def call(*arguments: object) -> None:
    """Run a `mien` command; stop on a bad call."""
    try:
        mien([str(argument) for argument in arguments])
    except SystemExit as end:
        if end.code not in (0, 1, None):
            raise


if __name__ == "__main__":
    main()

"""Draw the images of README and docs from drawn faces and a public-domain portrait, and the icons of the static page.

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
from mien.data.synthetic.faces import draw_face, write_dataset

IMAGES = Path(__file__).parent / "images"
ROOT = Path(__file__).parents[1]
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
    if CHROMIUM.exists():
        draw_icons(ROOT / "web" / "root" / "icons")


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
        screenshots_of_fix(place)


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


def screenshots_of_fix(place: Path) -> None:
    """Run `mien fix` on drawn faces, a few under the wrong label, and take screenshots of one picture and of a grid."""
    from playwright.sync_api import sync_playwright

    data = place / "scraped"
    for seed in range(24):
        for name in ("happy", "sad"):
            wrong = {"happy": "sad", "sad": "happy"}[name]
            path = data / (wrong if seed % 4 == 0 else name) / f"{name}-{seed:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw_face(name, 500 + seed + 100 * (name == "sad"), 384)).save(path, quality=95)
    command = [sys.executable, "-m", "mien", "fix", data.name, "--no-browser"]
    server = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True)
    try:
        address = next(line for line in server.stdout or () if "http://" in line).split()[-1]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
            page.goto(address)
            page.locator(".stage[data-state=shown]").first.wait_for()
            page.screenshot(path=place / "fix.png")
            page.keyboard.press("b")
            page.locator(".tile img[src]").first.wait_for()
            page.locator(".tile:empty").first.wait_for(state="detached")
            page.locator(".tile").nth(1).click()
            page.screenshot(path=place / "fix-many.png")
            browser.close()
    finally:
        server.terminate()
        server.wait()


def draw_icons(place: Path) -> None:
    """Draw the icon of the page as systems want those of applications; a maskable one fills its square."""
    from playwright.sync_api import sync_playwright

    icon = (ROOT / "src" / "mien" / "server" / "page" / "icon.svg").read_text("utf-8")
    # Systems cut a maskable icon to a circle or a rounded square: the halves reach the corners, the face stays inside.
    halves = icon.index("<path"), icon.index("<circle")
    square = '<path fill="#e69f00" d="M0 0h32v64H0z"/><path fill="#56b4e9" d="M32 0h32v64H32z"/>'
    face = icon[halves[1] :].replace("</svg>", "")
    maskable = f'{icon[: halves[0]]}{square}<g transform="translate(6.4 6.4) scale(.8)">{face}</g></svg>'
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for name, drawing, side in (("icon", icon, 192), ("icon", icon, 512), ("maskable", maskable, 512)):
            page = browser.new_page(viewport={"width": side, "height": side})
            page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{drawing}")
            made = place / f"{name}-{side}.png"
            page.screenshot(path=made, omit_background=True)
            Image.open(made).quantize(64).save(made, optimize=True)
            print(made)
        browser.close()


def call(*arguments: object) -> None:
    """Run a `mien` command; stop on a bad call."""
    try:
        mien([str(argument) for argument in arguments])
    except SystemExit as end:
        if end.code not in (0, 1, None):
            raise


if __name__ == "__main__":
    main()

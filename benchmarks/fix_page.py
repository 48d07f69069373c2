"""Measure the page of `mien fix` on many images: the first picture, the next ones, memory over hundreds of decisions.

Drawn faces of several sizes, whose bytes all differ. Measured are the time from the address, which is printed after the
audit, to the first picture on screen; from a key to the next picture on screen, which includes storing the decision
durably; and memory of the server and of the page's JavaScript. Times depend on what else the machine runs.

    python benchmarks/fix_page.py [--images 10000] [--keys 300] [--chromium /usr/bin/chromium]
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from mien.data.synthetic.faces import draw_face

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"]
#: Side in which a face is drawn; it is scaled then.
_DRAWN_SIDE = 96
#: One image of so many is a near copy of the one before; one of so many others is under the wrong label.
_COPY, _WRONG = 20, 10
SHOWN = """name => new Promise((done) => {
  const look = () => {
    const stage = document.querySelector(".stage[data-state=shown]");
    if (stage && document.getElementById("title").textContent !== name) done(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""

NOTE_KEY = """() => {
  const note = () => { window.pressed = performance.now(); };
  addEventListener("keydown", note, { capture: true, once: true });
}"""


def light(rng: np.random.Generator) -> np.ndarray:
    """Return light and shadow of chance for an image: without them drawn faces are near copies of each other."""
    spots = Image.fromarray(rng.uniform(-90, 90, (5, 5)).astype(np.float32))
    return np.asarray(spots.resize((_DRAWN_SIDE, _DRAWN_SIDE), Image.Resampling.BICUBIC))[..., None]


def write_data(folder: Path, count: int) -> None:
    """Write `count` images of drawn faces of as many people, but for some near copies; some under the wrong label."""
    rng = np.random.default_rng(0)
    other = {"happy": "sad", "sad": "happy"}
    for label in other:
        (folder / label).mkdir(parents=True)
    for number in range(count):
        if not number or number % _COPY:
            label = ("happy", "sad")[number % 2]
            image = draw_face(label, number, _DRAWN_SIDE) + light(rng)
        noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        side = int(rng.integers(150, 640))
        place = label if number % _WRONG else other[label]
        Image.fromarray(noisy).resize((side, side)).save(folder / place / f"{number:05d}.jpg", quality=90)


def resident(process: int) -> float:
    """Return the resident memory of a process in MiB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure(address: str, server: int, keys: int, chromium: str, began: float) -> dict[str, Any]:
    """Open the page, press keys, and return seconds and MiB."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        opened = time.perf_counter()
        page.goto(address)
        page.evaluate(SHOWN, "")
        first = time.perf_counter() - opened
        waits, memory = [], []
        for number in range(keys):
            name = page.text_content("#title")
            page.evaluate(NOTE_KEY)
            page.keyboard.press("k2x"[number % 3])
            waits.append(page.evaluate(SHOWN, name) - page.evaluate("window.pressed"))
            if number % max(keys // 6, 1) == 0:
                heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
                memory.append([number, round(resident(server)), round(heap, 1)])
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
        memory.append([keys, round(resident(server)), round(heap, 1)])
        browser.close()
    ranked = sorted(waits)
    return {
        "first_picture_s": round(first, 2),
        "address_to_first_picture_s": round(opened + first - began, 2),
        "next_picture_ms": {
            "median": round(statistics.median(waits)),
            "p95": round(ranked[int(0.95 * len(ranked))]),
            "max": round(ranked[-1]),
        },
        "decisions_server_mib_page_mib": memory,
    }


def main() -> None:
    """Write the data, run `mien fix`, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        write_data(data, given.images)
        command = [sys.executable, "-m", "mien", "fix", str(data), "--no-browser", "--detect", "no"]
        began = time.perf_counter()
        server = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        address = next(line[line.index("http://") :].split()[0] for line in server.stdout if "http://" in line)
        audited = time.perf_counter()
        try:
            found = measure(address, server.pid, given.keys, given.chromium, audited)
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate()
        print(json.dumps({"images": given.images, "audit_s": round(audited - began, 1), **found}, indent=1))


if __name__ == "__main__":
    main()

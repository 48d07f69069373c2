"""Measure the webcam page end to end: frames per second in headless Chromium, server on the same machine.

Chromium's fake webcam plays a video of a real face (NASA's portrait of Eileen Collins, public domain) that sways, at
640x480 and 30 frames per second. The page sends frames to `mien serve` and draws the answers. Wall-clock times depend
on what else the machine runs; the processor time per frame, of the server and of all Chromium processes, does not.

    python benchmarks/webcam_loop.py [--seconds 20] [--model NAME|FOLDER] [--chromium /usr/bin/chromium]
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image
from playwright.sync_api import sync_playwright

ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
).split()
WARM_UP = 4.0


def write_video(path: Path, rate: int = 30) -> None:
    """Four seconds of a face that sways, 640x480, as raw video."""
    face = skimage.data.astronaut()[:440, :440]  # type: ignore[no-untyped-call]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W640 H480 F{rate}:1 Ip A1:1 C420mpeg2\n".encode())
        for number in range(4 * rate):
            frame = np.full((480, 640, 3), 90, np.uint8)
            left = 100 + round(40 * np.sin(2 * np.pi * number / (4 * rate)))
            frame[20:460, left : left + 440] = face
            planes = np.moveaxis(np.asarray(Image.fromarray(frame).convert("YCbCr")), 2, 0)
            file.write(b"FRAME\n" + planes[0].tobytes() + planes[1, ::2, ::2].tobytes() + planes[2, ::2, ::2].tobytes())


@contextmanager
def served(model: str | None) -> Iterator[tuple[str, int]]:
    """Run `mien serve`; yield its address and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    chosen = ["--model", model] if model else []
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "serve", "--port", str(port), *chosen], stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        while process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"{url}readyz", timeout=5)
                break
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def processor_seconds(root: int) -> float:
    """Return user and system time of a process and all its descendants, in seconds."""
    parents, times = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parents[pid], times[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family = {root}
    while found := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= found
    return sum(times.get(pid, 0.0) for pid in family)


def measure(page: Any, seconds: float, server: int) -> dict[str, float]:
    """Let the webcam run, and count the answers."""
    answers: list[tuple[float, dict[str, Any]]] = []

    def watch(opened: Any) -> None:
        opened.on("framereceived", lambda text: answers.append((time.monotonic(), json.loads(text))))

    page.on("websocket", watch)
    page.click("#webcam")
    page.click("#consent-agree")
    page.locator(".face .answer").wait_for()
    page.wait_for_timeout(1000 * WARM_UP)
    answers.clear()
    everything, serving, begin = processor_seconds(os.getpid()), processor_seconds(server), time.monotonic()
    page.wait_for_timeout(1000 * seconds)
    spent = time.monotonic() - begin
    serving = processor_seconds(server) - serving
    browsing = processor_seconds(os.getpid()) - everything - serving
    got = [answer for at, answer in answers if at - begin <= spent]
    times = sorted(answer["milliseconds"] for answer in got)
    return {
        "frames per second": len(got) / spent,
        "frames passed over by the server, share": sum(answer["dropped"] for answer in got) / max(len(got), 1),
        "faces found, share of frames": statistics.mean(bool(answer["row"]["faces"]) for answer in got),
        "server, ms per frame, median": statistics.median(times),
        "server, ms per frame, 95 of 100 below": times[int(0.95 * (len(times) - 1))],
        "there and back, ms, median (as the page shows)": float(page.inner_text("#latency")),
        "frames per second (as the page shows)": float(page.inner_text("#fps")),
        "server, processor ms per frame": 1000 * serving / len(got),
        "Chromium and Playwright, processor ms per frame": 1000 * browsing / len(got),
        "load of the machine, one minute": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--model", help="a shipped model, a bundle or a run folder  [the shipped one]")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(options.model) as (url, server), sync_playwright() as driver:
        video = Path(folder) / "video.y4m"
        write_video(video)
        arguments = [*ARGUMENTS, f"--use-file-for-fake-video-capture={video}"]
        browser = driver.chromium.launch(executable_path=options.chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        for name, value in measure(page, options.seconds, server).items():
            print(f"{name:<52}{value:8.2f}")
        browser.close()


if __name__ == "__main__":
    main()

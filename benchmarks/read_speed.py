"""Measure inference speed: one image in memory, a folder of photos, and the command from a cold start.

The photos are made from scikit-image's astronaut: cropped, mirrored, lit and compressed differently, 1024 pixels wide,
one face each. The folder's time is divided into the sum of its parts (decode, detect, classify), each measured alone on
one thread in the same round. A ratio of 1 means that the composition costs nothing and keeps the cores busy. Memory is
that of a separate process, for N files and for ten times as many.

    python benchmarks/read_speed.py [--model NAME|FOLDER] [--files 200] [--rounds 3] [--calls 100]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image, ImageEnhance
from skimage.data import astronaut

import mien
from measured import Row, processor, record
from mien.faces.crop import crop, face_region
from mien.io.images.decoding import load_image
from mien.runtime.cores import available_cores

WIDTH = 1024
BATCH = 32

#: What was measured, for the docs.
ROWS: list[Row] = []

#: Classifies a list of files several times and prints the peak memory in MiB.
MEMORY = """
import sys, mien
from pathlib import Path
model, folder, times = sys.argv[1:]
paths = sorted(Path(folder).iterdir())
count = sum(1 for _ in mien.load(model).predict_many(path for _ in range(int(times)) for path in paths))
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(count, int(status["VmHWM"].split()[0]) // 1024)
"""


def photograph(seed: int) -> Image.Image:
    """Return a photo, `WIDTH` pixels wide, cropped from the astronaut's portrait around her face."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(astronaut())  # type: ignore[no-untyped-call]
    left, top, right, bottom = rng.integers((0, 0, 380, 330), (120, 40, 513, 513)).tolist()
    image = image.crop((left, top, right, bottom))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.BICUBIC)
    return ImageEnhance.Brightness(image).enhance(rng.uniform(0.7, 1.2))


def write_photographs(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        photograph(number).save(path, quality=int(np.random.default_rng(number).integers(75, 95)))
    return paths


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def parts(reader: mien.Reader, paths: Sequence[Path]) -> list[float]:
    """Return the seconds of decoding, detecting, and cropping and classifying all files, on the reader's threads."""
    size, channels = reader.config.input_size, reader.config.input_channels
    times = np.zeros(3)
    for start in range(0, len(paths), BATCH):
        marks = [time.perf_counter()]
        images = [load_image(path) for path in paths[start : start + BATCH]]
        marks.append(time.perf_counter())
        faces = [reader.detector(rgb)[0] for rgb in images]
        marks.append(time.perf_counter())
        crops = [crop(rgb, size, channels, face_region(face)) for rgb, face in zip(images, faces, strict=True)]
        reader.probabilities(np.stack(crops))
        times += np.diff([*marks, time.perf_counter()])
    return times.tolist()


def one_image(model: str | None, calls: int) -> None:
    reader, image = mien.load(model, threads=1), astronaut()  # type: ignore[no-untyped-call]
    times = [seconds(lambda: reader.predict(image)) * 1e3 for _ in range(calls)][calls // 10 :]
    low, high = np.percentile(times, [5, 95])
    ROWS.append(("photograph of 512 pixels in memory, one core", "ms", times))
    print(f"astronaut, 512 x 512, in memory, one thread: median {median(times):.1f} ms (5-95 %: {low:.1f}-{high:.1f})")


def folder_of_photographs(model: str | None, paths: Sequence[Path], rounds: int, cores: int) -> None:
    alone, together = mien.load(model, threads=1), mien.load(model, threads=cores)
    for reader in (alone, together):
        list(reader.predict_many(paths[:4]))
    shares, rates, split = [], [], []
    for _ in range(rounds):
        split.append(parts(alone, paths))
        wall = seconds(lambda: sum(1 for _ in together.predict_many(paths)))
        rates.append(len(paths) / wall / cores)
        shares.append(sum(split[-1]) / wall / cores)
    where = "one core" if cores == 1 else "all cores, per core"
    ROWS.append((f"photographs of {WIDTH} pixels, {where}", "images/s", rates))
    each = [median(times) / len(paths) * 1e3 for times in zip(*split, strict=True)]
    print(
        f"{len(paths)} photographs of {WIDTH} pixels, threads {cores}: {median(rates):.1f} images/s per core, "
        f"{median(shares):.2f} of its parts ({', '.join(f'{share:.2f}' for share in shares)}); "
        "decode {:.1f}, detect {:.1f}, classify {:.1f} ms per image".format(*each)
    )


def memory(model: str | None, folder: Path) -> None:
    for times in (1, 10):
        call = [sys.executable, "-c", MEMORY, model or "mien", str(folder), str(times)]
        count, peak = subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()
        ROWS.append(
            (f"memory of one process, {'few' if times == 1 else 'ten times as many'} files", "MiB", float(peak))
        )
        print(f"{count} files: at most {peak} MiB")


def cold_start(model: str | None, path: Path, runs: int) -> None:
    call = [sys.executable, "-m", "mien", "predict", str(path), "--json", "-", "--model", model or "mien"]
    times = [seconds(lambda: subprocess.run(call, check=True, capture_output=True)) for _ in range(runs + 1)][1:]
    ROWS.append(("cold start of mien predict", "s", times))
    print(f"mien predict one.jpg, a process of its own: median {median(times):.2f} s (of {runs})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", metavar="NAME|FOLDER", help="a shipped model, a bundle or a run folder  [mien]")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--cores", type=int, default=available_cores())
    options = parser.parse_args()
    print(processor())
    one_image(options.model, options.calls)
    with tempfile.TemporaryDirectory() as name:
        paths = write_photographs(Path(name), options.files)
        for cores in sorted({1, options.cores}):
            folder_of_photographs(options.model, paths, options.rounds, cores)
        memory(options.model, Path(name))
        cold_start(options.model, paths[0], 10)
    record("read_speed", ROWS)


if __name__ == "__main__":
    main()

"""Measure inference speed: one image in memory, a folder of photos, and the command from a cold start.

The photos are made from scikit-image's astronaut: cropped, mirrored, lit and compressed differently, 1024 pixels wide,
one face each. The folder's time is divided into the sum of its parts (decode, detect, classify), each measured alone on
one thread in the same round. A ratio of 1 means that the composition costs nothing and keeps the cores busy. Memory is
that of a separate process, for N files and for ten times as many.

    python benchmarks/read_speed.py [--model NAME|FOLDER] [--faces all] [--files 200] [--rounds 3] [--calls 100]
    python benchmarks/read_speed.py --compare OTHER_TREE [--faces largest] [--cores 1] [--rounds 9]

`--compare` reads the photos with another source tree and with this one in turn, in processes that stay open, and prints
the ratio of the images per second and of the processor time. It moves less on a busy machine.
"""

import argparse
import os
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

#: Classifies the photos of a folder once per line of its input; prints seconds and seconds of processor time.
READING = """
import sys, time, mien
from pathlib import Path
model, faces, threads, folder = sys.argv[1:]
reader = mien.load(model, faces=faces, threads=int(threads), device="cpu")
paths = sorted(Path(folder).iterdir())
list(reader.predict_many(paths[:8]))
for _ in sys.stdin:
    began, cost = time.perf_counter(), time.process_time()
    count = sum(1 for _ in reader.predict_many(paths))
    print(time.perf_counter() - began, time.process_time() - cost, flush=True)
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


def folder_of_photographs(options: argparse.Namespace, paths: Sequence[Path], cores: int) -> None:
    rounds = options.rounds
    alone, together = (mien.load(options.model, threads=threads, faces=options.faces) for threads in (1, cores))
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


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Read the photos with another source tree and with this one in turn."""
    trees = {"before": Path(options.compare), "after": Path(__file__).parents[1]}
    call = [sys.executable, "-c", READING, options.model or "mien", options.faces, str(options.cores), str(folder)]
    running = {
        name: subprocess.Popen(
            call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
            env={**os.environ, "PYTHONPATH": str(tree.resolve() / "src")},
        )
        for name, tree in trees.items()
    }  # fmt: skip
    times: dict[str, list[list[float]]] = {name: [] for name in trees}
    for turn in range(options.rounds):
        for name in (list(trees), list(trees)[::-1])[turn % 2]:
            process = running[name]
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("again\n")
            process.stdin.flush()
            times[name].append([float(value) for value in process.stdout.readline().split()])
    for process in running.values():
        process.communicate()
    for name, found in times.items():
        rates = [options.files / wall for wall, _ in found]
        costs = [1e3 * cost / options.files for _, cost in found]
        print(
            f"{name}: {median(rates):.1f} images/s ({min(rates):.1f} to {max(rates):.1f}), "
            f"{median(costs):.1f} ms of processor time per image ({min(costs):.1f} to {max(costs):.1f})"
        )
    for number, what in enumerate(("images/s", "processor time")):
        ratios = [one[number] / other[number] for one, other in zip(times["before"], times["after"], strict=True)]
        print(f"ratio of {what}: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


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
    parser.add_argument("--faces", choices=["all", "largest"], default="all")
    parser.add_argument("--compare", metavar="TREE", help="a checkout of another version")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--cores", type=int, default=available_cores())
    options = parser.parse_args()
    print(processor())
    if not options.compare:
        one_image(options.model, options.calls)
    with tempfile.TemporaryDirectory() as name:
        paths = write_photographs(Path(name), options.files)
        if options.compare:
            compare(options, Path(name))
            return
        for cores in sorted({1, options.cores}):
            folder_of_photographs(options, paths, cores)
        memory(options.model, Path(name))
        cold_start(options.model, paths[0], 10)
    record("read_speed", ROWS)


if __name__ == "__main__":
    main()

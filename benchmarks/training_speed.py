"""Compare throughput and memory of `mien train` with the usual notebook code, in paired runs on one machine.

Both train the same `classic` network (256×256 RGB, Adam, batch 32) on the same drawn JPEGs for the same epochs, each in
its own process. The notebook code uses `image_dataset_from_directory`, a take/skip split and `fit`. Throughput is
training images divided by the seconds of all epochs, validation included. The notebook decodes in every epoch, mien
once before. The seconds of the whole job (for mien with check, decoding, export and evaluation) and the peak private
memory are printed beside.

    python benchmarks/training_speed.py [--per-class 400] [--epochs 4] [--pairs 3]
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from measured import record

NOTEBOOK = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
from mien.training.networks.networks import classic
folder, epochs = sys.argv[1], int(sys.argv[2])
data = keras.utils.image_dataset_from_directory(folder, image_size=(256, 256), batch_size=32, label_mode="binary",
                                                 seed=0, verbose=False)
size = len(data)
train, val = data.take(int(size * 0.7)), data.skip(int(size * 0.7)).take(int(size * 0.2))
model = classic()
model.compile("adam", loss="binary_crossentropy", metrics=["accuracy"])
began = time.perf_counter()
model.fit(train, epochs=epochs, validation_data=val, verbose=0)
seconds = time.perf_counter() - began
print(json.dumps({"images": int(size * 0.7) * 32 * epochs, "seconds": seconds}))
"""


def run(command: list[str]) -> tuple[float, float, str]:
    """Run a command; return wall seconds, peak private memory (USS) in MiB, and its standard output."""
    began, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as output:
        process = psutil.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            try:
                peak = max(peak, process.memory_full_info().uss / 2**20)
            except psutil.Error:
                break
            time.sleep(0.1)
        if process.wait():
            sys.exit(f"failed: {' '.join(command[:6])} …")
        output.seek(0)
        return time.perf_counter() - began, peak, output.read()


def notebook(data: Path, epochs: int) -> dict[str, float]:
    whole, peak, text = run([sys.executable, "-c", NOTEBOOK, str(data), str(epochs)])
    found = json.loads(text.splitlines()[-1])
    return {"rate": found["images"] / found["seconds"], "whole": whole, "peak": peak}


def mien(data: Path, epochs: int, out: Path) -> dict[str, float]:
    arguments = ["train", str(data), "--network", "classic", "--epochs", str(epochs), "--out", str(out)]
    whole, peak, _ = run([sys.executable, "-m", "mien", *arguments])
    rows = [line.split(",") for line in (out / "history.csv").read_text().splitlines()]
    seconds = sum(float(row[rows[0].index("seconds")]) for row in rows[1:])
    waited = statistics.median(float(row[rows[0].index("input_share")]) for row in rows[1:])
    counts = json.loads((out / "run.json").read_text())["counts"]["train"]
    return {"rate": sum(counts.values()) * epochs / seconds, "whole": whole, "peak": peak, "waited": waited}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    from mien.data.synthetic.faces import write_dataset

    pairs = []
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {2 * options.per_class} drawings")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        write_dataset(data, options.per_class, size=256)
        for number in range(options.pairs):
            theirs = notebook(data, options.epochs)
            # A fresh parent folder each time, so that mien decodes again: its cache must not help.
            ours = mien(data, options.epochs, Path(folder) / f"runs-{number}" / "run")
            pairs.append((ours, theirs))
            print(
                f"pair {number + 1}: mien {ours['rate']:.0f} images/s, {ours['whole']:.0f} s, {ours['peak']:.0f} MiB, "
                f"waited {ours['waited']:.1%}; notebook {theirs['rate']:.0f} images/s, {theirs['whole']:.0f} s, "
                f"{theirs['peak']:.0f} MiB; ratio {ours['rate'] / theirs['rate']:.2f}",
                flush=True,
            )
    ratios = [ours["rate"] / theirs["rate"] for ours, theirs in pairs]
    record("training_speed", [
        ("mien train", "images/s", [ours["rate"] for ours, _ in pairs]),
        ("the notebook", "images/s", [theirs["rate"] for _, theirs in pairs]),
        ("mien train, times the notebook", "", ratios),
        ("private memory of mien train", "MiB", [ours["peak"] for ours, _ in pairs]),
        ("private memory of the notebook", "MiB", [theirs["peak"] for _, theirs in pairs]),
    ])  # fmt: skip
    print(f"median ratio of throughput, mien / notebook: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()

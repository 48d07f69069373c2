"""Compare throughput, memory and accuracy of `mien train` with the usual notebook code, in paired runs in turns.

Both train the same `classic` network (256×256 RGB, Adam, batch 32) on the same drawn JPEGs for the same epochs, each in
its own process, a seed per pair. The notebook code uses `image_dataset_from_directory`, a take/skip split and `fit`.
Throughput is training images divided by the seconds of all epochs, validation included. The notebook decodes in every
epoch, mien once before. The seconds of the whole job (for mien with check, decoding, export and evaluation) and its
peak memory are printed beside: private memory without mapped files, and all that is resident. Needs Linux.

Accuracy is that on drawings of other seeds, which neither saw. The notebook's own validation would flatter it: its
dataset is shuffled anew in each epoch, after which take and skip give other images.

Where an epoch goes: mien waits for input, computes steps and validation, and does the rest in Python (learning rate,
moving average, progress; checkpoints are written between epochs and count in the whole job). `fit` does all at once, so
the notebook's input is read once more alone, and its steps run once more on a batch in memory; they overlap in `fit`,
and need not add up.

    python benchmarks/training_speed.py [--per-class 400] [--epochs 4] [--pairs 5]
"""

import argparse
import contextlib
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measured import Row, record

DATA = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
folder, saved, epochs, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
keras.utils.set_random_seed(seed)
data = keras.utils.image_dataset_from_directory(folder, image_size=(256, 256), batch_size=32, label_mode="binary",
                                                 seed=seed, verbose=False)
size = len(data)
steps = int(size * 0.7)
train, val = data.take(steps), data.skip(steps).take(int(size * 0.2))
"""

NOTEBOOK = """
from mien.training.networks.networks import classic
model = classic()
model.compile("adam", loss="binary_crossentropy", metrics=["accuracy"])
began = time.perf_counter()
model.fit(train, epochs=epochs, validation_data=val, verbose=0)
seconds = time.perf_counter() - began
model.save(saved)
memory = open("/proc/self/status").read()
print(json.dumps({"images": steps * 32 * epochs, "seconds": seconds,
                  "resident": int(memory.split("VmHWM:")[1].split()[0]) / 1024}))
"""

#: In a process of its own, so that the notebook's memory and time are those of its job.
PARTS = """
model = keras.saving.load_model(saved)
new = keras.utils.image_dataset_from_directory(sys.argv[5], image_size=(256, 256), label_mode="binary", verbose=False)
accuracy = model.evaluate(new, verbose=0)[1]
began = time.perf_counter()
for images, targets in train:
    pass
read = time.perf_counter() - began
one = images.numpy(), targets.numpy()
model.train_on_batch(*one)  # compiles
began = time.perf_counter()
for _ in range(steps):
    model.train_on_batch(*one)
print(json.dumps({"accuracy": accuracy, "input": read * epochs, "step": (time.perf_counter() - began) * epochs}))
"""

MIEN = """
import atexit, json, sys, time
from mien.training.backend import require_keras
require_keras("the benchmark")
import keras
spent = {}
def timed(name):
    run = getattr(keras.Model, name)
    def wrapper(*args, **kwargs):
        began = time.perf_counter()
        try:
            return run(*args, **kwargs)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - began
    setattr(keras.Model, name, wrapper)
timed("train_on_batch")
timed("test_on_batch")
def say():
    memory = open("/proc/self/status").read()
    print("\\n" + json.dumps(spent | {"resident": int(memory.split("VmHWM:")[1].split()[0]) / 1024}))
atexit.register(say)
from mien.__main__ import main
main(sys.argv[1:])
"""


def run(command: list[str]) -> tuple[float, float, dict[str, float]]:
    """Run a command; return wall seconds, peak private memory in MiB, and the JSON of its last line."""
    began, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            with contextlib.suppress(OSError, IndexError):  # cheap to read: the process itself is not disturbed
                peak = max(peak, int(status.read_text().split("RssAnon:")[1].split()[0]) / 1024)
            time.sleep(0.05)
        if process.wait():
            sys.exit(f"failed: {' '.join(command[3:8])} …")
        output.seek(0)
        return time.perf_counter() - began, peak, json.loads(output.read().splitlines()[-1])


def notebook(data: Path, held_out: Path, epochs: int, seed: int, out: Path) -> dict[str, float]:
    """Train the notebook way; return what was measured."""
    out.mkdir(parents=True)
    arguments = [str(data), str(out / "model.keras"), str(epochs), str(seed)]
    whole, peak, found = run([sys.executable, "-c", DATA + NOTEBOOK, *arguments])
    parts = run([sys.executable, "-c", DATA + PARTS, *arguments, str(held_out)])[2]
    seconds = found["seconds"]
    return {
        "rate": found["images"] / seconds, "whole": whole, "peak": peak, "resident": found["resident"],
        "accuracy": parts["accuracy"], "input": parts["input"] / seconds, "step": parts["step"] / seconds,
    }  # fmt: skip


def mien(data: Path, held_out: Path, epochs: int, seed: int, out: Path) -> dict[str, float]:
    """Train by `mien train`; return what was measured."""
    from mien import evaluate

    arguments = ["train", str(data), "--network", "classic", "--epochs", str(epochs), "--seed", str(seed)]
    whole, peak, found = run([sys.executable, "-c", MIEN, *arguments, "--out", str(out)])
    with (out / "history.csv").open() as stream:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]
    counts = json.loads((out / "run.json").read_text())["counts"]["train"]
    count, seconds = sum(counts.values()), sum(row["seconds"] for row in rows)
    waited = sum(row["input_share"] * count / row["images_per_second"] for row in rows)
    step, validation = found["train_on_batch"], found["test_on_batch"]
    accuracy = evaluate(held_out, model=out, metrics_only=True).metrics.accuracy.value
    return {
        "rate": count * epochs / seconds, "whole": whole, "peak": peak, "resident": found["resident"],
        "accuracy": accuracy, "input": waited / seconds, "step": step / seconds,
        "validation": validation / seconds, "rest": 1 - (waited + step + validation) / seconds,
    }  # fmt: skip


def interval(differences: list[float]) -> str:
    """Return the mean of paired differences, in points, with its 95 % interval by Student's t."""
    from scipy.stats import t  # type: ignore[import-untyped]

    mean, count = statistics.mean(differences), len(differences)
    if count < 2:
        return f"{100 * mean:+.1f} (one pair has no interval)"
    half = float(t.ppf(0.975, count - 1)) * statistics.stdev(differences) / count**0.5
    return f"{100 * mean:+.1f} [{100 * (mean - half):+.1f}, {100 * (mean + half):+.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    from mien.data.synthetic.faces import write_dataset

    pairs = []
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {2 * options.per_class} drawings")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        write_dataset(data, options.per_class, size=256)
        held_out = Path(folder) / "held-out"
        write_dataset(held_out, max(50, options.per_class // 2), seed=1, size=256)
        for number in range(options.pairs):
            # In turns, so that neither always runs on the warmer machine. A fresh parent folder each time, so that mien
            # decodes again: its cache must not help.
            where = Path(folder) / f"runs-{number}"
            found = {
                one.__name__: one(data, held_out, options.epochs, number, where / one.__name__)
                for one in ((mien, notebook) if number % 2 else (notebook, mien))
            }
            ours, theirs = found["mien"], found["notebook"]
            pairs.append((ours, theirs))
            for name, one in (("mien", ours), ("notebook", theirs)):
                parts = ", ".join(
                    f"{part} {one[part]:.1%}" for part in ("input", "step", "validation", "rest") if part in one
                )
                print(
                    f"pair {number + 1}, {name}: {one['rate']:.0f} images/s, {one['whole']:.0f} s, "
                    f"{one['peak']:.0f} MiB, accuracy {one['accuracy']:.3f}; {parts}",
                    flush=True,
                )
    ratios = [ours["rate"] / theirs["rate"] for ours, theirs in pairs]
    difference = interval([ours["accuracy"] - theirs["accuracy"] for ours, theirs in pairs])
    rows: list[Row] = [
        ("mien train", "images/s", [ours["rate"] for ours, _ in pairs]),
        ("the notebook", "images/s", [theirs["rate"] for _, theirs in pairs]),
        ("mien train, times the notebook", "", ratios),
    ]
    for who, runs in (("mien train", [ours for ours, _ in pairs]), ("the notebook", [theirs for _, theirs in pairs])):
        rows += [
            (f"private memory of {who}", "MiB", [one["peak"] for one in runs]),
            (f"resident memory of {who}, with mapped files", "MiB", [one["resident"] for one in runs]),
            (f"accuracy of {who} on new drawings", "%", [100 * one["accuracy"] for one in runs]),
        ]
    for part, what in (
        ("input", "waiting for input"),
        ("step", "steps"),
        ("validation", "validation"),
        ("rest", "rest"),
    ):
        rows.append((f"mien train, {what}", "% of an epoch", [100 * ours[part] for ours, _ in pairs]))
    for part, what in (("input", "input alone"), ("step", "steps alone")):
        rows.append((f"the notebook, {what}", "% of an epoch", [100 * theirs[part] for _, theirs in pairs]))
    rows.append(("difference of the accuracies, with its 95 % interval", "points", difference))
    record("training_speed", rows)
    print(f"accuracy on new drawings, mien minus notebook: {difference} points, {len(pairs)} seeds")
    print(f"median ratio of throughput, mien / notebook: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()

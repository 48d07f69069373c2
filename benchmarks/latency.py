"""Measure the latency of the classifier for one face on one thread: bundles against each other and against Keras.

Models are called with one crop at a time, in alternating rounds, so that changes of the machine's speed affect all of
them. A bundle is timed through `Classifier`, from uint8 crop to logits and maps. Keras is timed through
`predict_on_batch` on the same crop as float32. A run folder gives its bundle and its Keras model.

    python benchmarks/latency.py [MODEL ...] [--keras model.keras] [--calls 200] [--rounds 5]
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Set before TensorFlow loads, which reads them once.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

import numpy as np

from mien.data.synthetic.faces import draw_face
from mien.faces.crop import crop
from mien.inference.bundle import Bundle, load_bundle, shipped_models
from mien.inference.classifier import Classifier

#: Instruction sets that decide the speed of float and integer convolutions on x86.
FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8")
WARM_UP = 30

Call = Callable[[int], Any]


def processor() -> str:
    """Return the name of the processor and its relevant instruction sets."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    found = {key.strip(): value.strip() for key, value in lines.items()}
    flags = [flag for flag in FLAGS if flag in found.get("flags", "").split()]
    name = found.get("model name") or platform.processor() or platform.machine()
    model = f" (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else ""
    return f"{name}{model}; {', '.join(flags) or 'instruction sets unknown'}"


def crops(size: int, channels: int) -> list[Any]:
    """Return sixteen drawn faces, uint8 (1, S, S, C) each."""
    faces = (draw_face(("happy", "sad")[seed % 2], seed) for seed in range(16))
    return [crop(face, size, channels)[np.newaxis] for face in faces]


def bundle_call(bundle: Bundle) -> Call:
    classifier = Classifier(bundle, threads=1)
    images = crops(bundle.config.input_size, bundle.config.input_channels)
    return lambda number: classifier(images[number % 16])


def keras_call(path: Path) -> Call:
    from mien.training.backend import require_keras

    require_keras("measuring a Keras model")
    from mien.training.networks.keras_file import load_keras_file

    network = load_keras_file(path)
    _, size, _, channels = network.inputs[0].shape
    images = [image.astype(np.float32) for image in crops(size, channels)]
    return lambda number: network.predict_on_batch(images[number % 16])


def collect(models: list[str], keras_file: Path | None) -> tuple[dict[str, Call], dict[str, int]]:
    """Return the call and the file size in bytes of each model, by name; Keras comes last."""
    calls: dict[str, Call] = {}
    sizes: dict[str, int] = {}
    for model in models:
        bundle = load_bundle(model)
        calls[model], sizes[model] = bundle_call(bundle), len(bundle.model)
        inside = Path(model) / "model.keras"
        keras_file = inside if keras_file is None and inside.exists() else keras_file
    if keras_file is not None:
        name = f"Keras, {keras_file}"
        calls[name], sizes[name] = keras_call(keras_file), keras_file.stat().st_size
    return calls, sizes


def measure(calls: dict[str, Call], count: int, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of every call, `rounds` times `count` for each model, in alternating rounds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for number in range(WARM_UP):
            call(number)
    for _ in range(rounds):
        for name, call in calls.items():
            for number in range(count):
                began = time.perf_counter()
                call(number)
                times[name].append((time.perf_counter() - began) * 1e3)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="bundles, runs or shipped models  [all shipped]")
    parser.add_argument("--keras", type=Path, metavar="FILE", help="a .keras file of the same network")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    calls, sizes = collect(options.models or list(shipped_models()), options.keras)
    if not calls:
        parser.error("no model comes with this installation; name a bundle or a run folder")
    print(f"{processor()}; one thread, batch 1, {options.rounds} × {options.calls} calls")
    times = measure(calls, options.calls, options.rounds)
    last = float(np.median(list(times.values())[-1]))
    width = max(len(name) for name in calls)
    print(f"{'model':{width}}  {'MB':>6}  {'median ms':>9}  {'p95 ms':>7}  times as fast as the last")
    for name, values in times.items():
        median, high = np.percentile(values, [50, 95])
        print(f"{name:{width}}  {sizes[name] / 1e6:6.2f}  {median:9.3f}  {high:7.3f}  {last / median:6.1f}")


if __name__ == "__main__":
    main()

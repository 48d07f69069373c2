"""Measure what `predict_many` costs beside onnxruntime for crops in memory, per crop, in one process.

Four calls take turns on one thread: onnxruntime alone on the prepared batch; `predict_many` on the same crops as an
array (N, S, S, 3), as a list of grey arrays (S, S), and as a list of arrays of another size, which are resized. The
overhead is the difference to onnxruntime of the same round, so that changes of the machine's speed affect both. Wall
time is what a user waits; processor time also holds on a busy machine.

    python benchmarks/crop_overhead.py [MODEL|FOLDER ...] [--crops 320] [--rounds 30] [--other-size 64]
"""

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

import mien
from latency import named
from measured import Row, processor, record
from mien.data.synthetic.faces import draw_face
from mien.faces.crop import crop
from mien.inference.bundle import Bundle, shipped_models
from mien.inference.classifier import BATCH_SIZE
from mien.runtime.sessions import open_session

#: The call that the others are compared with.
ALONE = "onnxruntime alone"

Call = Callable[[], object]


def calls(bundle: Bundle, count: int, other_size: int) -> dict[str, Call]:
    """Return the calls by name; each classifies `count` crops in batches of the reader's own size."""
    size, channels = bundle.config.input_size, bundle.config.input_channels
    faces = [draw_face(("happy", "sad")[seed % 2], seed) for seed in range(16)]
    colour = np.resize([crop(face, size, 3) for face in faces], (count, size, size, 3))
    grey = list(np.resize([crop(face, size, 1)[..., 0] for face in faces], (count, size, size)))
    other = list(np.resize([crop(face, other_size, 3) for face in faces], (count, other_size, other_size, 3)))
    inputs = np.resize([crop(face, size, channels) for face in faces], (count, size, size, channels))
    batches = np.array_split(inputs.astype(np.float32), range(BATCH_SIZE, count, BATCH_SIZE))
    if bundle.config.mirror:  # the reader runs both
        batches = [np.concatenate([batch, batch[:, :, ::-1]]) for batch in batches]
    session = open_session(bundle.model, 1)
    outputs = ["logits", "maps"] if bundle.config.maps else ["logits"]
    reader = mien.load(bundle.path, threads=1, detect=False, device="cpu")
    return {
        ALONE: lambda: [session.run(outputs, {"image": batch}) for batch in batches],
        f"array (N, {size}, {size}, 3)": lambda: list(reader.predict_many(colour)),
        f"list of grey ({size}, {size})": lambda: list(reader.predict_many(grey)),
        f"list of ({other_size}, {other_size}, 3)": lambda: list(reader.predict_many(other)),
    }


def measure(given: dict[str, Call], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return seconds of wall and of processor time of each call in every round; the first round does not count."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in given}
    for _ in range(rounds + 1):
        for name, call in given.items():
            began, used = time.perf_counter(), time.process_time()
            call()
            times[name].append((time.perf_counter() - began, time.process_time() - used))
    return {name: values[1:] for name, values in times.items()}


def shown(values: Sequence[float]) -> str:
    return f"{median(values):7.4f} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="bundles, folders of them, runs  [all shipped]")
    parser.add_argument("--crops", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--other-size", type=int, default=64, metavar="PIXELS")
    options = parser.parse_args()
    print(f"{processor()}; one thread, {options.crops} crops, {options.rounds} rounds")
    print("overhead in ms per crop: median (minimum to maximum)")
    rows: list[Row] = []
    for model, bundle in named(options.models or list(shipped_models())).items():
        times = measure(calls(bundle, options.crops, options.other_size), options.rounds)
        alone = times.pop(ALONE)
        each = [wall / options.crops * 1e3 for wall, _ in alone]
        print(f"\n{model}: {ALONE} {median(each):.4f} ms per crop")
        print(f"{'':24} {'wall time':29} {'processor time':29} times onnxruntime")
        for name, values in times.items():
            pairs = list(zip(values, alone, strict=True))
            wall, used = ([(own[which] - base[which]) / options.crops * 1e3 for own, base in pairs] for which in (0, 1))
            ratio = median(own[1] / base[1] for own, base in pairs)
            rows.append((f"{model}: {name}, beside onnxruntime", "ms", wall))
            print(f"{name:24} {shown(wall):29} {shown(used):29} {ratio:.2f}")
    record("crop_overhead", rows)


if __name__ == "__main__":
    main()

"""Measure how fast bundles are on one thread: one face, batches and a photograph, against each other and Keras.

Models are called in alternating rounds, so that changes of the machine's speed affect all of them. Everything runs on
one thread. A bundle is timed

- one crop at a time through `Classifier`, from uint8 crop to logits and maps, with its mirror image if it asks for it;
- in batches by onnxruntime alone, without the mirror image, and end to end, from whole crops to answers (crops/s);
- end to end on a photograph, the astronaut of scikit-image if it is installed: decode, detect, classify.

Keras is timed through `predict_on_batch` on the same crop as float32. A run folder gives its bundle and its Keras
model. A folder of bundles stands for all of them, so two releases are compared by

    python benchmarks/latency.py OLD/models NEW/models

    python benchmarks/latency.py [MODEL|FOLDER ...] [--keras model.keras] [--calls 200] [--rounds 5] [--batch 64]
"""

import argparse
import io
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

# Set before TensorFlow loads, which reads them once.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

import numpy as np
from PIL import Image

import mien
from measured import Row, processor, record
from mien.data.synthetic.faces import draw_face
from mien.faces.crop import crop
from mien.inference.bundle import CONFIG_FILE, Bundle, load_bundle, shipped_models
from mien.inference.classifier import Classifier
from mien.io.layout import BUNDLE
from mien.runtime.sessions import open_session

WARM_UP = 30

Call = Callable[[int], Any]


def crops(size: int, channels: int) -> list[Any]:
    """Return sixteen drawn faces, uint8 (1, S, S, C) each."""
    faces = (draw_face(("happy", "sad")[seed % 2], seed) for seed in range(16))
    return [crop(face, size, channels)[np.newaxis] for face in faces]


def bundle_call(bundle: Bundle) -> Call:
    classifier = Classifier(bundle, threads=1)
    images = crops(bundle.config.input_size, bundle.config.input_channels)
    return lambda number: classifier(images[number % 16])


def batch_calls(bundle: Bundle, size: int) -> dict[str, Call]:
    """Return calls that read `size` crops: by onnxruntime alone, and end to end."""
    session = open_session(bundle.model, 1)
    images = np.concatenate(crops(bundle.config.input_size, bundle.config.input_channels))
    batch = np.resize(images, (size, *images.shape[1:]))
    (entry,) = session.inputs
    given = batch.astype(np.float32 if "float" in entry.type else np.uint8)
    reader = mien.load(bundle.path, threads=1, detect=False)
    faces = [draw_face(("happy", "sad")[seed % 2], seed % 16) for seed in range(size)]
    return {
        "onnxruntime": lambda _: session.run(["logits"], {entry.name: given}),
        "end to end": lambda _: list(reader.predict_many(faces, batch_size=size)),
    }


def photo_call(bundle: Bundle) -> Call | None:
    """Return a call that answers for a photograph from the bytes of its PNG file; None without scikit-image."""
    try:
        from skimage.data import astronaut
    except ImportError:
        return None
    stream = io.BytesIO()
    Image.fromarray(astronaut()).save(stream, "PNG")  # type: ignore[no-untyped-call]
    reader = mien.load(bundle.path, threads=1)
    return lambda _: reader.predict(stream.getvalue())


def large_photos() -> dict[str, bytes]:
    """Return JPEGs of 12 megapixels by what they show: a face as large as in a portrait, or none."""
    images = {"without a face": Image.linear_gradient("L").convert("RGB")}
    with suppress(ImportError):
        from skimage.data import astronaut

        # A drawn face is found less easily, and would be searched for as a small one is.
        images["with a large face"] = Image.fromarray(astronaut()).crop((96, 0, 352, 192))  # type: ignore[no-untyped-call]
    found = {}
    for name, image in images.items():
        stream = io.BytesIO()
        image.resize((4000, 3000), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
        found[f"12 megapixels {name}"] = stream.getvalue()
    return found


def large_photo_calls(bundle: Bundle) -> dict[str, Call]:
    reader = mien.load(bundle.path, threads=1)

    def call(photo: bytes) -> Call:
        return lambda _: reader.predict(photo)

    return {name: call(photo) for name, photo in large_photos().items()}


def named(models: Sequence[str]) -> dict[str, Bundle]:
    """Return the bundles; a folder that holds bundles gives each of them, named after the folder too."""
    found = {}
    for model in models:
        inside = sorted(path.parent for path in Path(model).glob(f"*/{CONFIG_FILE}") if path.parent.name != BUNDLE)
        if inside:
            found.update({str(path): load_bundle(path) for path in inside})
        else:
            found[model] = load_bundle(model)
    return found


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
    for model, bundle in named(models).items():
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
        for number in range(min(WARM_UP, count)):
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
    parser.add_argument("models", nargs="*", metavar="MODEL", help="bundles, folders of them, runs  [all shipped]")
    parser.add_argument("--keras", type=Path, metavar="FILE", help="a .keras file of the same network")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64, metavar="CROPS")
    options = parser.parse_args()
    calls, sizes = collect(options.models or list(shipped_models()), options.keras)
    if not calls:
        parser.error("no model comes with this installation; name a bundle or a run folder")
    print(f"{processor()}; one thread, batch 1, {options.rounds} × {options.calls} calls")
    times = measure(calls, options.calls, options.rounds)
    last = float(np.median(list(times.values())[-1]))
    width = max(len(name) for name in calls)
    print("one crop")
    print(f"{'model':{width}}  {'MB':>6}  {'median ms':>9}  {'p95 ms':>7}  times as fast as the last")
    for name, values in times.items():
        median, high = np.percentile(values, [50, 95])
        print(f"{name:{width}}  {sizes[name] / 1e6:6.2f}  {median:9.3f}  {high:7.3f}  {last / median:6.1f}")
    bundles = named(options.models or list(shipped_models()))
    rates = {name: batch_calls(bundle, options.batch) for name, bundle in bundles.items()}
    photos = {name: call for name, bundle in bundles.items() if (call := photo_call(bundle)) is not None}
    print(f"\n{'crops/s, batches of ' + str(options.batch):{width}}  onnxruntime  end to end   photo ms")
    found: dict[str, dict[str, float]] = {name: {} for name in bundles}
    for how in ("onnxruntime", "end to end"):
        taken = measure({name: calls[how] for name, calls in rates.items()}, options.calls // 10 or 1, options.rounds)
        for name, values in taken.items():
            found[name][how] = options.batch / float(np.median(values)) * 1e3
    for name, values in measure(photos, options.calls // 10 or 1, options.rounds).items():
        found[name]["photo"] = float(np.median(values))
    rows: list[Row] = []
    for name, row in found.items():
        photo = f"{row['photo']:11.2f}" if "photo" in row else ""
        print(f"{name:{width}}  {row['onnxruntime']:11.0f} {row['end to end']:11.0f}{photo}")
        rows += [
            (f"{name}: size of the graph", "MB", sizes[name] / 1e6),
            (f"{name}: one face", "ms", float(np.median(times[name]))),
            (f"{name}: crops, batches of {options.batch}", "crops/s", row["end to end"]),
            (f"{name}: crops by onnxruntime alone", "crops/s", row["onnxruntime"]),
        ]
        rows += [(f"{name}: photograph of 512 pixels", "ms", row["photo"])] if "photo" in row else []
    first = next(iter(bundles))
    for what, values in measure(large_photo_calls(bundles[first]), 3, options.rounds).items():
        print(f"{first}: {what}: {np.median(values) / 1e3:.3f} s")
        rows.append((f"{first}: {what}", "s", [value / 1e3 for value in values]))
    record("latency", rows)


if __name__ == "__main__":
    main()

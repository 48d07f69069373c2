"""Compare the devices that the installed onnxruntime offers: the model, the face detector, and whole photographs.

Each round runs every device once, in turn, so that changes of the machine's speed affect all of them. Printed are the
median time of a round and the median of its ratio to the CPU's in the same round, with the first and third quartile.

    python benchmarks/device_speed.py [MODEL ...] [--rounds 15] [--threads 2]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

import mien
from mien.data.synthetic.faces import draw_face
from mien.faces.yunet import YuNet
from mien.inference.bundle import load_bundle
from mien.inference.classifier import Classifier
from mien.runtime.cores import available_cores
from mien.runtime.providers import Device, offered_devices, quiet_onnxruntime
from mien.runtime.threads import map_in_order

Run = Callable[[], object]
#: Photographs of the last comparison, each with one drawn face of this side, in pixels.
_PHOTOS, _SIDE = 32, 320


def compare(title: str, runs: Mapping[Device, Run], rounds: int) -> None:
    """Print the times of each device's run, and its speed as a multiple of the CPU's."""
    times: dict[Device, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    for name, found in times.items():
        ratios = [cpu / other for cpu, other in zip(times["cpu"], found, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{title:<40} {name:<9} {1000 * statistics.median(found):8.1f} ms  "
            f"{middle:5.2f} times the CPU's speed [{low:.2f}, {high:.2f}]"
        )


def main() -> None:
    """Compare all offered devices on each model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=["mien", "mien-int8"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=available_cores())
    options = parser.parse_args()
    offered, threads = offered_devices(), options.threads
    print(f"onnxruntime {quiet_onnxruntime().__version__}; {', '.join(offered)}; {threads} threads")
    for model in options.models:
        bundle = load_bundle(model)
        size, channels = bundle.config.input_size, bundle.config.input_channels
        crops = np.random.default_rng(0).integers(0, 256, (32, size, size, channels), dtype=np.uint8)
        classifiers: dict[Device, Classifier] = {name: Classifier(bundle, threads, name) for name in offered}
        expected = classifiers["cpu"](crops)[0]
        for name, one in classifiers.items():
            print(f"{model}: logits on {name} differ by at most {np.abs(one(crops)[0] - expected).max():.2g}")
        for count in (32, 8, 1):
            runs = {name: partial(one, crops[:count]) for name, one in classifiers.items()}
            compare(f"{model}, batch of {count}", runs, options.rounds)
        readers = {name: mien.load(model, threads=threads, detect=True, device=name) for name in offered}
        reading = {name: partial(read, reader) for name, reader in readers.items()}
        compare(f"{model}, {_PHOTOS} photographs", reading, max(options.rounds // 3, 3))
        print(*{reader.device_note for reader in readers.values() if reader.device_note}, sep="\n")
    finding = {name: partial(find, YuNet(1, name), threads) for name in offered}
    compare(f"face detector, {2 * threads} images in {threads} threads", finding, options.rounds)


def read(reader: mien.Reader) -> object:
    """Find and classify the faces of some photographs."""
    return list(reader.predict_many([draw_face("happy", seed, _SIDE) for seed in range(_PHOTOS)]))


def find(network: YuNet, threads: int) -> object:
    """Run the detector's network on images of two shapes, side by side."""
    random = np.random.default_rng(0)
    images = [
        random.integers(0, 256, (1, 3, *shape)).astype(np.float32) for shape in [(480, 640), (640, 480)] * threads
    ]
    return list(map_in_order(lambda image: network(image, 0.9), images, threads))


if __name__ == "__main__":
    main()

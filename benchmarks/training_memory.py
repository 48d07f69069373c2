"""Measure the private memory of training from a cache larger than memory: 100 000 images of 256×256×3 (19.7 GB).

The cache is a sparse file of that size, mapped as `mien train` maps its own. `classic` is trained on rows sampled from
all of it. Private memory (USS) counts: mapped pages belong to the page cache, which the system reclaims as needed.

    python benchmarks/training_memory.py [--images 100000] [--trained 1600]
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from mien.training.backend import require_keras


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--trained", type=int, default=1_600)
    options = parser.parse_args()
    require_keras("the benchmark")
    from mien.training.config import TrainConfig
    from mien.training.loop.batches import TrainingArrays
    from mien.training.loop.fit import fit
    from mien.training.networks.networks import build

    config = TrainConfig.make({"network": "classic", "epochs": 1})
    peak, stop = [0.0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(peak, stop))
    with tempfile.TemporaryDirectory() as folder:
        shape = (options.images, 256, 256, 3)
        np.lib.format.open_memmap(Path(folder) / "cache.npy", "w+", np.uint8, shape).flush()
        crops = np.load(Path(folder) / "cache.npy", mmap_mode="r")
        rng = np.random.default_rng(0)
        rows = np.sort(rng.choice(options.images, options.trained, replace=False))
        targets = np.eye(2, dtype=np.float32)[rng.integers(0, 2, options.trained)]
        part = TrainingArrays(crops, rows, targets, np.ones(options.trained, np.float32))
        few = TrainingArrays(crops, rows[:64], targets[:64], np.ones(64, np.float32))
        watcher.start()
        history = fit(build(config, 2), config, part, few, Path(folder))
        stop.set()
        watcher.join()
    print(
        f"{options.images} images, {np.prod(shape) / 1e9:.1f} GB cache, {options.trained} trained on: peak private "
        f"memory {peak[0]:.0f} MiB, {history[0].images_per_second:.0f} images/s, "
        f"waited for input {history[0].input_share:.1%} of the time"
    )


def _watch(peak: list[float], stop: threading.Event) -> None:
    process = psutil.Process()
    while not stop.is_set():
        peak[0] = max(peak[0], process.memory_full_info().uss / 2**20)
        time.sleep(0.1)


if __name__ == "__main__":
    main()

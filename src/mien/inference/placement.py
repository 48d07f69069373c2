"""Choose the devices of a reader's two networks, the model's and the face detector's, by a quick trial."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from mien.arrays import Float32, Float64
from mien.errors import BundleError, ConfigError
from mien.faces.detector import Detector
from mien.faces.yunet import YuNet
from mien.inference.bundle import Bundle
from mien.inference.calibration import probabilities
from mien.inference.classifier import BATCH_SIZE, Classifier
from mien.runtime.cores import available_cores
from mien.runtime.providers import Device, offered_devices, require_device
from mien.runtime.threads import map_in_order

#: A network leaves the CPU for a device that is this many times as fast in every round of the trial. With less, noise
#: would decide, and the next call might choose otherwise.
MIN_GAIN = 1.25
#: A device whose probabilities differ from the CPU's by more is not used. 8-bit graphs round differently on each
#: processor, by up to 0.08 on the images that releases are tested with.
MAX_DIFFERENCE = 0.1
#: Every onnxruntime for macOS has CoreML, which loads slowly and computes in half precision: used if asked for.
_BY_NAME_ONLY = ("coreml",)
#: A run of the trial takes about this long on the CPU, in seconds; each device has so many runs.
_SECONDS, _ROUNDS = 0.1, 5
#: Height and width of the images that the detector is tried with.
_SHAPES = ((480, 640), (640, 480))


#: How many times as fast as the CPU each device is, in each round.
Speeds = Mapping[Device, Sequence[float]]


@dataclass(frozen=True)
class Placement:
    """A reader's networks, and a sentence that says where they run if something was asked for or tried."""

    classifier: Classifier
    detector: Detector
    note: str | None = None

    def with_mirror(self, mirror: bool | None) -> "Placement":
        """Return the same networks, averaging with mirror images or not, as `Classifier.with_mirror`."""
        return replace(self, classifier=self.classifier.with_mirror(mirror))


def place(bundle: Bundle, device: Device, threads: int | None, detect: bool) -> Placement:
    """Load a bundle's graph and the face detector.

    The model runs where `device` says. With `auto`, that is the CPU unless another offered device is clearly faster.
    The detector runs on the CPU, unless it is clearly faster on a device that was asked for or tried.

    Args:
        bundle: the model.
        device: where it runs.
        threads: how many threads a call may use; None is one per core this process may use.
        detect: whether the detector will be used; if not, it stays on the CPU.

    Raises:
        BundleError: the graph cannot be loaded.
        ConfigError: the device is not offered, cannot be used, or gives other answers than the CPU.
    """
    require_device(device)
    classifier = Classifier(bundle, threads)
    candidates = _candidates(device)
    if not candidates:
        return Placement(classifier, Detector(threads=1))  # images go side by side
    trial, failures = _Trial(classifier, bundle), []
    for candidate in candidates:
        try:
            trial.add(Classifier(bundle, threads, candidate))
        except (ConfigError, BundleError) as error:
            if device != "auto":
                raise
            failures.append(str(error))
    speeds, cores = trial.speeds(), available_cores()
    chosen = _fastest(speeds) if device == "auto" else device
    tried = list(speeds) if detect else []
    network, finding = _place_detector(tried, min(threads or cores, cores)) if tried else (None, "")
    if chosen != "cpu":
        running = f"{bundle.config.name} runs on {chosen}, {_comparison(speeds[chosen])}"
        running += f" (probabilities differ by at most {trial.differences[chosen]:.1g})"
    else:
        running = f"{bundle.config.name} runs on the CPU"
        running += "".join(f"; {name} would be {_comparison(speed)}" for name, speed in speeds.items())
    note = "; ".join([f"{running}{finding}", *failures])
    return Placement(trial.classifiers[chosen], Detector(threads=1, network=network), note)


def refuse_device(device: Device) -> None:
    """Raise ConfigError if a device is given beside a reader, whose networks are loaded."""
    if device != "auto":
        raise ConfigError(f"`device={device!r}`: a reader is on its device already; give it to mien.load")


class _Trial:
    """Runs the same crops on several devices; the CPU's answers are the right ones."""

    def __init__(self, classifier: Classifier, bundle: Bundle) -> None:
        self.classifiers: dict[Device, Classifier] = {"cpu": classifier}
        self.differences: dict[Device, float] = {}
        size, channels = bundle.config.input_size, bundle.config.input_channels
        noise = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, size, size, channels)).astype(np.float32)
        classifier(noise[:1])
        fitting = int(_SECONDS / _seconds(lambda: classifier(noise[:1])))
        self._crops: Float32 = noise[: max(fitting, BATCH_SIZE // 8)]
        self._expected = self._probabilities(classifier)

    def add(self, classifier: Classifier) -> None:
        """Take another device; ConfigError if its answers are not the CPU's, BundleError if it cannot run."""
        device = classifier.device
        difference = float(np.abs(self._probabilities(classifier) - self._expected).max())
        if not difference <= MAX_DIFFERENCE:  # nor if it is not a number
            raise ConfigError(
                f"`device={device!r}`: gives other probabilities than the CPU, by up to {difference:.2g}; "
                "use `device='cpu'`"
            )
        self.classifiers[device], self.differences[device] = classifier, difference

    def speeds(self) -> Speeds:
        """Return how many times as fast as the CPU each other device is."""

        def run(classifier: Classifier) -> Callable[[], object]:
            return lambda: classifier(self._crops)

        return _speeds({name: run(classifier) for name, classifier in self.classifiers.items()})

    def _probabilities(self, classifier: Classifier) -> Float64:
        return probabilities(classifier(self._crops)[0])


def _candidates(device: Device) -> tuple[Device, ...]:
    """Return the devices to compare with the CPU."""
    if device != "auto":
        return () if device == "cpu" else (device,)
    return tuple(name for name in offered_devices() if name not in ("cpu", *_BY_NAME_ONLY))


def _place_detector(devices: Sequence[Device], threads: int) -> tuple[YuNet | None, str]:
    """Return the detector's network on one of the devices, None for the CPU, and the end of a sentence that says so."""
    random = np.random.default_rng(0)
    images = threads * [random.integers(0, 256, (1, 3, *shape)).astype(np.float32) for shape in _SHAPES]

    def run(network: YuNet) -> Callable[[], object]:
        return lambda: list(map_in_order(lambda image: network(image, 0.9), images, threads))

    networks: dict[Device, YuNet] = {"cpu": YuNet(1)}
    for device in devices:
        try:
            network = YuNet(1, device)
            run(network)()  # the first run of each size makes ready
        except Exception:  # onnxruntime has no public exception tree
            continue
        networks[device] = network
    speeds = _speeds({name: run(network) for name, network in networks.items()})
    chosen = _fastest(speeds)
    if chosen == "cpu":
        return None, "; faces are found on the CPU"
    return networks[chosen], f"; faces are found on {chosen}, {_comparison(speeds[chosen])}"


def _speeds(runs: Mapping[Device, Callable[[], object]]) -> Speeds:
    """Return how many times as fast as the CPU's run that of each other device is in each round; they run in turn."""
    found: dict[Device, list[float]] = {name: [] for name in runs if name != "cpu"}
    for _ in range(_ROUNDS):
        seconds = {name: _seconds(run) for name, run in runs.items()}
        for name, speeds in found.items():
            speeds.append(seconds["cpu"] / seconds[name])
    return found


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _fastest(speeds: Speeds) -> Device:
    """Return the fastest of the devices that are clearly faster than the CPU in every round, else the CPU."""
    clear = {name: median(found) for name, found in speeds.items() if min(found) >= MIN_GAIN}
    return max(clear, key=lambda name: clear[name], default="cpu")


def _comparison(speeds: Sequence[float]) -> str:
    return f"{median(speeds):.1f} times as fast as on the CPU in a quick trial"

"""Square crops in, logits out: one onnxruntime session on the CPU."""

import os

import numpy as np
import numpy.typing as npt
import onnxruntime

from mien.bundle import Bundle
from mien.errors import BundleError

Floats = npt.NDArray[np.float32]


def available_cores() -> int:
    """Return how many cores this process may use (a container often grants fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Classifier:
    """Runs a bundle's graph.

    `threads` is how many threads one call may use; None is one per core this process may use.
    Raises BundleError when the graph cannot be loaded or does not have the tensors the config states.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._where = str(bundle.path)
        self._config = bundle.config
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors come back as exceptions; nothing is printed
        try:
            self._session = onnxruntime.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no public exception tree
            raise BundleError(f"{self._where}: the graph cannot be loaded ({str(error).splitlines()[0]})") from None
        self._outputs = ["logits", "maps"] if bundle.config.maps else ["logits"]
        self._check_tensors()

    def _check_tensors(self) -> None:
        config = self._config
        inputs = {tensor.name: tensor.shape for tensor in self._session.get_inputs()}
        outputs = {tensor.name: tensor.shape for tensor in self._session.get_outputs()}
        wanted = [config.input_size, config.input_size, config.input_channels]
        if list(inputs) != ["image"] or list(inputs["image"][1:]) != wanted:
            raise BundleError(f"{self._where}: the graph takes {inputs}, the config says image (N, {wanted})")
        missing = [name for name in self._outputs if name not in outputs]
        if missing or outputs["logits"][-1] != len(config.labels):
            raise BundleError(f"{self._where}: the graph gives {outputs}, the config has {len(config.labels)} labels")

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[Floats, Floats | None]:
        """Classify crops.

        `crops` is uint8 (N, S, S, C), [0, 255], RGB or grey as the bundle says. Returns logits float32
        (N, K) and, where the head allows it, class activation maps float32 (N, h, w, K) whose mean over
        h and w is the logits (Zhou et al., 2016); else None.
        """
        found = self._session.run(self._outputs, {"image": crops.astype(np.float32)})
        return found[0], found[1] if len(found) > 1 else None

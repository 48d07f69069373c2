"""Run ONNX graphs with onnxruntime, on the CPU or on another device; end those that run for ever.

Which devices there are: `mien.runtime.providers`. Which one is faster for a model: `mien.inference.placement`.
"""

import os
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from functools import partial
from io import StringIO
from typing import Any, NamedTuple, Self

from mien.errors import ConfigError
from mien.runtime.cores import available_cores
from mien.runtime.interruptible import run_interruptibly
from mien.runtime.providers import PROVIDERS, Device, quiet_onnxruntime, require_device
from mien.runtime.stderr import stderr_to
from mien.text import first_line

#: What a library says on stderr before the reason: a place in its sources, or a code.
_BEFORE_REASON = re.compile(r".*(?:\[ERROR\]|: FAIL :|with error:)\s*")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


_stoppers = threading.local()


class Stopper:
    """Ends the graphs that one thread runs: the block is that thread's, and any thread may call `stop`.

    Examples:
        >>> with Stopper() as stopper:
        ...     stopper.stop()  # a graph that is run in this block would fail at once
    """

    def __init__(self) -> None:
        self._options: Any = None
        self._stopped = False

    @property
    def options(self) -> Any:
        """The RunOptions for the graphs of this thread."""
        if self._options is None:
            self._options = quiet_onnxruntime().RunOptions()
            self._options.log_severity_level = 4
        if self._stopped:
            self._options.terminate = True
        return self._options

    def stop(self) -> None:
        """End the graph that the thread runs, between two of its operations, and every later one."""
        self._stopped = True
        if self._options is not None:
            self._options.terminate = True

    def __enter__(self) -> Self:
        _stoppers.current = self
        return self

    def __exit__(self, *_: object) -> None:
        _stoppers.current = None


class Tensor(NamedTuple):
    """An input or output of a graph: its name and type, and its shape, in which a name or None is of any length."""

    name: str
    type: str
    shape: list[int | str | None]


def _tensors(found: Sequence[Any]) -> list[Tensor]:
    """Read what onnxruntime decodes when it is asked: names that are not UTF-8 are an error here, not later."""
    return [Tensor(one.name, one.type, list(one.shape)) for one in found]


class Session:
    """An ONNX graph on one device; several threads may run it at the same time.

    Args:
        session: an InferenceSession of onnxruntime.
        device: where it runs.
    """

    def __init__(self, session: Any, device: Device) -> None:
        self._session, self.device = session, device
        self._turn: AbstractContextManager[Any] = threading.Lock() if PROVIDERS[device].alone else nullcontext()
        self.inputs, self.outputs = _tensors(session.get_inputs()), _tensors(session.get_outputs())

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        """Return the named outputs of the graph as arrays; Ctrl-C ends even a graph that would run for ever.

        Raises whatever onnxruntime raises.

        Args:
            outputs: names of the outputs.
            inputs: an array for each input.
        """
        if threading.current_thread() is not threading.main_thread():
            stopper: Stopper | None = getattr(_stoppers, "current", None)
            return self._run(outputs, inputs, *([] if stopper is None else [stopper.options]))
        options = quiet_onnxruntime().RunOptions()
        options.log_severity_level = 4

        def stop() -> None:
            options.terminate = True  # seen between two operations

        return run_interruptibly(partial(self._run, outputs, inputs, options), stop)

    def _run(self, *arguments: Any) -> list[Any]:
        with self._turn:
            return list(self._session.run(*arguments))


def open_session(model: bytes, threads: int | None = None, device: Device = "cpu") -> Session:
    """Open an ONNX graph; it prints nothing, and reads no file besides the graph.

    Args:
        model: the bytes of the graph.
        threads: how many threads one run may use, at most one per core this process may use; None is one per core.
        device: where it runs, anything but `auto`.

    Raises:
        ConfigError: the device is not offered, or onnxruntime would run the graph on the CPU in its place.
        Exception: whatever onnxruntime raises on the CPU; it has no public exception tree.
    """
    require_device(device)
    onnxruntime = quiet_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(threads or available_cores(), available_cores())  # more would wait in turns
    options.inter_op_num_threads = 1
    # Weights in a file beside the graph would not be covered by its sha256: let none be found.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 4  # errors come back as exceptions
    if device == "cpu":
        return Session(onnxruntime.InferenceSession(model, options, providers=[PROVIDERS["cpu"].name]), device)
    return Session(_open_elsewhere(onnxruntime, model, options, threads, device), device)


def _open_elsewhere(onnxruntime: Any, model: bytes, options: Any, threads: int | None, device: Device) -> Any:
    """Open a session on another device than the CPU; ConfigError if that cannot take any of the graph."""
    import tempfile

    provider = PROVIDERS[device]
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.use_deterministic_compute = True
    if device == "directml":
        options.enable_mem_pattern = False  # it cannot be used with it
    wanted = [(provider.name, _provider_options(device, threads))]  # and the CPU for what it lacks
    with tempfile.TemporaryFile() as held:
        try:
            # A provider that fails says why on stderr alone; onnxruntime then goes on with the CPU.
            with stderr_to(held), redirect_stdout(StringIO()):
                if device == "cuda" and hasattr(onnxruntime, "preload_dlls"):
                    onnxruntime.preload_dlls()  # of NVIDIA's packages
                session = onnxruntime.InferenceSession(model, options, providers=wanted, enable_fallback=0)
        except Exception as error:  # onnxruntime has no public exception tree
            raise _unusable(device, first_line(error)) from None
        held.seek(0)
        said = held.read().decode(errors="replace")
    if provider.name not in session.get_providers():
        raise _unusable(device, _reason(said))
    if not _takes_part(session, provider.name):
        raise _unusable(device, "it takes no part of this graph")
    return session


def _provider_options(device: Device, threads: int | None) -> dict[str, str]:
    if device == "cuda":
        # Products in full precision; kernels chosen without trying each for every new size of a batch.
        return {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    if device == "openvino":
        # Runs at the same time share its threads: as many streams as runs fit beside each other.
        cores = available_cores()
        streams = max(cores // (threads or cores), 1)
        return {
            "device_type": "CPU", "precision": "FP32", "num_of_threads": str(cores), "num_streams": str(streams)
        }  # fmt: skip
    return {}


def _takes_part(session: Any, provider: str) -> bool:
    """Return whether a provider runs any node; True if this onnxruntime does not tell (before version 1.24)."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return True
    parts = session.get_provider_graph_assignment_info()
    return any(part.ep_name == provider and len(part.get_nodes()) for part in parts)


def _unusable(device: Device, reason: str) -> ConfigError:
    return ConfigError(f"`device={device!r}`: onnxruntime offers it, but it cannot be used ({reason})")


def _reason(said: str) -> str:
    """Return why a provider failed, from what onnxruntime wrote to stderr."""
    lines = [_COLOUR.sub("", line) for line in said.splitlines()]
    found = [_BEFORE_REASON.sub("", line) for line in lines if _BEFORE_REASON.match(line)]
    words = " ".join((found or lines or [""])[0].split())
    return words[-200:] or "onnxruntime falls back to the CPU"

"""How mien opens a graph in onnxruntime: on the CPU, quietly, and with nothing read from beside it."""

import os
import sys
from typing import Any

from mien.cores import available_cores


def quiet_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry off, and leave the environment as it was.

    From version 1.29 the official wheels write a device id and a database below the home folder and send
    events, unless this variable is set when the library is first imported; it is read once. Where a
    program has imported onnxruntime before, that program's choice stands.
    """
    if "onnxruntime" in sys.modules:
        return sys.modules["onnxruntime"]
    name = "ORT_DISABLE_TELEMETRY"
    before = os.environ.get(name)
    os.environ[name] = before or "1"
    try:
        import onnxruntime
    finally:
        if before is None:
            del os.environ[name]
    return onnxruntime


def open_session(model: bytes, threads: int | None = None) -> Any:
    """Return an InferenceSession of an ONNX graph; several threads may run it at the same time.

    `threads` is how many threads one run may use; None is one per core this process may use. Raises
    whatever onnxruntime raises (it has no public exception tree); nothing is printed.
    """
    onnxruntime = quiet_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.inter_op_num_threads = 1
    # Weights in a file beside the graph would not be covered by its sha256: let none be found.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 4  # errors come back as exceptions
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

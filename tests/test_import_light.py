"""Importing mien is light and polite: no frameworks, no files, no threads, nothing global changed."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

HEAVY = [
    *("keras", "tensorflow", "jax", "torch", "fastapi", "matplotlib", "rich", "click", "sklearn", "skimage", "scipy"),
    *("onnx", "tf2onnx", "h5py", "cv2", "pandas", "av", "ray", "uvicorn"),
    *("starlette", "pydantic", "prometheus_client", "python_multipart", "websockets", "filelock", "_pi_heif"),
]

PROBE = """
    import json, logging, os, sys, threading, warnings

    opened = []
    def listen(event, arguments):
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            opened.append(os.fsdecode(arguments[0]))

    def state():
        root = logging.getLogger()
        loggers = {name: log for name, log in logging.root.manager.loggerDict.items() if hasattr(log, "level")}
        return {
            "levels": [root.level, logging.root.manager.disable],
            "handlers": [repr(handler) for handler in root.handlers],
            "loggers": sorted(name for name, log in loggers.items() if log.level or log.handlers),
            "warnings": [repr(entry) for entry in warnings.filters],
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "hooks": [repr(sys.excepthook), repr(sys.unraisablehook), repr(sys.displayhook)],
            "recursion": sys.getrecursionlimit(),
        }

    for module in BASE:
        __import__(module)
    sys.addaudithook(listen)
    before = state()
    for module in OURS:
        __import__(module)
    after = state()
    tasks = "/proc/self/task"
    print(json.dumps({
        "modules": sorted(sys.modules),
        "changed": sorted(name for name in before if before[name] != after[name]),
        "opened": opened,
        "threads": [thread.name for thread in threading.enumerate()],
        "tasks": len(os.listdir(tasks)) if os.path.isdir(tasks) else 1,
        "streams": [sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
    }))
"""


def probe(base: list[str], ours: list[str]) -> dict[str, Any]:
    """What importing `ours` does to a fresh interpreter that has already imported `base`."""
    code = f"BASE, OURS = {base}, {ours}\n" + textwrap.dedent(PROBE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return probe([], ["mien"])


@pytest.fixture(scope="module")
def after_its_libraries() -> dict[str, Any]:
    return probe(["numpy", "PIL.Image", "PIL.ImageOps"], ["mien"])


def test_no_framework_is_loaded(alone: dict[str, Any]) -> None:
    assert "mien.inference.reader" in alone["modules"]
    assert {name.split(".")[0] for name in alone["modules"]} & set(HEAVY) == set()


def test_the_runtime_is_loaded_only_to_run(alone: dict[str, Any]) -> None:
    assert "onnxruntime" not in alone["modules"]


def test_reading_an_image_sends_and_stores_nothing(make_bundle: Any, tmp_path: Path) -> None:
    """onnxruntime's wheels write a device id and a database below the home folder unless told not to."""
    bundle = make_bundle()
    code = f"""
        import os
        before = dict(os.environ)
        import mien, numpy
        mien.load({str(bundle)!r}).predict(numpy.zeros((40, 40, 3), "uint8"))
        assert dict(os.environ) == before
    """
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    (tmp_path / "home").mkdir()
    settings = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=settings | home, check=True)
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name or path.name == "deviceid"] == []


def test_training_and_the_command_are_not_loaded(alone: dict[str, Any]) -> None:
    assert [name for name in alone["modules"] if name.startswith(("mien.training", "mien.cli", "mien.server"))] == []


def test_nothing_global_is_changed(after_its_libraries: dict[str, Any]) -> None:
    assert after_its_libraries["changed"] == []
    assert after_its_libraries["streams"] == [True, True]


def test_no_file_is_opened_but_modules(after_its_libraries: dict[str, Any]) -> None:
    others = [name for name in after_its_libraries["opened"] if not name.endswith((".py", ".pyc", ".so", ".pyd"))]
    assert [name for name in others if ".dist-info" not in name] == []
    assert any("mien" in name for name in after_its_libraries["opened"])


def test_no_thread_is_started(after_its_libraries: dict[str, Any]) -> None:
    assert after_its_libraries["threads"] == ["MainThread"]
    libraries = probe([], ["numpy", "PIL.Image", "PIL.ImageOps"])
    assert after_its_libraries["tasks"] <= libraries["tasks"]


def test_the_command_loads_only_what_its_verb_needs() -> None:
    help_only = probe([], ["mien.cli"])["modules"]
    assert {name.split(".")[0] for name in help_only} & (set(HEAVY) - {"click"}) == set()
    predict = probe([], ["mien.cli.verbs.predict", "mien.cli.verbs.evaluate"])["modules"]
    assert {name.split(".")[0] for name in predict} & (set(HEAVY) - {"click"}) == set()


def test_the_probe_notices() -> None:
    """Each of the checks above fails for a module that deserves it."""
    logged = probe([], ["logging.config"])
    assert logged["opened"]
    assert "matplotlib" in probe([], ["matplotlib.figure"])["modules"]

"""`--device` of every verb that runs a model: one sentence if it is not there, and one if it was chosen."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.runtime.providers import installed_runtimes, offered_devices

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("verb", ["predict", "evaluate", "explain", "check", "serve"])
def test_what_is_not_offered_is_one_line_with_the_line_for_pip(verb: str, call: Call, photo: Path, faces: Path) -> None:
    if "cuda" in offered_devices():
        pytest.skip("it is offered here")
    inputs: dict[str, list[object]] = {
        "predict": [photo],
        "explain": [photo, "--out", "heat.png"],
        "serve": ["--port", "0"],
    }
    code, out, err = call(verb, *inputs.get(verb, [faces]), "--device", "cuda")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--device cuda: the installed onnxruntime has cpu" in err
    assert f"pip uninstall -y {' '.join(installed_runtimes())} && pip install 'onnxruntime-gpu[cuda,cudnn]'" in err
    assert "overwrite each other" in err


def test_ray_runs_on_the_cpu(call: Call, photo: Path) -> None:
    code, _, err = call("predict", photo, "--engine", "ray", "--parquet", "rows", "--device", "openvino")
    assert code == 2
    assert "--device openvino: does not work with --engine ray" in err


def test_a_device_is_said_beside_the_rows(stand_in: None, call: Call, faces: Path, three_way: Path) -> None:
    image = next(faces.rglob("*.png"))
    model = ["--model", three_way, "--json", "-"]
    code, out, err = call("predict", image, *model, "--device", "openvino")
    assert (code, len(json.loads(out))) == (0, 1)
    assert "runs on openvino, " in err
    code, out, err = call("evaluate", faces, *model, "--device", "openvino")
    assert (code, json.loads(out)["about"]["device"]) == (0, "openvino")
    assert "runs on openvino, " in err


def test_nothing_is_said_if_there_is_nothing_to_choose(call: Call, faces: Path, three_way: Path) -> None:
    if set(offered_devices()) - {"cpu", "coreml"}:
        pytest.skip("there is")
    code, _, err = call("predict", next(faces.rglob("*.png")), "--model", three_way, "--json", "-")
    assert code == 0
    assert "runs on" not in err

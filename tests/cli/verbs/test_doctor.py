"""`mien doctor` reports and counts what is broken; a missing extra is not an error."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from mien.cli import doctor_extras, doctor_system
from mien.cli.doctor_extras import check_extra
from mien.cli.doctor_requirements import requirements
from mien.cli.doctor_system import Check, check_runtime, system_checks
from mien.faces import yunet
from mien.inference import bundle
from mien.runtime.providers import offered_devices

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def core_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No extra is known: importing all of them takes a minute."""
    monkeypatch.setattr("mien.cli.verbs.doctor.extras", list)


def state_of(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def test_a_sound_installation_is_sound(core_only: None, call: Call) -> None:
    code, out, _ = call("doctor")
    assert code == 0, out
    assert "everything that is installed works" in out
    for words in (
        "python",
        "processor",
        "cores",
        "onnxruntime",
        "model mien",
        "face detector",
        "self test",
        "mien-runs",
    ):
        assert words in out


def test_json_says_the_same(core_only: None, call: Call) -> None:
    code, out, _ = call("doctor", "--json", "-")
    found = json.loads(out)
    assert (code, found["ok"]) == (0, True)
    assert {"name", "state", "text", "fix"} == set(found["checks"][0])
    assert {row["state"] for row in found["checks"]} <= {"ok", "info"}


def test_any_package_that_brings_onnxruntime_will_do_in_a_version_that_fits() -> None:
    for package in ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml"):
        found = check_runtime({package: "1.24.1"}, "pip install mien")
        assert (found.state, found.text) == ("ok", f"{package} 1.24.1")
        old = check_runtime({package: "1.2.0"}, "pip install mien")
        assert old.state == "broken"
        assert f"{package} 1.2.0 is not >=" in old.text
        assert old.fix.startswith(f"pip install '{package}>=")
    assert check_runtime({}, "pip install mien").fix == "pip install mien"


def test_two_onnxruntimes_are_broken_and_the_one_with_a_device_is_kept() -> None:
    found = check_runtime({"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}, "pip install mien")
    assert found.state == "broken"
    assert "are installed together and overwrite each other's files" in found.text
    assert found.fix == "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"


def test_the_offered_devices_are_listed(core_only: None, call: Call) -> None:
    rows = {row["name"]: row for row in json.loads(call("doctor", "--json", "-")[1])["checks"]}
    for name in offered_devices():
        assert name in rows["devices"]["text"]
        assert name == "cpu" or f"device {name}" in rows


def test_a_device_that_is_offered_and_cannot_be_used_is_broken(
    core_only: None, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with onnxruntime-gpu on a machine without a GPU."""
    if "cuda" in offered_devices():
        pytest.skip("CUDA may work here")
    monkeypatch.setattr(doctor_system, "offered_devices", lambda: ("cpu", "cuda"))
    code, out, _ = call("doctor", "--json", "-")
    rows = {row["name"]: row for row in json.loads(out)["checks"]}
    assert (code, rows["device cuda"]["state"], rows["device cuda"]["fix"]) == (1, "broken", "use --device cpu")
    assert "--device cuda: " in rows["device cuda"]["text"]


def test_damaged_weights_are_found(shipped: Path, core_only: None, call: Call) -> None:
    path = shipped / "mien-two" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    code, out, _ = call("doctor")
    assert code == 1
    assert "model mien-two" in out
    assert "sha256" in out
    assert state_of(list(system_checks()))["model mien"] == "ok"


def test_missing_models_are_found(nothing_shipped: None, core_only: None, call: Call) -> None:
    assert not bundle.shipped_models()
    code, out, _ = call("doctor")
    assert code == 1
    assert "none in this installation" in out


def test_a_missing_face_detector_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, core_only: None, call: Call
) -> None:
    monkeypatch.setattr(yunet, "WEIGHTS", tmp_path / "gone.onnx")
    code, out, _ = call("doctor")
    assert code == 1
    assert "weights are missing" in out


def installed(versions: dict[str, str], name: str) -> str:
    """Stand in for `metadata.version` where only these distributions are installed."""
    if name not in versions:
        raise metadata.PackageNotFoundError(name)
    return versions[name]


def needs(monkeypatch: pytest.MonkeyPatch, *rows: Requirement) -> None:
    monkeypatch.setattr(doctor_extras, "requirements", lambda _: list(rows))


@pytest.mark.parametrize(
    ("noted", "words"),
    [
        (None, "mien"),
        ({"url": "file:///home/ann/my%20code", "dir_info": {"editable": True}}, "-e '/home/ann/my code'"),
        ({"url": "file:///home/ann/mien", "dir_info": {}}, "/home/ann/mien"),
        ({"url": "file:///home/ann/mien-0.2.0-py3-none-any.whl", "archive_info": {}},
         "/home/ann/mien-0.2.0-py3-none-any.whl"),
    ],
)  # fmt: skip
def test_a_repair_names_the_place_that_mien_came_from(
    noted: dict[str, object] | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mien-0.2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mien\nVersion: 0.2.0\n")
    if noted:
        (folder / "direct_url.json").write_text(json.dumps(noted))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert doctor_system.origin() == words


def test_an_extra_that_is_not_installed_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    needs(monkeypatch, Requirement("numpy"), Requirement("no-such-distribution>=1"))
    found = check_extra("video")
    assert (found.state, found.fix) == ("missing", "pip install 'mien[video]'")
    assert "no-such-distribution missing" in found.text


@pytest.mark.parametrize("versions", [">=999.1", ">=1,<2"], ids=["too old", "too new"])
def test_a_version_that_does_not_fit_is_broken(monkeypatch: pytest.MonkeyPatch, versions: str) -> None:
    needs(monkeypatch, Requirement(f"numpy{versions}"))
    found = check_extra("video")
    assert (found.state, found.fix) == ("broken", f"pip install 'numpy{Requirement('numpy' + versions).specifier}'")
    assert f"numpy {np.__version__} is not {Requirement('numpy' + versions).specifier}" in found.text


def test_either_tensorflow_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"tensorflow": "2.20.1"}

    monkeypatch.setattr(metadata, "version", lambda name: installed(versions, name))
    monkeypatch.setattr(doctor_extras, "_import", lambda modules: ("", f"; imported {modules}"))
    needs(monkeypatch, Requirement("tensorflow-cpu>=2.18"))
    found = check_extra("train")
    assert (found.state, found.text) == (
        "ok", "mien train, export, demo: tensorflow 2.20.1; imported ['tensorflow']"
    )  # fmt: skip
    needs(monkeypatch, Requirement("tensorflow-cpu>=2.21"))
    assert "tensorflow 2.20.1 is not >=2.21" in check_extra("train").text
    versions.clear()
    assert "not installed (tensorflow-cpu missing)" in check_extra("train").text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise RuntimeError('its library is gone')", "cannot be imported (RuntimeError: its library is gone)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "crashes when imported (SIGILL)"),
    ],
)
def test_an_extra_that_cannot_be_imported_is_broken(
    body: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brokenpart.py").write_text(body)
    info = tmp_path / "brokenpart-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brokenpart\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    needs(monkeypatch, Requirement("brokenpart>=1.0"))
    found = check_extra("video")
    assert found.state == "broken"
    assert words in found.text


def test_what_an_extra_needs_is_read_from_the_package() -> None:
    names = {row.name for row in requirements("train")}
    assert {"keras", "onnx", "matplotlib"} <= names
    assert len(names & {"tensorflow-cpu", "tensorflow"}) == 1, "markers choose one"
    assert [str(row.specifier) for row in requirements("report") if row.name == "matplotlib"] == [">=3.9.2"]
    assert requirements("no-such-extra") == []


def test_the_core_is_held_to_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=2.0",
        "click<8",
        "no-such-distribution>=1",
        "av>=99; extra == 'video'",
        "rich>=99; python_version < '3'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    core = next(check for check in system_checks() if check.name == "core")
    assert (core.state, core.fix) == ("broken", "pip install 'click<8' 'no-such-distribution>=1'")
    assert core.text == f"click {metadata.version('click')} is not <8, no-such-distribution missing"


def test_the_core_is_read_from_the_package() -> None:
    names = {row.name for row in requirements()}
    assert {"numpy", "pillow", "onnxruntime", "click"} <= names
    assert not {"keras", "fastapi", "av"} & names


def test_an_extra_of_a_requirement_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """`psycopg[binary]` is not complete without `psycopg-binary`, in the version that psycopg names."""
    known = {"mien": ["psycopg[binary]>=3.2; extra == 'a'"], "psycopg": ["psycopg-binary==3.2.9; extra == 'binary'"]}
    versions = {"psycopg": "3.2.9"}
    monkeypatch.setattr(metadata, "requires", known.__getitem__)
    monkeypatch.setattr(metadata, "version", lambda name: installed(versions, name))
    assert "(psycopg-binary missing)" in check_extra("a").text
    versions["psycopg-binary"] = "3.2.8"
    found = check_extra("a")
    assert (found.state, found.fix) == ("broken", "pip install 'psycopg-binary==3.2.9'")
    assert "psycopg-binary 3.2.8 is not ==3.2.9" in found.text


def test_markers_bounds_and_included_extras_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=2.0", "tomli>=1; python_version >= '3'", "one<3,>=1; extra == 'a'", "Two ~= 1.5 ; extra == 'a'",
        "never; sys_platform == 'nowhere' and extra == 'a'", "mien[b,c]; extra == 'a'", "three!=2; extra == 'b'",
        "four; (extra == 'b' or extra == 'c') and python_version >= '3'", "five; extra == 'd'",
    ]  # fmt: skip
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    found = [(row.name, str(row.specifier)) for row in requirements("a")]
    assert found == [("one", "<3,>=1"), ("Two", "~=1.5"), ("three", "!=2"), ("four", ""), ("four", "")]


def test_it_needs_the_core_alone() -> None:
    """Without any optional library in the process that looks."""
    code = """
import sys
for name in ("keras", "tensorflow", "matplotlib", "fastapi", "optuna", "av", "pyarrow", "ray", "sklearn", "onnx"):
    sys.modules[name] = None
import mien.cli.verbs.doctor as doctor
from mien.cli.doctor_system import system_checks
print({check.state for check in system_checks()} <= {"ok", "info"})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.slow
def test_all_installed_parts_work(call: Call) -> None:
    code, out, _ = call("doctor")
    assert code == 0, out
    assert "Keras runs on" in out

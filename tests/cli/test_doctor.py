"""`mien doctor`: what is broken is said and counted; what is not installed is no fault."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.cli import doctor_extras
from mien.cli.doctor_extras import Requirement, check_extra, requirements
from mien.cli.doctor_system import Check, system_checks
from mien.faces import yunet
from mien.inference import bundle

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def core_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No optional part is known: importing them all takes a minute."""
    monkeypatch.setattr("mien.cli.doctor.extras", list)


def state_of(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def test_a_sound_installation_is_sound(core_only: None, call: Call) -> None:
    code, out, _ = call("doctor")
    assert code == 0, out
    assert "all that is installed works" in out
    for words in ("python", "processor", "cores", "onnxruntime", "model mien", "face finder", "self test", "mien-runs"):
        assert words in out


def test_json_says_the_same(core_only: None, call: Call) -> None:
    code, out, _ = call("doctor", "--json", "-")
    found = json.loads(out)
    assert (code, found["ok"]) == (0, True)
    assert {"name", "state", "text", "fix"} == set(found["checks"][0])
    assert {row["state"] for row in found["checks"]} <= {"ok", "info"}


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
    assert "none comes with this installation" in out


def test_a_missing_face_finder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, core_only: None, call: Call
) -> None:
    monkeypatch.setattr(yunet, "WEIGHTS", tmp_path / "gone.onnx")
    code, out, _ = call("doctor")
    assert code == 1
    assert "face finder's weights are missing" in out


def needs(monkeypatch: pytest.MonkeyPatch, *rows: Requirement) -> None:
    monkeypatch.setattr(doctor_extras, "requirements", lambda _: list(rows))


def test_a_part_that_is_not_installed_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    needs(monkeypatch, Requirement("numpy", ""), Requirement("no-such-distribution", ""))
    found = check_extra("video")
    assert (found.state, found.fix) == ("missing", "pip install 'mien[video]'")
    assert "no-such-distribution missing" in found.text


def test_a_part_that_is_too_old_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    needs(monkeypatch, Requirement("numpy", "999.1"))
    found = check_extra("video")
    assert found.state == "broken"
    assert "is older than 999.1" in found.text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise RuntimeError('its library is gone')", "cannot be imported (RuntimeError: its library is gone)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "crashes when imported (SIGILL)"),
    ],
)
def test_a_part_that_cannot_be_imported_is_broken(
    body: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brokenpart.py").write_text(body)
    info = tmp_path / "brokenpart-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brokenpart\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    needs(monkeypatch, Requirement("brokenpart", "1.0"))
    found = check_extra("video")
    assert found.state == "broken"
    assert words in found.text


def test_what_a_part_needs_is_read_from_the_package() -> None:
    names = {row.name for row in requirements("train")}
    assert {"keras", "onnx", "matplotlib"} <= names
    assert Requirement("matplotlib", "3.9") in requirements("report")
    assert requirements("no-such-part") == []


def test_it_needs_the_core_alone() -> None:
    """Without any optional library in the process that looks."""
    code = """
import sys
for name in ("keras", "tensorflow", "matplotlib", "fastapi", "optuna", "av", "pyarrow", "ray", "sklearn", "onnx"):
    sys.modules[name] = None
import mien.cli.doctor as doctor
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

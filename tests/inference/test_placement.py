"""`auto` leaves the CPU for a device that is clearly faster and answers alike, and says what it chose."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mien
from mien.errors import BundleError, ConfigError
from mien.inference import placement
from mien.inference.bundle import load_bundle
from mien.inference.placement import MIN_GAIN, place
from mien.inference.reader import Reader
from mien.runtime.providers import Device, offered_devices


def test_alone_the_cpu_is_taken_without_a_trial_or_a_word(monkeypatch: pytest.MonkeyPatch, three_way: Path) -> None:
    monkeypatch.setattr(placement, "offered_devices", lambda: ("cpu", "coreml"))  # as on every Mac
    monkeypatch.setattr(placement, "_speeds", None)
    for reader in (mien.load(three_way), mien.load(three_way, device="cpu")):
        assert (reader.device, reader.detector.device, reader.device_note) == ("cpu", "cpu", None)
        assert " on " not in repr(reader)


def test_a_device_that_was_asked_for_runs_the_model(stand_in: None, three_way: Path) -> None:
    reader = mien.load(three_way, threads=1, device="openvino", detect=False)
    assert reader.device == "openvino"
    assert "runs on openvino" in str(reader.device_note)
    assert "differ by at most 0" in str(reader.device_note)
    assert "reads whole images on openvino" in repr(reader)
    size, channels = reader.config.input_size, reader.config.input_channels
    crops = np.random.default_rng(0).integers(0, 256, (5, size, size, channels), dtype=np.uint8)
    assert (reader.logits(crops) == mien.load(three_way, device="cpu").logits(crops)).all()


def test_auto_stays_on_the_cpu_if_another_is_no_faster(
    stand_in: None, three_way: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "MIN_GAIN", 1e9)
    reader = mien.load(three_way, threads=1)
    assert (reader.device, reader.detector.device) == ("cpu", "cpu")
    assert "runs on the CPU; openvino would be" in str(reader.device_note)


def test_auto_takes_the_faster_one_and_says_so(
    stand_in: None, three_way: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "MIN_GAIN", 0.0)
    reader = mien.load(three_way, threads=1, detect=True)
    assert (reader.device, reader.detector.device) == ("openvino", "openvino")
    assert str(reader.device_note).count("times as fast as on the CPU") == 2
    assert "faces are found on openvino" in str(reader.device_note)
    other = reader.variant(faces="largest")
    assert (other.device, other.detector, other.device_note) == ("openvino", reader.detector, reader.device_note)


def test_a_device_that_answers_otherwise_is_not_used(
    stand_in: None, three_way: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "MAX_DIFFERENCE", -1.0)
    monkeypatch.setattr(placement, "MIN_GAIN", 0.0)
    with pytest.raises(ConfigError, match=r"`device='openvino'`: gives other probabilities than the CPU"):
        mien.load(three_way, device="openvino")
    reader = mien.load(three_way)
    assert reader.device == "cpu"
    assert "gives other probabilities" in str(reader.device_note)


def test_auto_goes_on_without_a_device_that_cannot_be_used(three_way: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime-gpu on a machine without a GPU offers CUDA, too."""
    if "cuda" in offered_devices():
        pytest.skip("CUDA may work here")
    monkeypatch.setattr(placement, "offered_devices", lambda: ("cpu", "cuda"))
    reader = mien.load(three_way)
    assert reader.device == "cpu"
    assert "runs on the CPU; `device='cuda'`: " in str(reader.device_note)


def test_a_damaged_graph_is_the_bundle_s_fault_on_every_device(stand_in: None, three_way: Path) -> None:
    bundle = replace(load_bundle(three_way), model=b"no graph")
    for device in ("cpu", "openvino"):
        with pytest.raises(BundleError, match="the graph cannot be loaded"):
            place(bundle, device, 1, detect=False)


def test_only_what_is_clearly_faster_in_every_round_leaves_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def takes(seconds: float) -> Callable[[], None]:
        return lambda: clock.append(clock[-1] + seconds)

    monkeypatch.setattr("mien.inference.placement.time.perf_counter", lambda: clock[-1])
    found = placement._speeds({"cpu": takes(0.05), "cuda": takes(0.01)})
    assert found["cuda"] == pytest.approx([5.0] * len(found["cuda"]))
    assert min(found["cuda"]) > MIN_GAIN
    assert placement._fastest(found) == "cuda"
    assert placement._fastest({"cuda": [9.0, 0.99 * MIN_GAIN, 9.0]}) == "cpu"
    assert placement._fastest({"cuda": [2.0, 2.0], "openvino": [1.9, 3.0]}) == "openvino"
    assert placement._fastest({}) == "cpu"


def test_a_reader_cannot_be_moved(three_way: Path, tmp_path: Path) -> None:
    reader = mien.load(three_way)
    for call in (mien.check, mien.evaluate, mien.explain_dataset):
        with pytest.raises(ConfigError, match=r"a reader is on its device already; give it to mien\.load"):
            call(tmp_path, model=reader, device="cpu")
    with pytest.raises(ConfigError, match="a reader is on its device already"):
        mien.explain(np.zeros((50, 50, 3), np.uint8), model=reader, device="cpu")


def test_every_door_refuses_what_is_not_offered(three_way: Path, tmp_path: Path) -> None:
    candidates: tuple[Device, ...] = ("cuda", "openvino")
    device = next(name for name in candidates if name not in offered_devices())
    for call in (
        lambda: mien.load(three_way, device=device),
        lambda: Reader(load_bundle(three_way), device=device),
        lambda: mien.check(tmp_path, device=device),
        lambda: mien.explain(tmp_path, model=three_way, device=device),
        lambda: mien.explain_dataset(tmp_path, model=three_way, device=device),
    ):
        with pytest.raises(ConfigError, match=f"`device='{device}'`: the installed onnxruntime has cpu"):
            call()

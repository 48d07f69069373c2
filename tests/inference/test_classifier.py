"""Graphs that do not fit their config, maps, and batches."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundles import refusal, rewrite
from graphs import convolving, endless, odd_maps
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

import mien
from mien.errors import BundleError, ConfigError
from mien.inference.bundle import load_bundle
from mien.inference.classifier import Classifier, in_batches

MakeBundle = Callable[..., Path]


def graph(
    image: tuple[Any, ...] = ("N", 16, 16, 3),
    logits: tuple[Any, ...] = ("N", 2),
    names: tuple[str, str] = ("image", "logits"),
    kind: int = TensorProto.FLOAT,
) -> bytes:
    """A valid ONNX graph whose tensors are as given: logits of zeros, whatever the image."""
    there = helper.make_tensor_value_info(names[0], kind, image)
    back = helper.make_tensor_value_info(names[1], TensorProto.FLOAT, logits)
    nodes = [
        helper.make_node("Cast", [names[0]], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2, 3], keepdims=len(logits) - 1),
        helper.make_node("Reshape", ["mean", "shape"], ["column"]),
        helper.make_node("MatMul", ["column", "zeros"], [names[1]]),
    ]
    width = logits[-1] if isinstance(logits[-1], int) else 2
    constants = [
        helper.make_tensor("zeros", TensorProto.FLOAT, [1, width], [0.0] * width),
        helper.make_tensor("shape", TensorProto.INT64, [len(logits)], [-1, *[1] * (len(logits) - 1)]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [there], [back], constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    data: bytes = model.SerializeToString()
    return data


def graph_of_open_sizes() -> bytes:
    """Two logits of zeros, whose number no reader of the graph can know before it runs."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", "H", "W", 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "K"])
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["brightest"], keepdims=0),
        helper.make_node("Min", ["brightest", "two"], ["darkened"]),
        helper.make_node("Max", ["darkened", "two"], ["always two"]),
        helper.make_node("Cast", ["always two"], ["columns"], to=TensorProto.INT64),
        helper.make_node("Shape", ["image"], ["rows"], start=0, end=1),
        helper.make_node("Concat", ["rows", "columns"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["logits"]),
    ]
    constants = [helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0])]
    made = helper.make_graph(nodes, "open", [image], [logits], constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def test_maps_are_returned_and_their_mean_is_the_logits(make_bundle: MakeBundle) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    logits, maps = Classifier(load_bundle(make_bundle(maps=True)), threads=1)(crops)
    assert maps is not None
    assert maps.shape == (5, 16, 16, 2)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, atol=1e-4)


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x08\x08" + b"\xff" * 200])
def test_garbage_with_a_matching_hash(make_bundle: MakeBundle, data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    folder = make_bundle(graph=data)
    text = refusal(folder)
    assert f"{folder}: the graph" in text
    assert "export the model again" in text
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "data",
    [
        graph(names=("input", "logits")),
        graph(names=("image", "output")),
        graph(image=("N", 32, 32, 3)),
        graph(image=("N", 16, 16, 1)),
        graph(image=("N", 3, 16, 16)),
        graph(image=(1, 16, 16, 3)),
        graph(image=("N", 16, 16, 3), kind=TensorProto.UINT8),
        graph(logits=("N", 7)),
        graph(logits=("N",)),
        graph(logits=("N", 1, 2)),
    ],
    ids=["input name", "output name", "size", "grey", "channels first", "fixed batch", "uint8", "labels", "1-d", "3-d"],
)
def test_a_graph_that_does_not_fit_its_config(make_bundle: MakeBundle, data: bytes) -> None:
    folder = make_bundle(graph=data)
    text = refusal(folder)
    assert text.startswith(f"{folder}: the graph ")
    assert "the config" in text


@pytest.mark.parametrize(
    "data",
    [
        graph(names=("zzage", "logits")).replace(b"zzage", b"\xbdzage"),
        graph(names=("image", "zzgits")).replace(b"zzgits", b"\xbdzgits"),
        graph(image=("zz", 16, 16, 3)).replace(b"zz", b"\xbdz"),
    ],
    ids=["input", "output", "size"],
)
def test_names_in_a_graph_that_are_not_text(make_bundle: MakeBundle, data: bytes) -> None:
    """onnxruntime decodes them only when they are asked for."""
    text = refusal(make_bundle(graph=data))
    assert "the graph cannot be loaded" in text
    assert "utf-8" in text


def test_a_graph_without_the_maps_that_the_config_states(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    rewrite(folder, maps=True)
    assert "maps" in refusal(folder)


def test_weights_outside_the_graph_are_never_loaded(
    make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their sha256 would not have been checked."""
    model = onnx.load_from_string(graph())
    zeros = next(tensor for tensor in model.graph.initializer if tensor.name == "zeros")
    (tmp_path / "weights.bin").write_bytes(np.ones((1, 2), np.float32).tobytes())
    zeros.ClearField("float_data")
    zeros.data_location = TensorProto.EXTERNAL
    zeros.external_data.add(key="location", value="weights.bin")
    monkeypatch.chdir(tmp_path)
    assert "the graph cannot be loaded" in refusal(make_bundle(graph=model.SerializeToString()))


def test_sizes_that_the_graph_leaves_open_are_checked_when_it_runs(make_bundle: MakeBundle) -> None:
    open_sizes = graph_of_open_sizes()
    crops = np.zeros((2, 16, 16, 3), np.uint8)
    assert Classifier(load_bundle(make_bundle(graph=open_sizes)), threads=1)(crops)[0].shape == (2, 2)
    three = make_bundle(("a", "b", "c"), graph=open_sizes)
    with pytest.raises(BundleError, match=r"gives logits \(2, 2\) for 2 crops"):
        Classifier(load_bundle(three), threads=1)(crops)


def test_a_graph_that_fails_when_it_runs(make_bundle: MakeBundle, capfd: pytest.CaptureFixture[str]) -> None:
    classifier = Classifier(load_bundle(make_bundle()), threads=1)
    with pytest.raises(BundleError, match="the graph cannot be run") as caught:
        classifier(np.zeros((1, 8, 8, 3), np.uint8))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_values_that_keras_does_not_round_are_not_rounded(make_bundle: MakeBundle) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    prepared = mien.load(make_bundle(resize="bicubic")).preprocess(image)
    assert prepared.inputs[0].dtype == np.float32 and prepared.crops[0].dtype == np.uint8
    assert np.abs(np.clip(prepared.inputs[0].astype(float), 0, 255) - prepared.crops[0]).max() <= 0.501


@given(st.lists(st.integers(0, 9)), st.integers(1, 12))
def test_batches_keep_the_order_and_only_the_last_may_not_be_full(faces: list[int], size: int) -> None:
    batches = list(in_batches(faces, lambda count: count, size))
    assert [count for batch, _ in batches for count in batch] == faces
    for number, (batch, full) in enumerate(batches):
        assert full == (max(len(batch), sum(batch)) >= size)
        assert full or number == len(batches) - 1
        assert max(len(batch[:-1]), sum(batch[:-1])) < size, "it was full before its last image"


@pytest.mark.parametrize(
    ("kind", "says"),
    [("labels", r"maps \(1, 16, 16, 1\) for 1 crops and 2 labels"), ("nan", "maps that are not numbers")],
)
def test_maps_that_are_none(make_bundle: Callable[..., Path], kind: str, says: str) -> None:
    found = Classifier(load_bundle(make_bundle(graph=odd_maps(kind), maps=True)))
    with pytest.raises(BundleError, match=says):
        found.maps(np.zeros((1, 16, 16, 3), np.uint8))


CROPS = np.random.default_rng(3).integers(0, 256, (5, 16, 16, 3), np.uint8)


def test_with_mirror_an_image_and_its_mirror_image_get_one_answer(make_bundle: MakeBundle) -> None:
    single = Classifier(load_bundle(make_bundle(graph=convolving(), maps=True)), threads=1)
    mirrored = Classifier(load_bundle(make_bundle(graph=convolving(), maps=True, mirror=True)), threads=1)
    (logits, maps), (turned, turned_maps) = mirrored(CROPS), mirrored(CROPS[:, :, ::-1])
    np.testing.assert_allclose(logits, turned, atol=1e-6)
    assert maps is not None and turned_maps is not None
    np.testing.assert_allclose(maps, turned_maps[:, :, ::-1], atol=1e-6)
    assert np.abs(single(CROPS)[0] - single(CROPS[:, :, ::-1])[0]).max() > 0.01, "this graph tells left from right"


def test_with_mirror_both_outputs_are_the_average_of_two_passes(make_bundle: MakeBundle) -> None:
    single = Classifier(load_bundle(make_bundle(graph=convolving(), maps=True)), threads=1)
    mirrored = single.with_mirror(True)
    assert (single.mirror, mirrored.mirror) == (False, True)
    (there, there_maps), (back, back_maps) = single(CROPS), single(CROPS[:, :, ::-1])
    assert there_maps is not None and back_maps is not None
    np.testing.assert_allclose(mirrored.logits(CROPS, batch_size=2), (there + back) / 2, atol=1e-6)
    maps = mirrored.maps(CROPS, batch_size=2)
    np.testing.assert_allclose(maps, (there_maps + back_maps[:, :, ::-1]) / 2, atol=1e-6)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), mirrored.logits(CROPS), atol=1e-5)
    np.testing.assert_array_equal(mirrored.with_mirror(False).logits(CROPS), there)


def count_images(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of images of each run from now on."""
    run, counts = classifier._session.run, list[int]()

    def counted(outputs: Any, inputs: dict[str, Any]) -> Any:
        counts.append(len(inputs["image"]))
        return run(outputs, inputs)

    monkeypatch.setattr(classifier._session, "run", counted)
    return counts


def test_a_crop_and_its_mirror_image_run_together(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = Classifier(load_bundle(make_bundle(mirror=True)), threads=1)
    counts = count_images(classifier, monkeypatch)
    assert classifier.logits(CROPS, batch_size=2).shape == (5, 2)
    assert counts == [4, 4, 2]
    assert classifier.logits(CROPS[:0]).shape == (0, 2)


def test_large_images_run_a_few_at_a_time_with_the_same_answer(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(make_bundle(graph=convolving(), maps=True, mirror=True))
    together = Classifier(bundle, threads=1)
    monkeypatch.setattr("mien.inference.classifier._PIXELS", 3 * 16 * 16 + 5)
    apart = Classifier(bundle, threads=1)
    counts = count_images(apart, monkeypatch)
    (logits, maps), (found, found_maps) = together(CROPS), apart(CROPS)
    assert counts == [3, 3, 3, 1], "five images and their mirror images"
    np.testing.assert_allclose(found, logits, atol=1e-6)
    assert maps is not None and found_maps is not None
    np.testing.assert_allclose(found_maps, maps, atol=1e-6)


@pytest.mark.parametrize("mirror", ["no", 1, 0.0])
def test_another_word_for_mirror_is_refused(make_bundle: MakeBundle, mirror: Any) -> None:
    with pytest.raises(ConfigError, match=r"`mirror=.*`: give True, False or None"):
        mien.load(make_bundle(), threads=1, mirror=mirror)


def test_a_network_without_numbers_is_refused_with_its_mirror_image_too(make_bundle: MakeBundle) -> None:
    with pytest.raises(BundleError, match="maps that are not numbers"):
        Classifier(load_bundle(make_bundle(graph=odd_maps("nan"), maps=True, mirror=True))).maps(CROPS)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_a_graph_that_runs_for_ever(make_bundle: Callable[..., Path], photo: Path) -> None:
    code = """
import sys
from mien.cli import main
from mien.runtime.sessions import Session
run = Session._run
def told(self, *arguments):
    print("the graph runs", flush=True)
    return run(self, *arguments)
Session._run = told
main(sys.argv[1:])
"""
    command = [sys.executable, "-c", code, "predict", str(photo), "--no-detect", "--model"]
    process = subprocess.Popen(
        [*command, str(make_bundle(graph=endless()))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "the graph runs\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.splitlines()[-1]) == (130, "mien: interrupted")
    assert "Traceback" not in errors

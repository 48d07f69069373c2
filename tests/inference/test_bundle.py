"""A bundle is read whole and validated, or refused in one line that names the file and the fix."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

import mien
from mien.errors import BundleError, ConfigError
from mien.inference.bundle import (
    CONFIG_FILE,
    MODEL_FILE,
    BundleConfig,
    find_bundle,
    load_bundle,
    set_threshold,
    shipped_models,
)
from mien.inference.classifier import Classifier

MakeBundle = Callable[..., Path]


def refusal(path: Path) -> str:
    """What mien says of a folder that it must refuse; always one line."""
    with pytest.raises(BundleError) as caught:
        mien.load(path, threads=1)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def rewrite(folder: Path, **changes: Any) -> None:
    """Change fields of config.json; None removes one, and `input` is changed within."""
    path = folder / CONFIG_FILE
    raw = json.loads(path.read_text())
    for name, value in changes.items():
        place = raw["input"] if name in raw["input"] else raw
        if value is None:
            del place[name]
        else:
            place[name] = value
    path.write_text(json.dumps(raw))


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


def test_what_was_written_is_what_is_read(make_bundle: MakeBundle) -> None:
    about = {"data": "drawings", "seed": 3, "nested": {"ü": [1, 2.5, None]}}
    labels = ("angry", "happy", "traurig ☹")
    folder = make_bundle(labels, size=24, channels=1, temperature=1.7, threshold=0.25, about=about)
    bundle = load_bundle(folder)
    config = bundle.config
    assert (config.labels, config.input_size, config.input_channels) == (labels, 24, 1)
    assert (config.temperature, config.threshold, config.maps) == (1.7, 0.25, False)
    assert config.about == about
    assert bundle.model == (folder / MODEL_FILE).read_bytes()
    assert BundleConfig.to_json(config) == (folder / CONFIG_FILE).read_text(encoding="utf-8")


def test_a_run_folder_stands_for_the_bundle_in_it(make_bundle: MakeBundle, tmp_path: Path) -> None:
    made = make_bundle()
    made.rename(tmp_path / "bundle")
    assert load_bundle(tmp_path).path == tmp_path / "bundle"


def test_a_rule_is_written_and_read_in_its_order(make_bundle: MakeBundle) -> None:
    rule = {"sad": 0.55, "happy": 0.45}
    folder = make_bundle(("happy", "neutral", "sad"), answer_from=rule)
    found = load_bundle(folder).config.answer_from
    assert found == rule
    assert list(found or ()) == ["sad", "happy"]
    assert json.loads((folder / CONFIG_FILE).read_text())["version"] == 1


def test_odds_stand_beside_the_rule(make_bundle: MakeBundle) -> None:
    over = {"sad": {"neutral": 2.5}}
    folder = make_bundle(("happy", "neutral", "sad"), answer_from={"sad": 0.2, "happy": 0.5}, answer_over=over)
    assert load_bundle(folder).config.answer_over == over


@pytest.mark.parametrize(
    ("over", "says"),
    [
        (["sad"], "answer_over ['sad']: must be a table"),
        ({"sad": 3}, "sad 3: must be a table"),
        ({"neutral": {"sad": 3}}, "answer_over 'neutral': answer_from does not name it"),
        ({"sad": {"glad": 3}}, "answer_over sad 'glad': name another of the labels"),
        ({"sad": {"sad": 3}}, "answer_over sad 'sad': name another of the labels"),
        ({"sad": {"neutral": 0}}, "answer_over sad neutral 0.0: a number above 0"),
        ({"sad": {"neutral": math.inf}}, "a number above 0"),
        ({"sad": {"neutral": "3"}}, "neutral '3': must be a number"),
    ],
)
def test_wrong_odds_are_named(make_bundle: MakeBundle, over: Any, says: str) -> None:
    folder = make_bundle(("happy", "neutral", "sad"), answer_from={"sad": 0.2})
    path = folder / CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"answer_over": over}))
    text = refusal(folder)
    assert text.startswith(f"{path}: ")
    assert says in text


def test_a_bundle_without_a_rule_is_as_it_always_was(make_bundle: MakeBundle) -> None:
    folder = make_bundle(("happy", "neutral", "sad"))
    assert "answer_from" not in json.loads((folder / CONFIG_FILE).read_text())
    assert load_bundle(folder).config.answer_from is None


def test_maps_are_returned_and_their_mean_is_the_logits(make_bundle: MakeBundle) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    logits, maps = Classifier(load_bundle(make_bundle(maps=True)), threads=1)(crops)
    assert maps is not None
    assert maps.shape == (5, 16, 16, 2)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, atol=1e-4)


# Folders


def test_missing_folder(tmp_path: Path) -> None:
    assert "nowhere: no such model; give a bundle" in refusal(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder(make_bundle: MakeBundle) -> None:
    path = make_bundle() / MODEL_FILE
    text = refusal(path)
    assert str(path) in text
    assert "give the bundle's folder" in text


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "is not a model folder (config.json and model.onnx are missing)" in refusal(tmp_path)


def test_a_run_without_a_bundle_says_how_to_finish_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    assert f"finish it with `mien.train(resume={str(tmp_path)!r})`" in refusal(tmp_path)


@pytest.mark.parametrize("name", [MODEL_FILE, CONFIG_FILE])
def test_a_missing_part(make_bundle: MakeBundle, name: str) -> None:
    folder = make_bundle()
    (folder / name).unlink()
    assert refusal(folder) == f"{folder / name}: is missing; export the model again"


@pytest.mark.parametrize("name", [MODEL_FILE, CONFIG_FILE])
def test_a_part_that_is_a_folder(make_bundle: MakeBundle, name: str) -> None:
    folder = make_bundle()
    (folder / name).unlink()
    (folder / name).mkdir()
    assert f"{folder / name}: cannot be read" in refusal(folder)


# Models that come with the package


def test_a_shipped_model_by_its_name(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped_models() == ("mien", "mien-two")
    assert find_bundle() == find_bundle("mien") == find_bundle(Path("mien")) == shipped / "mien"
    assert find_bundle("mien-two") == shipped / "mien-two"
    assert load_bundle("mien-two").config.labels == ("happy", "sad")


def test_a_folder_goes_before_the_shipped_model_of_its_name(
    shipped: Path, make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_bundle(("cat", "dog")).rename(tmp_path / "mien")
    assert load_bundle("mien").config.labels == ("cat", "dog")
    assert find_bundle() == shipped / "mien"


def test_a_file_does_not_hide_the_shipped_model(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mien").write_text("a script, say")
    assert find_bundle("mien") == shipped / "mien"


@pytest.mark.parametrize("name", ["happiness", "./mien", "mien/", "models/mien2", "MIEN2"])
def test_an_unknown_name_lists_the_shipped_ones(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError) as caught:
        find_bundle(name)
    assert str(caught.value) == (
        f"{Path(name)}: no such model; give a bundle, a run folder or a shipped model (mien, mien-two)"
    )


def test_an_installation_without_models_says_so(
    nothing_shipped: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r"^no model comes with this installation of mien; name one"):
        mien.load()
    assert "none in this installation" in refusal(Path("mien"))


# Weights


def test_changed_weights_are_refused_before_use(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    data = bytearray((folder / MODEL_FILE).read_bytes())
    data[-1] ^= 1
    (folder / MODEL_FILE).write_bytes(data)
    text = refusal(folder)
    assert f"{folder / MODEL_FILE}: sha256 is {hashlib.sha256(data).hexdigest()[:12]}" in text
    assert "export the model again" in text


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


# config.json


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe{}", b"model: yaml", b"[" * 100_000, b'{"version": ' + b"1" * 5000 + b"}"],
    ids=["empty", "cut", "not UTF-8", "YAML", "deep", "a huge number"],
)
def test_config_that_is_not_json(make_bundle: MakeBundle, data: bytes) -> None:
    folder = make_bundle()
    (folder / CONFIG_FILE).write_bytes(data)
    assert refusal(folder) == f"{folder / CONFIG_FILE}: is not valid JSON; export the model again"


@pytest.mark.parametrize("text", ["[]", "7", "null", "{}", '{"format": "keras"}', '{"labels": ["a", "b"]}'])
def test_config_that_is_not_ours(make_bundle: MakeBundle, text: str) -> None:
    folder = make_bundle()
    (folder / CONFIG_FILE).write_text(text)
    assert "was not written by mien; make a bundle with mien export" in refusal(folder)


@pytest.mark.parametrize("version", [0, 2, "1", [1], "x\n" * 500])
def test_another_version(make_bundle: MakeBundle, version: Any) -> None:
    folder = make_bundle()
    rewrite(folder, version=version)
    assert "this mien reads version 1; use the mien that wrote it" in refusal(folder)


FIELDS = ["name", "labels", "input", "framing", "size", "channels", "temperature", "threshold", "maps", "sha256"]
LIMITS = st.floats(0, 1, exclude_min=True, exclude_max=True)


@pytest.mark.parametrize("name", [*FIELDS, "about"])
def test_a_missing_field_is_named(make_bundle: MakeBundle, name: str) -> None:
    folder = make_bundle()
    rewrite(folder, **{name: None})
    assert f"{folder / CONFIG_FILE}: the field '{name}' is missing; export the model again" == refusal(folder)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("name", 5, "name 5: must be text"),
        ("labels", "happy,sad", "labels 'happy,sad': must be a list"),
        ("labels", ["happy", 5], "must be names"),
        ("labels", ["happy", "happy"], "a name is repeated"),
        ("labels", ["happy\n", "happy\n"], "a name is repeated"),
        ("labels", ["happy"], "at least two"),
        ("labels", ["happy", ""], "at least two"),
        ("labels", ["a,b", "c"], "may not contain a comma"),
        ("input", [48, 1], "input [48, 1]: must be a table"),
        ("framing", "profile", "framing 'profile': this mien knows whole and face"),
        ("framing", ["face"], "framing ['face']: must be text"),
        ("size", "16", "size '16': must be a whole number"),
        ("size", 16.0, "size 16.0: must be a whole number"),
        ("size", 4, "input size 4: between 8 and 1024"),
        ("size", 10**9, "between 8 and 1024"),
        ("channels", True, "channels True: must be a whole number"),
        ("channels", 4, "input channels 4: 1 (grey) or 3 (RGB)"),
        ("temperature", "1.0", "must be a number"),
        ("temperature", 0, "temperature 0.0: a number above 0"),
        ("temperature", math.nan, "temperature nan: a number above 0"),
        ("temperature", math.inf, "temperature inf: a number above 0"),
        ("temperature", 10**400, "too large"),
        ("threshold", 0, "threshold 0.0: between 0 and 1"),
        ("threshold", 1, "threshold 1.0: between 0 and 1"),
        ("threshold", math.nan, "threshold nan: between 0 and 1"),
        ("threshold", True, "threshold True: must be a number"),
        ("maps", "false", "maps 'false': must be true or false"),
        ("sha256", 12, "sha256 12: must be text"),
        ("sha256", "\n" * 64, "must be 64 hexadecimal digits"),
        ("about", [], "about []: must be a table"),
    ],
)
def test_a_wrong_value_is_named(make_bundle: MakeBundle, name: str, value: Any, says: str) -> None:
    folder = make_bundle()
    rewrite(folder, **{name: value})
    text = refusal(folder)
    assert text.startswith(f"{folder / CONFIG_FILE}: ")
    assert says in text
    assert text.endswith("; export the model again")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (None, "answer_from None: must be a table"),
        (["happy"], "answer_from ['happy']: must be a table"),
        ({}, "name some of the labels (happy, neutral, sad), not all"),
        ({"glad": 0.5}, "answer_from 'glad': name some of the labels"),
        ({"happy": 0.5, "neither": 0.5}, "name some of the labels"),
        ({"happy": 0.4, "neutral": 0.4, "sad": 0.4}, "not all"),
        ({"happy": 0}, "answer_from happy 0.0: between 0 and 1"),
        ({"happy": 0.5, "sad": 1}, "answer_from sad 1.0: between 0 and 1"),
        ({"happy": -0.5}, "between 0 and 1"),
        ({"happy": math.nan}, "between 0 and 1"),
        ({"happy": 10**400}, "too large"),
        ({"happy": True}, "happy True: must be a number"),
        ({"happy": "0.5"}, "happy '0.5': must be a number"),
        ({"happy": None}, "happy None: must be a number"),
    ],
)
def test_a_wrong_rule_is_named(make_bundle: MakeBundle, rule: Any, says: str) -> None:
    folder = make_bundle(("happy", "neutral", "sad"))
    path = folder / CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"answer_from": rule}))
    text = refusal(folder)
    assert text.startswith(f"{path}: ")
    assert says in text
    assert text.endswith("; export the model again")


def test_a_rule_and_what_cannot_stand_beside_it() -> None:
    with pytest.raises(ConfigError, match="a model with the label 'neither' cannot have such a rule"):
        BundleConfig("n", ("happy", "neither"), 16, 3, "0" * 64, answer_from={"happy": 0.5})
    with pytest.raises(ConfigError, match=r"threshold 0\.3: cannot stand beside answer_from; leave it at 0\.5"):
        BundleConfig("n", ("happy", "sad"), 16, 3, "0" * 64, threshold=0.3, answer_from={"happy": 0.5})
    assert BundleConfig("n", ("happy", "neither"), 16, 3, "0" * 64).labels == ("happy", "neither")


def test_unknown_fields_are_left_alone(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    rewrite(folder, note="added by hand")
    assert load_bundle(folder).config.labels == ("happy", "sad")


NAMES = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1).filter(str.strip)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))


@given(
    labels=st.lists(NAMES, min_size=2, max_size=9, unique_by=str.strip),
    size=st.integers(8, 1024),
    channels=st.sampled_from([1, 3]),
    temperature=st.floats(0, 1e6, exclude_min=True),
    threshold=LIMITS,
    rule=st.none() | st.lists(LIMITS, min_size=1, max_size=8),
    maps=st.booleans(),
    framing=st.sampled_from(["whole", "face"]),
)
def test_every_config_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, **fields: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "round-trip"
    folder.mkdir(exist_ok=True)
    size, channels, labels = fields.pop("size"), fields.pop("channels"), tuple(fields.pop("labels"))
    limits = fields.pop("rule")
    if limits is not None and "neither" not in labels:
        fields |= {"threshold": 0.5, "answer_from": dict(zip(labels[:-1], limits, strict=False))}
    config = BundleConfig("n", labels, size, channels, hashlib.sha256(b"w").hexdigest(), **fields)
    (folder / MODEL_FILE).write_bytes(b"w")
    (folder / CONFIG_FILE).write_text(config.to_json(), encoding="utf-8")
    assert load_bundle(folder).config == config


@given(name=st.sampled_from([*FIELDS, "about", "answer_from", "format", "version"]), value=JSON)
def test_any_value_anywhere_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-value"
    folder.mkdir(exist_ok=True)
    (folder / MODEL_FILE).write_bytes(b"w")
    config = BundleConfig("n", ("a", "b"), 16, 3, hashlib.sha256(b"w").hexdigest())
    (folder / CONFIG_FILE).write_text(config.to_json(), encoding="utf-8")
    raw = json.loads(config.to_json())
    (raw["input"] if name in raw["input"] else raw)[name] = value
    (folder / CONFIG_FILE).write_text(json.dumps(raw), encoding="utf-8")
    try:
        load_bundle(folder)
    except BundleError as error:
        assert "\n" not in str(error)
        assert str(folder) in str(error)


@pytest.mark.parametrize(
    "fields",
    [
        {"input_channels": 2},
        {"input_size": 7},
        {"temperature": -1.0},
        {"threshold": 1.5},
        {"labels": ("a",)},
        {"labels": ("a", "a")},
        {"framing": "half"},
    ],
)
def test_a_config_is_validated_before_it_is_written(fields: dict[str, Any]) -> None:
    whole = {"name": "n", "labels": ("a", "b"), "input_size": 16, "input_channels": 3, "sha256": "0" * 64}
    with pytest.raises(ConfigError):
        BundleConfig(**{**whole, **fields})


def test_a_threshold_is_replaced_whole_or_not_at_all(
    make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_bundle(temperature=1.3, about={"a": 1})
    before = load_bundle(folder)
    set_threshold(folder, 0.25, {"on": "a test"})
    after = load_bundle(folder)
    assert after.config == replace(before.config, threshold=0.25, about={"a": 1, "threshold": {"on": "a test"}})
    assert after.model == before.model
    for bad in (0.0, 1.0, math.nan):
        with pytest.raises(ConfigError, match="threshold"):
            set_threshold(folder, bad, {})
    assert load_bundle(folder).config == after.config
    with pytest.raises(ConfigError, match="is for models that answer one of two labels"):
        set_threshold(make_bundle(("a", "b", "c")), 0.5, {})
    monkeypatch.setattr("mien.inference.bundle.SHIPPED", folder.parent)
    with pytest.raises(BundleError, match="came with the package and stays as it is"):
        set_threshold(folder, 0.5, {})
    assert load_bundle(folder).config == after.config


def test_a_bundle_says_how_its_images_are_resized(make_bundle: MakeBundle) -> None:
    folder = make_bundle(resize="nearest", fit="crop")
    assert json.loads((folder / "config.json").read_text())["input"]["resize"] == "nearest"
    assert (load_bundle(folder).config.resize, load_bundle(folder).config.fit) == ("nearest", "crop")
    with pytest.raises(ConfigError, match="resize 'cubic': this mien knows bilinear"):
        make_bundle(resize="cubic")
    image = np.zeros((16, 64, 3), np.uint8)
    image[:, 24:40] = 255
    assert mien.load(folder).preprocess(image).crops[0].min() == 255


def test_values_that_keras_does_not_round_are_not_rounded(make_bundle: MakeBundle) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    prepared = mien.load(make_bundle(resize="bicubic")).preprocess(image)
    assert prepared.inputs[0].dtype == np.float32 and prepared.crops[0].dtype == np.uint8
    assert np.abs(np.clip(prepared.inputs[0].astype(float), 0, 255) - prepared.crops[0]).max() <= 0.501

"""The config of a bundle: what it may state, how it is written and read."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import refusal, rewrite
from hypothesis import given
from hypothesis import strategies as st

import mien
from mien.errors import BundleError, ConfigError
from mien.inference.bundle import CONFIG_FILE, MODEL_FILE, load_bundle
from mien.inference.bundle_config import BundleConfig
from mien.inference.calibration import USABLE_TEMPERATURES

MakeBundle = Callable[..., Path]


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
        ({"sad": {"neutral": math.inf}}, "a number is not finite"),
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


def test_a_bundle_that_does_not_speak_of_mirror_images_is_read_without(make_bundle: MakeBundle) -> None:
    folder = make_bundle(mirror=True)
    assert load_bundle(folder).config.mirror
    rewrite(folder, mirror=None)
    assert load_bundle(folder).config.mirror is False


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe{}", b"model: yaml", b"[" * 100_000, b'{"version": ' + b"1" * 5000 + b"}"],
    ids=["empty", "cut", "not UTF-8", "YAML", "deep", "a huge number"],
)
def test_config_that_is_not_json(make_bundle: MakeBundle, data: bytes) -> None:
    folder = make_bundle()
    (folder / CONFIG_FILE).write_bytes(data)
    text = refusal(folder)
    assert text.startswith(f"{folder / CONFIG_FILE}: is not valid JSON (")
    assert text.endswith("); export the model again")
    assert len(text) < 300


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
        ("temperature", 0, "temperature 0.0: between 0.01 and 100"),
        ("temperature", 1e-320, "temperature 1e-320: between 0.01 and 100"),
        ("temperature", math.nan, "a number is not finite"),
        ("temperature", math.inf, "a number is not finite"),
        ("temperature", 10**400, "too many digits"),
        ("threshold", 0, "threshold 0.0: between 0 and 1"),
        ("threshold", 1, "threshold 1.0: between 0 and 1"),
        ("threshold", math.nan, "a number is not finite"),
        ("threshold", True, "threshold True: must be a number"),
        ("maps", "false", "maps 'false': must be true or false"),
        ("mirror", "yes", "mirror 'yes': must be true or false"),
        ("mirror", 1, "mirror 1: must be true or false"),
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
        ({"happy": math.nan}, "a number is not finite"),
        ({"happy": 10**400}, "too many digits"),
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


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))


@given(
    labels=st.lists(NAMES, min_size=2, max_size=9, unique_by=str.strip),
    size=st.integers(8, 1024),
    channels=st.sampled_from([1, 3]),
    temperature=st.floats(*USABLE_TEMPERATURES),
    threshold=LIMITS,
    rule=st.none() | st.lists(LIMITS, min_size=1, max_size=8),
    maps=st.booleans(),
    mirror=st.booleans(),
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


@given(name=st.sampled_from([*FIELDS, "about", "answer_from", "mirror", "format", "version"]), value=JSON)
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


def test_a_bundle_says_how_its_images_are_resized(make_bundle: MakeBundle) -> None:
    folder = make_bundle(resize="nearest", fit="crop")
    assert json.loads((folder / "config.json").read_text())["input"]["resize"] == "nearest"
    assert (load_bundle(folder).config.resize, load_bundle(folder).config.fit) == ("nearest", "crop")
    with pytest.raises(ConfigError, match="resize 'cubic': this mien knows bilinear"):
        make_bundle(resize="cubic")
    image = np.zeros((16, 64, 3), np.uint8)
    image[:, 24:40] = 255
    assert mien.load(folder).preprocess(image).crops[0].min() == 255

"""A bundle is read whole and validated, or refused in one line that names the file and the fix."""

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bundles import refusal

import mien
from mien.errors import BundleError, ConfigError, ModelNameWarning
from mien.inference.bundle import (
    CONFIG_FILE,
    MODEL_FILE,
    find_bundle,
    find_shipped,
    load_bundle,
    set_threshold,
    shipped_models,
)
from mien.inference.bundle_config import BundleConfig

MakeBundle = Callable[..., Path]


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


@pytest.mark.parametrize("inside", ["README.md", "src/mien/__init__.py", "config.toml", "happy/1.png"])
def test_an_unrelated_folder_does_not_hide_the_shipped_model_of_its_name(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mien" / inside).parent.mkdir(parents=True)
    (tmp_path / "mien" / inside).write_text("")
    assert find_bundle("mien") == find_bundle() == find_shipped() == shipped / "mien"
    assert mien.load("mien").config == mien.load().config
    for folder in ("./mien", "mien/", str(tmp_path / "mien"), Path("mien")):
        assert ": " in refusal(folder), "a separator, or a Path, means the folder"
    if inside == "README.md":
        assert refusal("./mien").endswith("are missing); the shipped model is 'mien', without a folder")


@pytest.mark.parametrize("inner", ["mien", "mien/bundle"])
def test_a_bundle_or_run_of_the_name_of_a_shipped_model_is_taken_and_said(
    shipped: Path, make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / inner).parent.mkdir(exist_ok=True)
    make_bundle(("cat", "dog")).rename(tmp_path / inner)
    with pytest.warns(ModelNameWarning) as said:
        assert load_bundle("mien").config.labels == ("cat", "dog")
    text = str(said[0].message)
    assert text.startswith(f"'mien' was taken for your model folder .{os.sep}mien, not for the shipped model")
    assert text.endswith(f"and {shipped / 'mien'} the shipped model")
    # Silent, since these are plain:
    for folder in (f".{os.sep}mien", tmp_path / "mien", Path("mien")):
        assert load_bundle(folder).config.labels == ("cat", "dog")
    assert find_bundle() == find_shipped() == find_bundle(shipped / "mien") == shipped / "mien"


def test_an_unfinished_run_of_the_name_of_a_shipped_model_is_taken_and_said(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mien").mkdir()
    (tmp_path / "mien" / "run.json").write_text("{}")
    (tmp_path / "mien" / "config.toml").write_text("")
    with pytest.warns(ModelNameWarning):
        assert "this run has no bundle yet" in refusal("mien")


def test_a_file_does_not_hide_the_shipped_model(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mien").write_text("a script, say")
    assert find_bundle("mien") == shipped / "mien"


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("happiness", "; give a bundle, a run folder or a shipped model (mien, mien-two)"),
        ("./mien", "; did you mean 'mien'?"),
        ("mien/", "; did you mean 'mien'?"),
        ("models/mien2", "; did you mean 'mien'?"),
        ("MIEN-TWO", "; did you mean 'mien-two'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_all(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError) as caught:
        find_bundle(name)
    assert str(caught.value) == f"{Path(name)}: no such model{fix}"


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

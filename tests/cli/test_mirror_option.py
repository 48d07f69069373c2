"""`--mirror` of every verb that runs a model: what it changes, and who says so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import mien
from mien.training.explain import open_model

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def averaging(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle(size=32, mirror=True)


@pytest.fixture(scope="module")
def single(make_bundle: Callable[..., Path]) -> Path:
    """The same network, whose config says nothing of mirror images."""
    return make_bundle(size=32)


def test_rows_are_of_one_image_or_of_both(call: Call, faces: Path, averaging: Path, single: Path) -> None:
    def rows(model: Path, *options: str) -> list[dict[str, Any]]:
        code, out, _ = call("predict", faces, "--model", model, "--json", "-", *options)
        assert code == 0
        found: list[dict[str, Any]] = json.loads(out)
        return found

    alone, both = rows(single), rows(averaging)
    assert alone != both
    assert rows(averaging, "--mirror", "no") == rows(single, "--mirror", "auto") == alone
    assert rows(single, "--mirror", "yes") == rows(averaging, "--mirror", "auto") == both


def test_a_report_says_whether_mirror_images_count(call: Call, faces: Path, averaging: Path, single: Path) -> None:
    def about(model: Path, *options: str) -> str | None:
        code, out, _ = call("evaluate", faces, "--model", model, "--json", "-", *options)
        assert code == 0
        found: str | None = json.loads(out)["about"].get("mirror")
        return found

    assert (about(single), about(single, "--mirror", "no"), about(averaging)) == (None, None, "yes")
    assert about(averaging, "--mirror", "no") == "no, which is not the setting of the model"
    assert about(single, "--mirror", "yes") == "yes, which is not the setting of the model"
    reader = mien.load(averaging, threads=1)
    metrics = [mien.evaluate(faces, model=model, metrics_only=True, mirror=False) for model in (reader, averaging)]
    expected = mien.evaluate(faces, model=single, metrics_only=True)
    for found in metrics:
        np.testing.assert_array_equal(found.predictions.probabilities, expected.predictions.probabilities)
    averaged = mien.evaluate(faces, model=reader, metrics_only=True).predictions.probabilities
    assert np.abs(averaged - expected.predictions.probabilities).max() > 0.001


def test_heatmaps_are_of_one_image_or_of_both(
    call: Call, faces: Path, averaging: Path, single: Path, tmp_path: Path
) -> None:
    image = next(faces.rglob("*.png"))

    def heat(name: str, model: Path, *options: str) -> Any:
        path = tmp_path / f"{name}.npy"
        assert call("explain", image, "--model", model, "--label", "sad", "--array", path, *options)[0] == 0
        return np.load(path)

    np.testing.assert_array_equal(heat("no", averaging, "--mirror", "no"), heat("plain", single))
    np.testing.assert_array_equal(heat("yes", single, "--mirror", "yes"), heat("own", averaging))
    assert np.abs(heat("again", averaging) - heat("once", single)).max() > 0.01


def test_a_measurement_of_heatmaps_says_whether_mirror_images_count(faces: Path, averaging: Path) -> None:
    options: dict[str, Any] = {"attention": False, "faithfulness": True, "limit": 2}
    assert mien.explain_dataset(faces, model=averaging, **options).to_dict()["mirror"] == "yes"
    found = mien.explain_dataset(faces, model=averaging, mirror=False, **options).to_dict()
    assert found["mirror"] == "no, which is not the setting of the model"


def test_a_model_that_is_open_keeps_its_setting(faces: Path, averaging: Path) -> None:
    opened, image = open_model(averaging, mirror=False), next(faces.rglob("*.png"))
    assert opened.reader.mirror is False
    for call in (mien.explain, mien.explain_dataset):
        with pytest.raises(mien.ConfigError, match="`mirror=True`: this model is open already"):
            call(image if call is mien.explain else faces, model=opened, mirror=True)


def test_labels_are_checked_by_one_image_or_by_both(call: Call, faces: Path, averaging: Path, single: Path) -> None:
    def issues(model: Path, *options: str) -> str:
        return call("check", faces, "--model", model, "--no-detect", "--json", "-", *options)[1]

    assert issues(averaging, "--mirror", "no") == issues(single)
    assert issues(single, "--mirror", "yes") == issues(averaging)
    given = mien.check(faces, detect=False, model=mien.load(averaging, threads=1), mirror=False)
    assert given.to_dict() == json.loads(issues(single))


def test_a_server_says_whether_mirror_images_count(start_server: Callable[..., Any], averaging: Path) -> None:
    _, url = start_server("--model", averaging, "--mirror", "no")
    (model,) = httpx.get(f"{url}/v1/models", timeout=60).json()["models"]
    assert model["mirror"] is False


@pytest.mark.parametrize("verb", ["predict", "evaluate", "explain", "check", "serve"])
def test_another_word_is_one_line(verb: str, call: Call, faces: Path) -> None:
    code, out, err = call(verb, *([] if verb == "serve" else [faces]), "--mirror", "maybe")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--mirror" in err and "auto, yes, no" in err.replace("'", "")

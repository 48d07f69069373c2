"""`mien.explain` and `mien.explain_dataset` give what `mien explain` gives, and show it in a notebook."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from mien.errors import ConfigError, DataError, ImageError, OutputError
from mien.explanation.explainer import explain_image, explain_labels
from mien.io.layout import BUNDLE, KERAS
from mien.training.explain import open_model

MakeBundle = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(make_bundle: MakeBundle) -> Path:
    return make_bundle(maps=True)


@pytest.mark.parametrize("label", [None, "sad", "all"])
@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_the_door_gives_what_the_verb_gives(
    call: Call, photo: Path, model: Path, tmp_path: Path, label: str | None, method: str
) -> None:
    found = mien.explain(photo, model=model, label=label, method=method)  # type: ignore[arg-type]
    asked = () if label is None else ("--label", label)
    written = ("--out", tmp_path / "why.png", "--array", tmp_path / "why.npz")
    assert call("explain", photo, "--model", model, "--method", method, *asked, *written)[0] == 0
    with np.load(tmp_path / "why.npz", allow_pickle=False) as arrays:
        assert arrays.keys() == found.arrays().keys()
        for name, values in found.arrays().items():
            np.testing.assert_array_equal(arrays[name], values)
    with Image.open(tmp_path / "why.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(found.figure()))


def test_any_kind_of_model_and_image_will_do(photo: Path, model: Path) -> None:
    reader = mien.load(model)
    wanted = explain_image(reader, photo).faces[0].heat
    opened = open_model(model)
    for one in (str(model), reader, opened):
        for image in (str(photo), photo.read_bytes(), np.asarray(Image.open(photo))):
            np.testing.assert_array_equal(mien.explain(image, model=one).faces[0].heat, wanted)
    rows = explain_labels(reader, photo, ("happy", "sad")).heatmaps
    every = mien.explain(photo, model=model, label="all").heatmaps
    assert [[face.label for face in row] for row in every] == [[face.label for face in row] for row in rows]


def test_faces_and_detection_are_passed_on(make_bundle: MakeBundle, two_people: Callable[..., np.ndarray]) -> None:
    finding = make_bundle(maps=True, framing="face")
    both = two_people(0.0)
    assert len(mien.explain(both, model=finding).faces) == 2
    assert len(mien.explain(both, model=finding, faces="largest").faces) == 1
    height, width = both.shape[:2]
    whole = mien.explain(both, model=mien.load(finding), detect=False).faces[0].corners
    np.testing.assert_array_equal(whole, [[0, 0], [width, 0], [width, height], [0, height]])


def test_it_is_plain_json_and_an_inline_image(photo: Path, model: Path) -> None:
    found = mien.explain(photo, model=model, label="all")
    row = json.loads(json.dumps(found.to_dict()))
    assert row["status"] == "ok" and row["faces"] == found.result.to_dict()["faces"]
    assert [face["label"] for (face,) in row["heatmaps"]] == ["happy", "sad"]
    np.testing.assert_allclose(row["heatmaps"][1][0]["heat"], found.heatmaps[1][0].heat, atol=1e-4)
    assert found._repr_html_().startswith('<img src="data:image/png;base64,iVBOR')


def test_bad_calls_say_what_is_wrong(photo: Path, model: Path) -> None:
    with pytest.raises(ConfigError, match="`label='joyful'`: this model has happy, sad"):
        mien.explain(photo, model=model, label="joyful")
    with pytest.raises(ConfigError, match="needs the Keras model"):
        mien.explain(photo, model=model, method="grad-cam")
    with pytest.raises(ConfigError, match="needs the Keras model"):
        mien.explain(photo, model=mien.load(model), method="layer-cam")
    with pytest.raises(ConfigError, match="a reader knows its labels"):
        mien.explain(photo, model=mien.load(model), labels=["a", "b"])
    with pytest.raises(ImageError, match="<bytes>"):
        mien.explain(b"no image", model=model)


def test_explaining_loads_no_keras(photo: Path, model: Path) -> None:
    code = f"import sys, mien; mien.explain({str(photo)!r}, model={str(model)!r}); assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_no_keras_file_is_refused_before_keras_is_loaded(
    photo: Path, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 91\n"
    (tmp_path / "model.keras").write_bytes(pointer)
    run = tmp_path / "run"
    shutil.copytree(make_bundle(), run / BUNDLE)
    (run / KERAS).write_bytes(pointer)
    code = f"""
import sys, mien
for given in ({{"model": {str(tmp_path / "model.keras")!r}, "labels": ["a", "b"]}},
              {{"model": {str(run)!r}, "method": "grad-cam"}}):
    try:
        mien.explain({str(photo)!r}, **given)
    except mien.MienError as error:
        print(error)
assert "keras" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    wanted = "is a Git LFS pointer, not the model; run: git lfs pull"
    assert done.stdout.splitlines() == [f"{tmp_path / 'model.keras'}: {wanted}", f"{run / KERAS}: {wanted}"]


# Labelled data


def test_labelled_data_gives_what_the_verb_gives(call: Call, faces: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    shares: list[float] = []
    found = mien.explain_dataset(
        faces, model=model, faithfulness=True, limit=8, out=tmp_path / "door", on_progress=shares.append
    )
    assert shares == sorted(shares) and shares[-1] == 1.0
    asked = ("--summary", "--faithfulness", "--limit", 8, "--out", tmp_path / "verb")
    assert call("explain", faces, "--model", model, *asked)[0] == 0
    for path in sorted((tmp_path / "verb").iterdir()):
        assert path.read_bytes() == (tmp_path / "door" / path.name).read_bytes(), path.name
    row = json.loads(json.dumps(found.to_dict()))
    summary = json.loads((tmp_path / "verb" / "summary.json").read_text(encoding="utf-8"))
    assert summary == {"data": row["data"], "sha256": row["sha256"], **row["attention"]}
    curves = json.loads((tmp_path / "verb" / "faithfulness.json").read_text(encoding="utf-8"))
    assert curves == {"data": row["data"], "sha256": row["sha256"], **row["faithfulness"]}
    html = found._repr_html_()
    assert "data:image/png;base64," in html and "8 images, all of faces" in html


def test_only_what_is_asked_for_is_measured(faces: Path, model: Path) -> None:
    found = mien.explain_dataset(faces, classes=["sad", "happy"], model=mien.load(model), limit=4)
    assert found.faithfulness is None and found.attention is not None
    assert [one.label for one in found.attention.classes] == ["sad", "happy"]
    assert "faithfulness" not in found.to_dict()
    curves = mien.explain_dataset(faces, model=model, attention=False, faithfulness=True, limit=4)
    assert curves.attention is None and curves.faithfulness is not None


def test_bad_calls_on_data_say_what_is_wrong(faces: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to measure"):
        mien.explain_dataset(faces, model=model, attention=False)
    with pytest.raises(OutputError, match="already exists"):
        mien.explain_dataset(faces, model=model, out=tmp_path)
    with pytest.raises(DataError):
        mien.explain_dataset(tmp_path / "nowhere", model=model)

"""`mien explain` as a person types it: images, arrays, labelled data, and one line for every mistake."""

import json
from collections.abc import Callable
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeBundle = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(make_bundle: MakeBundle) -> Path:
    return make_bundle(maps=True)


def test_an_image_is_written_with_its_heat(call: Call, photo: Path, model: Path, tmp_path: Path) -> None:
    code, out, err = call("explain", photo, "--model", model, "--out", tmp_path / "why.png")
    assert (code, err) == (0, "")
    assert "astronaut.png: " in out and "why.png" in out
    with Image.open(tmp_path / "why.png") as image:
        assert image.width == 512 and 530 < image.height < 600
        drawn = np.asarray(image.convert("RGB"))[:512]
    assert (drawn != np.asarray(Image.open(photo).convert("RGB"))).any(axis=2).mean() > 0.5


@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_the_method_and_label_may_be_named(call: Call, photo: Path, model: Path, tmp_path: Path, method: str) -> None:
    target = tmp_path / "why.png"
    code, out, _ = call("explain", photo, "--model", model, "--out", target, "--method", method, "--label", "sad")
    assert code == 0 and target.exists()
    assert "astronaut.png: evidence for sad, answer " in out


def test_all_labels_make_a_sheet_and_arrays_have_them_all(call: Call, photo: Path, model: Path, tmp_path: Path) -> None:
    arguments = ("explain", photo, "--model", model, "--label", "all")
    assert call(*arguments, "--out", tmp_path / "all.png", "--array", tmp_path / "all.npz")[0] == 0
    with Image.open(tmp_path / "all.png") as image:
        assert 430 < image.width < 470
    with np.load(tmp_path / "all.npz", allow_pickle=False) as found:
        assert found["heats"].shape == (2, 1, 16, 16)
        assert found["labels"].tolist() == [["happy"], ["sad"]]
        assert found["crops"].shape == (1, 16, 16, 3)
        np.testing.assert_array_equal(found["corners"][0], [[0, 0], [512, 0], [512, 512], [0, 512]])
    assert call(*arguments, "--array", tmp_path / "all.npy")[0] == 0
    assert np.load(tmp_path / "all.npy", allow_pickle=False).shape == (2, 1, 16, 16)


def test_several_images_go_into_a_folder_and_a_bad_one_stops_nothing(
    call: Call, photo: Path, model: Path, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    (given / "more").mkdir(parents=True)
    for name in ("a.png", "more/a.png"):
        Image.open(photo).resize((40, 40)).save(given / name)
    (given / "b.png").write_bytes(b"no image")
    code, out, err = call("explain", given, "--model", model, "--out", tmp_path / "out")
    assert code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-2.png", "a.png"]
    assert len(out.splitlines()) == 2
    assert len(err.splitlines()) == 1 and "b.png: " in err


@pytest.mark.parametrize("name", ["x.jpg", "x.JPEG", "x.webp", "x.mp4"])
def test_a_folder_is_never_called_like_an_image(
    call: Call, photo: Path, faces: Path, model: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    code, said, err = call("explain", photo, "--model", model, "--out", out)
    fix = "images are written as PNG; give a name that ends in .png, or a folder"
    assert (code, said, err) == (2, "", f"mien: {out}: {fix}\n")
    code, said, err = call("explain", faces, "--model", model, "--summary", "--limit", 2, "--out", out)
    fix = "images are drawn into a folder; give the name of one"
    assert (code, said, err) == (2, "", f"mien: {out}: {fix}\n")
    assert not out.exists()


def test_an_image_without_a_face_says_so(call: Call, model: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200)).save(tmp_path / "black.png")
    code, out, _ = call(
        "explain", tmp_path / "black.png", "--model", model, "--detect=yes", "--out", tmp_path / "why.png",
        "--array", tmp_path / "why.npz",
    )  # fmt: skip
    assert code == 0 and "no face was found" in out
    assert (tmp_path / "why.png").exists()
    with np.load(tmp_path / "why.npz", allow_pickle=False) as found:
        assert found["heats"].shape[:2] == (1, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--out: say where to write"),
        (("--out", "x.png", "--label", "joyful"), "--label joyful: this model has happy, sad"),
        (("--out", "x.png", "--method", "grad-cam"), "--method grad-cam: needs the Keras model"),
        (("--out", "x.png", "--labels", "a,b"), "--labels: is for a .keras file"),
        (("--out", "x.png", "--array", "x.txt"), "ends in .npy or .npz"),
        (("--out", "x.png", "--limit", "5"), "--limit: is for labelled data"),
        (("--out", "x.png", "--classes", "a,b"), "--classes: is for labelled data"),
        (("--summary", "--label", "sad"), "--label: is for images"),
        (("second.png", "--out", "x.png"), "second.png: no such file"),
    ],
)
def test_a_mistake_is_one_line(
    call: Call, photo: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, out, err = call("explain", photo, *arguments, "--model", model)
    assert (code, out) == (2, "")
    assert said in err and len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_keras_file_that_is_not_there_is_named(call: Call, photo: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.keras"
    code, out, err = call("explain", photo, "--out", tmp_path / "x.png", "--model", gone, "--labels", "a,b")
    assert (code, out, err) == (2, "", f"mien: --model {gone}: no such file\n")


def test_what_is_explained_is_never_overwritten(call: Call, photo: Path, model: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    mine.write_bytes(photo.read_bytes())
    for out in (mine, tmp_path):
        code, _, err = call("explain", mine, "--model", model, "--out", out)
        assert code == 2 and "is one of the inputs; give another file" in err
    assert mine.read_bytes() == photo.read_bytes()
    code, _, err = call("explain", mine, photo, "--model", model, "--out", tmp_path / "x.png")
    assert code == 2 and "give a folder" in err


def test_a_bundle_without_maps_takes_occlusion_or_says_why_not(
    call: Call, photo: Path, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    arguments = ("explain", photo, "--model", make_bundle(), "--out", tmp_path / "why.png")
    assert call(*arguments)[0] == 0
    code, _, err = call(*arguments, "--method", "cam")
    assert code == 2 and "has no class activation maps" in err and len(err.splitlines()) == 1


# Labelled data


def test_a_summary_says_where_the_model_looks(call: Call, faces: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "summary"
    code, said, _ = call("explain", faces, "--model", model, "--summary", "--limit", "12", "--out", out)
    assert code == 0
    assert "12 images, all of faces" in said and "background" in said
    found = json.loads((out / "summary.json").read_text())
    assert found["classes"]["sad"]["images"] + found["classes"]["sad"]["without_evidence"] == 6
    assert found["conclusion"] in " ".join(said.split())
    with Image.open(out / "summary.png") as image:
        assert image.width > 380
    with np.load(out / "maps.npz", allow_pickle=False) as maps:
        assert maps["labels"].tolist() == ["happy", "sad"] and maps["heats"].shape == (2, 16, 16)
    assert (out / "explain.html").read_text(encoding="utf-8").count("<section") == 1
    code, _, err = call("explain", faces, "--model", model, "--summary", "--out", out)
    assert code == 2 and "already exists" in err


def test_faithfulness_is_printed_and_written(call: Call, faces: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "faithful"
    code, said, _ = call("explain", faces, "--model", model, "--faithfulness", "--limit", "8", "--out", out)
    assert code == 0
    assert "deletion" in said and "better by" in said
    found = json.loads((out / "faithfulness.json").read_text())
    assert found["images"] == 8 and set(found["deletion"]) == {"cam", "random", "patches", "centre"}
    written = {"faithfulness.json", "deletion.png", "insertion.png", "explain.html"}
    assert {path.name for path in out.iterdir()} == written


def test_all_of_it_is_one_page(call: Call, faces: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "look"
    code, said, _ = call(
        "explain", faces, "--model", model, "--summary", "--faithfulness", "--limit", 8, "--out", out
    )  # fmt: skip
    assert code == 0 and "all results are in" in " ".join(said.split())
    text = (out / "explain.html").read_text(encoding="utf-8")
    for name in ("summary", "faithfulness"):
        assert escape(json.loads((out / f"{name}.json").read_text())["conclusion"]) in text.replace("\u00a0", " ")
    assert text.count("<svg") == 2 and text.count("data:image/png;base64,") == 2
    assert text.count("<section") == 2 and "Where the model looks and whether its heatmaps are faithful." in text


def test_data_that_is_not_there_is_one_line(call: Call, model: Path, tmp_path: Path) -> None:
    code, _, err = call("explain", tmp_path / "nowhere", "--model", model, "--summary")
    assert code == 2 and len(err.splitlines()) == 1


# The Keras model


@pytest.mark.slow
def test_gradients_explain_a_run_and_a_keras_file(call: Call, faces: Path, photo: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ("--network", "classic", "--size", "32", "--colour", "grey", "--epochs", "1", "--from", "none")
    assert call("train", faces, "--out", run, *arguments)[0] == 0
    for number, method in enumerate(("grad-cam", "grad-cam++")):
        target = tmp_path / f"{number}.png"
        assert call("explain", photo, "--model", run, "--method", method, "--out", target)[0] == 0
        assert target.exists()
    keras_file = run / "model.keras"
    by_run, by_file, alone = (tmp_path / f"{name}.npy" for name in ("run", "file", "alone"))
    asked = ("explain", photo, "--label", "sad", "--method", "grad-cam", "--array")
    assert call(*asked, by_run, "--model", run)[0] == 0
    assert call(*asked, by_file, "--model", keras_file)[0] == 0
    keras_file.rename(tmp_path / "loose.keras")
    code, _, err = call(*asked, alone, "--model", tmp_path / "loose.keras")
    assert code == 2 and "--labels happy,sad" in err
    assert call(*asked, alone, "--model", tmp_path / "loose.keras", "--labels", "happy,sad")[0] == 0
    for other in (by_file, alone):
        np.testing.assert_allclose(np.load(by_run), np.load(other), atol=1e-5)
    code, _, err = call(*asked, by_run, "--model", run)
    assert code == 2 and "needs the Keras model" in err

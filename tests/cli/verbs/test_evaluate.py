"""`mien evaluate` measures a bundle on labelled data, and says in one line where it cannot."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage.data import astronaut

import mien
from mien.data.dataset import read_manifest
from mien.evaluation.scoring import score

MakeBundle = Callable[..., Path]
Called = tuple[int, str, str]
Call = Callable[..., Called]


@pytest.fixture(scope="module")
def bundle(make_bundle: MakeBundle) -> Path:
    return make_bundle()


@pytest.fixture
def data(faces: Path, tmp_path: Path) -> Path:
    """The drawn faces, in a copy that may be spoiled."""
    return Path(shutil.copytree(faces, tmp_path / "data"))


def test_the_table_has_every_figure_with_its_interval(call: Call, bundle: Path, faces: Path) -> None:
    status, out, err = call("evaluate", faces, "--model", bundle)
    assert (status, err) == (0, "")
    found = score(mien.load(bundle), read_manifest(faces)).metrics
    assert "Metrics on: all of faces" in out
    for text in ("happy", "sad", "precision", "recall", "F1", "ROC-AUC", str(found.accuracy), str(found.macro_f1)):
        assert text in out


def test_json_holds_what_python_says(call: Call, bundle: Path, faces: Path, tmp_path: Path) -> None:
    status, out, err = call("evaluate", faces, "--model", bundle, "--json", "-")
    assert (status, err) == (0, "")
    found = json.loads(out)
    scored = score(mien.load(bundle), read_manifest(faces))
    expected = replace(scored, groups=np.arange(len(scored.names))).metrics.to_dict()  # there are no copies
    assert {name: found[name] for name in expected} == json.loads(json.dumps(expected))
    assert found["about"]["sha256"] == mien.load(bundle).config.sha256
    assert call("evaluate", faces, "--model", bundle, "--json", tmp_path / "m.json")[0] == 0
    again = json.loads((tmp_path / "m.json").read_text("utf-8"))
    assert {**again, "about": None} == {**found, "about": None}  # which names the command itself


def test_a_report_is_written_whole_and_never_twice(call: Call, bundle: Path, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "report"
    assert call("evaluate", faces, "--model", bundle, "--out", out)[0] == 0
    assert {"report.html", "metrics.json", "predictions.csv", "confusion.png"} < {path.name for path in out.iterdir()}
    assert [path.name for path in out.parent.iterdir()] == ["report"]
    status, _, err = call("evaluate", faces, "--model", bundle, "--out", out)
    assert (status, err.count("\n")) == (2, 1)
    assert "already exists" in err


def test_the_held_out_part_is_measured(call: Call, bundle: Path, faces: Path, tmp_path: Path) -> None:
    for part in ("train", "validation", "test"):
        shutil.copytree(faces, tmp_path / "parts" / part)
    (tmp_path / "parts" / "test" / "sad" / "broken.png").write_bytes(b"")
    status, out, err = call("evaluate", tmp_path / "parts", "--model", bundle)
    assert status == 1
    assert "Metrics on: test part of parts" in out
    assert "test/sad/broken.png" in err
    shutil.rmtree(tmp_path / "parts" / "test")
    assert "Metrics on: validation part of parts" in call("evaluate", tmp_path / "parts", "--model", bundle)[1]


def test_unreadable_images_are_counted_aloud(call: Call, bundle: Path, data: Path) -> None:
    for number in range(7):
        (data / "happy" / f"{number}-bad\n[x].png").write_bytes(b"")
    status, out, err = call("evaluate", data, "--model", bundle, "--json", "-")
    assert status == 1
    assert len(json.loads(out)["skipped"]) == 7
    lines = err.splitlines()
    assert len(lines) == 6
    assert lines[0] == r"mien: happy/0-bad\n[x].png: is empty (zero bytes)"
    assert lines[-1] == "mien: 7 images could not be read and do not count"


def test_images_without_a_face_are_counted_aloud(call: Call, make_bundle: MakeBundle, data: Path) -> None:
    folder = make_bundle(framing="face")
    for name in ("happy", "sad"):
        shutil.rmtree(data / name)
        (data / name).mkdir()
        Image.fromarray(astronaut()[:300, 60:360]).save(data / name / "face.png")  # type: ignore[no-untyped-call]
    Image.new("RGB", (300, 200), (90, 120, 60)).save(data / "sad" / "field.png")
    status, out, err = call("evaluate", data, "--model", folder, "--json", "-")
    assert status == 0
    assert (json.loads(out)["n"], json.loads(out)["no_face"]) == (2, ["sad/field.png"])
    assert err.splitlines() == [
        "mien: sad/field.png: no face was found",
        "mien: no face was found in 1 of 3 images; they do not count, --no-detect uses them whole",
    ]
    status, out, err = call("evaluate", data, "--model", folder, "--no-detect", "--json", "-")
    assert (status, err, json.loads(out)["n"], json.loads(out)["no_face"]) == (0, "", 3, [])
    whole = make_bundle()
    assert json.loads(call("evaluate", data, "--model", whole, "--json", "-")[1])["n"] == 3
    assert json.loads(call("evaluate", data, "--model", whole, "--detect=yes", "--json", "-")[1])["n"] == 2


def test_classes_and_names_of_ones_own(call: Call, bundle: Path, data: Path) -> None:
    (data / "sad").rename(data / "gloomy")
    shutil.copytree(data / "happy", data / "other")
    status, out, err = call("evaluate", data, "--model", bundle)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "does not know the class 'gloomy'" in err
    status, out, err = call(
        "evaluate", data, "--model", bundle, "--map", "gloomy=sad", "--classes", "sad,happy", "--json", "-"
    )
    assert (status, err) == (0, "")
    assert json.loads(out)["classes"] == ["sad", "happy"]
    assert json.loads(out)["n"] == 40


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give DATA to evaluate the shipped model on; or --model RUN"),
        (["--model", "BUNDLE"], "is no run folder, so it has no data of its own; give DATA"),
        (["--model", "BUNDLE", "--classes", "happy,sad"], "need DATA"),
        (["--model", "BUNDLE", "--detect=yes"], "--detect: needs DATA"),
        (["absent", "--model", "BUNDLE"], "absent: no such file or folder"),
        (["FACES", "--model", "absent"], "absent: no such model"),
        (["FACES", "--model", "BUNDLE", "--classes", "happy"], "at least two"),
        (["FACES", "--model", "BUNDLE", "--classes", "happy,glad"], "has no class 'glad'"),
        (["FACES", "--model", "BUNDLE", "--map", "happy"], "OLD=NEW"),
        (["FACES/happy", "--model", "BUNDLE"], "FACES/happy"),
        (["FACES", "--model", "BUNDLE", "--out", "FACES"], "already exists"),
        (["FACES", "--model", "BUNDLE", "--out", "BUNDLE/config.json/report"], "may write to"),
        (["FACES", "--model", "BUNDLE", "--json", "FACES"], "is a folder"),
    ],
)
def test_a_bad_call_is_one_line(call: Call, bundle: Path, faces: Path, arguments: list[str], words: str) -> None:
    named = [text.replace("FACES", str(faces)).replace("BUNDLE", str(bundle)) for text in arguments]
    status, out, err = call("evaluate", *named)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("mien: ")
    assert words.replace("FACES", str(faces)) in err


def test_without_a_name_the_shipped_model_is_measured(call: Call, shipped: Path, faces: Path) -> None:
    status, out, err = call("evaluate", faces, "--json", "-")
    assert (status, err) == (0, "")
    expected = score(mien.load(), read_manifest(faces)).metrics.to_dict()
    assert json.loads(out)["accuracy"] == json.loads(json.dumps(expected["accuracy"]))
    named, unnamed = json.loads(call("evaluate", faces, "--model", "mien", "--json", "-")[1]), json.loads(out)
    assert named["about"].pop("created") >= unnamed["about"].pop("created")  # a second may have passed
    assert named == unnamed
    assert "mien: is no run folder" in call("evaluate", "--model", "mien")[2]
    shutil.rmtree(shipped)
    assert call("evaluate", faces)[2].startswith("mien: no model comes with this installation")


def test_the_report_says_which_reading_was_judged(call: Call, three_way: Path, bundle: Path, faces: Path) -> None:
    assert "judged by the answer of the model, by its own rule" in call("evaluate", faces, "--model", bundle)[1]
    assert (
        "judged by whether happy or sad is more probable, since the data has only these two"
        in call("evaluate", faces, "--model", three_way)[1]
    )
    mapped = call("evaluate", faces, "--model", three_way, "--map", "sad=fear")[1]
    assert "judged by the most probable of the expressions that the data has" in mapped
    _, out, _ = call("evaluate", faces, "--model", three_way, "--map", "sad=fear", "--json", "-")
    assert json.loads(out)["judged_by"] == "expressions"


def test_one_class_is_refused(call: Call, bundle: Path, data: Path) -> None:
    shutil.rmtree(data / "sad")
    status, _, err = call("evaluate", data, "--model", bundle)
    assert status == 2
    assert "has only the class 'happy'" in err


def test_a_missing_matplotlib_is_found_before_the_work(
    call: Call, bundle: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, out, err = call("evaluate", faces, "--model", bundle, "--out", tmp_path / "report")
    assert (status, out) == (2, "")
    assert err == "mien: drawing plots needs an optional part of mien: pip install 'mien[report]'\n"
    assert list(tmp_path.iterdir()) == []
    assert call("evaluate", faces, "--model", bundle)[0] == 0


def test_labels_that_look_like_markup(call: Call, make_bundle: MakeBundle, data: Path) -> None:
    (data / "happy").rename(data / "[red]")
    (data / "sad").rename(data / "[blue]")
    status, out, err = call("evaluate", data, "--model", make_bundle(("[blue]", "[red]")))
    assert (status, err) == (0, "")
    assert "[red]" in out
    assert "[blue]" in out


# Groups of people, perturbed images, and what is drawn at random


def test_groups_and_robustness_stand_in_the_report(call: Call, bundle: Path, faces: Path, tmp_path: Path) -> None:
    names = sorted(path.relative_to(faces).as_posix() for path in faces.glob("*/*.*"))
    cameras = dict(zip(names, ("old", "new", "new", "old") * 10, strict=True))
    table = tmp_path / "groups.csv"
    table.write_text("file,camera\n" + "".join(f"{name},{camera}\n" for name, camera in cameras.items()), "utf-8")
    out = tmp_path / "report"
    status, _, err = call("evaluate", faces, "--model", bundle, "--groups", table, "--robustness", "--out", out)
    assert (status, err) == (0, "")

    found = json.loads((out / "metrics.json").read_text())
    (grouping,) = found["groups"]["groupings"]
    assert grouping["grouping"] == "camera"
    by_camera = {part["group"]: part for part in grouping["groups"]}
    scored = score(mien.load(bundle), read_manifest(faces))
    for camera in ("old", "new"):
        own = [
            bool(right) for name, right in zip(scored.names, scored.is_right, strict=True) if cameras[name] == camera
        ]
        assert by_camera[camera]["n"] == len(own) == 20
        assert by_camera[camera]["accuracy"]["value"] == pytest.approx(np.mean(own))
        assert 0 <= by_camera[camera]["ece"]["value"] <= 1
    hardened = found["robustness"]
    assert (hardened["images"], hardened["of"], len(hardened["perturbations"])) == (40, 40, 13)
    assert hardened["unchanged"]["value"] == found["accuracy"]["value"]

    text = (out / "report.html").read_text(encoding="utf-8")
    assert 'id="groups"' in text and 'id="robustness"' in text and "Too small to compare: " in text
    assert {"groups-1.png", "robustness.png"} <= {path.name for path in out.iterdir()}


def test_the_seed_reaches_every_interval_that_is_drawn(call: Call, bundle: Path, data: Path) -> None:
    for path in sorted((data / "sad").iterdir())[:8]:
        shutil.copy(path, path.with_name(f"copy-of-{path.name}"))

    def measured(seed: int) -> Any:
        status, out, _ = call("evaluate", data, "--model", bundle, "--seed", seed, "--json", "-")
        assert status == 0
        return json.loads(out)

    first, again, other = measured(1), measured(1), measured(2)
    drawn = [("accuracy", "low"), ("thresholds", "saved"), ("risk_coverage", "area")]
    for figure, part in drawn:
        assert first[figure][part] == again[figure][part] != other[figure][part]
    assert first["accuracy"]["value"] == other["accuracy"]["value"]
    assert (first["n"], first["n_groups"]) == (48, 40)


# Thresholds


@pytest.fixture
def own(make_bundle: MakeBundle) -> Path:
    """A bundle of two classes whose threshold may be changed."""
    return make_bundle(threshold=0.9, about={"kept": "as it was"})


def test_the_chosen_threshold_stands_in_the_bundle_and_is_followed(
    call: Call, own: Path, faces: Path, tmp_path: Path
) -> None:
    before = json.loads((own / "config.json").read_text())
    weights = (own / "model.onnx").read_bytes()
    scored = score(mien.load(own), read_manifest(faces))
    out = tmp_path / "report"
    status, said, err = call("evaluate", faces, "--model", own, "--choose-threshold", "--cost", "happy=3", "--out", out)
    assert (status, err) == (0, "")
    after = json.loads((own / "config.json").read_text())
    chosen = after["threshold"]
    assert f"threshold {chosen:g} in place of 0.9, in {own} (saves " in said
    assert {**after, "threshold": 0.9, "about": before["about"]} == before
    assert after["about"]["kept"] == "as it was"
    assert after["about"]["threshold"]["costs"] == {"happy": 3.0, "sad": 1.0}
    assert (own / "model.onnx").read_bytes() == weights
    assert {path.name for path in own.iterdir()} == {"model.onnx", "config.json"}

    def cost(answers: npt.NDArray[Any]) -> float:
        wrong = answers != scored.truth
        return float(np.where(answers[wrong] == 0, 3, 1).sum())

    again = score(mien.load(own), read_manifest(faces))
    np.testing.assert_array_equal(again.answers, scored.probabilities[:, 1] >= chosen)
    every = [cost((scored.probabilities[:, 1] >= limit).astype(int)) for limit in np.linspace(0.001, 0.999, 999)]
    assert cost(again.answers) <= min(every) < cost(scored.answers)
    text = (out / "report.html").read_text(encoding="utf-8")
    assert f"{chosen:g} now stands in {own}" in text
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["thresholds"]["present"], metrics["thresholds"]["cheapest"]) == (0.9, chosen)
    _, said, _ = call("evaluate", faces, "--model", own, "--choose-threshold", "--cost", "happy=3")
    assert f"threshold stays at {chosen:g}, none is cheaper here\n" in said
    assert json.loads((own / "config.json").read_text())["threshold"] == chosen


@pytest.mark.parametrize("failing", ["groups", "json", "missing"])
def test_a_report_that_cannot_be_written_leaves_the_threshold(
    call: Call, own: Path, faces: Path, tmp_path: Path, failing: str
) -> None:
    before = (own / "config.json").read_bytes()
    (tmp_path / "g.csv").write_text("file,age\nnone of them,old\n")
    options = {
        "groups": ("--groups", tmp_path / "g.csv"), "json": ("--json", "/dev/full"),
        "missing": ("--groups", tmp_path / "no.csv"),
    }[failing]  # fmt: skip
    out = tmp_path / "out"
    status, said, err = call("evaluate", faces, "--model", own, "--choose-threshold", "--out", out, *options)
    assert (status, said, err.count("\n")) == (2, "", 1)
    assert str(options[1]) in err
    assert (own / "config.json").read_bytes() == before
    assert not list(tmp_path.glob("*out*")) + list(tmp_path.glob(".*out*"))


def test_the_threshold_is_that_of_the_models_second_label(call: Call, own: Path, faces: Path) -> None:
    call("evaluate", faces, "--model", own, "--choose-threshold", "--classes", "sad,happy")
    chosen = json.loads((own / "config.json").read_text())["threshold"]
    scored = score(mien.load(own), read_manifest(faces))
    right = [(scored.truth == (scored.probabilities[:, 1] >= limit)).sum() for limit in np.linspace(0.001, 0.999, 999)]
    assert scored.is_right.sum() >= max(right)
    assert chosen != 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--choose-threshold",), "--choose-threshold: the shipped model stays as it is; give --model FOLDER"),
        (("--choose-threshold", "--model", "mien"), "the shipped model stays as it is"),
        (("--cost", "sad"), "--cost sad: write it as CLASS=N, like sad=5"),
        (("--cost", "sad=-1"), "with a number of at least 0"),
        (("--cost", "sad=nan"), "with a number of at least 0"),
        (("--cost", "sad=2", "--map", "sad=happy"), "this has 1; use --classes"),
        (("--cost", "gloomy=2"), "--cost gloomy=2: no such class; the data has happy, sad"),
        (("--cost", "sad=0", "--cost", "happy=0"), "all are 0"),
        (("--robustness",), "--robustness: its results go into a report; give --out DIR or --json FILE"),
        (("--groups", "g.csv"), "--groups: its results go into a report"),
    ],
)
def test_options_that_cannot_be_are_one_line(
    call: Call, bundle: Path, faces: Path, options: tuple[str, ...], message: str
) -> None:
    own = () if "--choose-threshold" in options else ("--model", bundle)
    status, out, err = call("evaluate", faces, "--no-detect", *own, *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_only_two_labels_have_a_threshold(call: Call, make_bundle: MakeBundle, three_way: Path, faces: Path) -> None:
    animals = make_bundle(("cat", "dog", "owl"))
    for model in (animals, three_way):
        before = (model / "config.json").read_bytes()
        status, _, err = call("evaluate", faces, "--model", model, "--choose-threshold")
        assert status == 2
        assert "is for models that answer one of two labels" in err
        assert (model / "config.json").read_bytes() == before


@pytest.mark.parametrize(("words", "said"), [((), True), (("--no-detect",), False)])
def test_photographs_that_are_read_whole_are_said(
    call: Call, bundle: Path, tmp_path: Path, words: tuple[str, ...], said: bool
) -> None:
    for label in ("happy", "sad"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (640, 480), (number, 0, 0)).save(tmp_path / "photos" / label / f"{number}.png")
    _, _, err = call("evaluate", tmp_path / "photos", "--model", bundle, *words)
    assert ("but 4 of 4 are as large as photographs; --detect yes finds the faces first" in err) == said

"""`mien.evaluate` gives what `mien evaluate` gives, writes it whole, and refuses what cannot be before long work."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mien
from mien.report.report import Evaluation

MakeBundle = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bundle(make_bundle: MakeBundle) -> Path:
    return make_bundle()


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    """The same without the command and the time."""
    about = {name: value for name, value in found["about"].items() if name not in ("command", "created")}
    return json.loads(json.dumps({**found, "about": about}))  # type: ignore[no-any-return]


def groups_of(faces: Path, folder: Path) -> Path:
    names = sorted(path.relative_to(faces).as_posix() for path in faces.glob("*/*.*"))
    rows = "".join(f"{name},{'old' if number % 2 else 'new'}\n" for number, name in enumerate(names))
    table = folder / "groups.csv"
    table.write_text(f"file,camera\n{rows}", "utf-8")
    return table


def test_python_gives_what_the_command_gives(call: Call, bundle: Path, faces: Path, tmp_path: Path) -> None:
    table = groups_of(faces, tmp_path)
    status, out, err = call(
        "evaluate", faces, "--model", bundle, "--groups", table, "--robustness", "--cost", "sad=5", "--seed", 3,
        "--json", "-",
    )  # fmt: skip
    assert (status, err) == (0, "")
    progress: list[float] = []
    found = mien.evaluate(
        faces, model=bundle, groups=table, robustness=True, costs={"sad": 5}, seed=3, on_progress=progress.append
    )
    assert comparable(found.to_dict()) == comparable(json.loads(out))
    assert {"slices", "groups", "robustness", "thresholds"} <= found.to_dict().keys()
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(1)


def test_a_run_is_evaluated_on_its_own_part_without_keras(
    call: Call, make_bundle: MakeBundle, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copytree(make_bundle(), run / "bundle")
    names = sorted(path.relative_to(faces).as_posix() for path in faces.glob("*/*.*"))
    parts = ["train", "train", "validation", "test"]
    rows = [f"{name},{name.split('/')[0]},{parts[number % 4]},{number}\n" for number, name in enumerate(names)]
    (run / "split.csv").write_text("file,label,part,group\n" + "".join(rows), "utf-8")
    source: dict[str, Any] = {"path": str(faces.resolve()), "classes": None, "rename": {}}
    (run / "run.json").write_text(json.dumps({"source": source, "classes": ["happy", "sad"]}), "utf-8")

    monkeypatch.setitem(sys.modules, "keras", None)
    found = mien.evaluate(model=run)
    assert found.part == "test"
    assert found.metrics.n == 10
    assert set(found.predictions.names) == {names[number] for number in range(3, 40, 4)}
    assert found.trained_on == 0
    assert comparable(found.to_dict()) == comparable(json.loads(call("evaluate", "--model", run, "--json", "-")[1]))
    whole = mien.evaluate(faces, model=run, metrics_only=True)
    assert (whole.metrics.n, whole.trained_on) == (40, 20)


def test_a_reader_is_a_model_too(bundle: Path, faces: Path) -> None:
    reader = mien.load(bundle)
    found, named = (mien.evaluate(faces, model=model, metrics_only=True) for model in (reader, bundle))
    assert comparable(found.to_dict()) == comparable(named.to_dict())
    with pytest.raises(mien.ConfigError, match="give `data=`"):
        mien.evaluate(model=reader)


def test_it_is_written_whole_or_not_at_all(bundle: Path, faces: Path, tmp_path: Path) -> None:
    found = mien.evaluate(faces, model=bundle, out=tmp_path / "report")
    assert isinstance(found, Evaluation)
    assert {"report.html", "metrics.json", "predictions.csv", "confusion.png"} <= {
        path.name for path in (tmp_path / "report").iterdir()
    }
    assert json.loads((tmp_path / "report" / "metrics.json").read_text()) == json.loads(json.dumps(found.to_dict()))
    with pytest.raises(mien.OutputError, match="already exists"):
        found.write(tmp_path / "report")
    with pytest.raises(mien.OutputError):
        found.write(tmp_path / "other", "/dev/full")
    assert not (tmp_path / "other").exists()


def test_metrics_only_skips_the_slices(bundle: Path, faces: Path) -> None:
    found = mien.evaluate(faces, model=bundle, metrics_only=True)
    assert found.slices is None
    assert found.predictions.groups is not None
    assert "slices" not in found.to_dict()


def test_a_notebook_shows_the_verdict_and_the_metrics(bundle: Path, faces: Path) -> None:
    found = mien.evaluate(faces, model=bundle, metrics_only=True)
    shown = found._repr_html_()
    assert "is right on" in shown
    assert str(found.metrics.accuracy.value)[:5] in shown
    assert shown.count("<table") == 2


def test_the_cheapest_threshold_is_written_last(make_bundle: MakeBundle, faces: Path, tmp_path: Path) -> None:
    own = make_bundle(threshold=0.9)
    before = (own / "config.json").read_text("utf-8")
    with pytest.raises(mien.OutputError):
        mien.evaluate(faces, model=own, choose_threshold=True, json_target=str(tmp_path))
    assert (own / "config.json").read_text("utf-8") == before
    found = mien.evaluate(faces, model=own, choose_threshold=True, costs={"happy": 3})
    assert found.thresholds is not None
    assert found.bundle == own
    assert mien.load(own).threshold == found.thresholds.cheapest.threshold != 0.9
    again = mien.evaluate(faces, model=own, choose_threshold=True, costs={"happy": 3})
    assert again.bundle is None


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, mien.ConfigError, "give `data=`"),
        ({"model": "BUNDLE"}, mien.DataError, "is no run folder"),
        ({"data": "FACES", "costs": {"gloomy": 2}}, mien.ConfigError, "gloomy"),
        ({"data": "FACES", "costs": {"sad": -1}}, mien.ConfigError, "at least 0"),
        ({"data": "FACES", "costs": {"sad": 0, "happy": 0}}, mien.ConfigError, "all are 0"),
        ({"data": "FACES", "groups": "absent.csv"}, mien.DataError, "absent.csv"),
        ({"data": "FACES", "out": "FACES"}, mien.OutputError, "already exists"),
        ({"data": "FACES", "choose_threshold": True}, mien.ConfigError, "the shipped model stays as it is"),
    ],
)
def test_a_bad_call_is_one_line(
    bundle: Path, faces: Path, arguments: dict[str, Any], error: type[mien.MienError], words: str
) -> None:
    paths = {"FACES": faces, "BUNDLE": bundle}
    given: dict[str, Any] = {
        name: paths.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()
    }
    with pytest.raises(error, match=words) as caught:
        mien.evaluate(**given)
    assert "\n" not in str(caught.value)


def test_matplotlib_and_jinja_are_loaded_only_to_write(bundle: Path, faces: Path) -> None:
    code = f"""
        import sys
        import mien
        found = mien.evaluate({str(faces)!r}, model={str(bundle)!r})
        found.to_dict(), found._repr_html_()
        assert not {{"matplotlib", "jinja2", "keras", "scipy", "sklearn"}} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_near_duplicates_widen_the_intervals_of_a_short_evaluation_too(
    bundle: Path, faces: Path, tmp_path: Path, call: Call
) -> None:
    data = Path(shutil.copytree(faces, tmp_path / "data"))
    for path in sorted((faces / "happy").iterdir())[:8]:
        for number in range(3):
            shutil.copy(path, data / "happy" / f"copy-{number}-{path.name}")
    short = mien.evaluate(data, model=bundle, metrics_only=True)
    whole = mien.evaluate(data, model=bundle)
    assert short.metrics.to_dict() == whole.metrics.to_dict()
    assert short.metrics.n_groups == 40 < short.metrics.n == 64
    said = " ".join(call("evaluate", data, "--model", bundle)[1].split())
    for value in str(whole.metrics.ece).split(" ["):
        assert value in said


def test_results_say_what_they_are_in_one_line(faces: Path) -> None:
    reader = mien.load(threads=1, detect=False)
    found = [mien.evaluate(faces, model=reader, metrics_only=True, threshold=one) for one in (None, {"sad": 0.9})]
    own = (reader.config.answer_from or {})["sad"]
    assert [one.reader and one.reader.rule.to_dict()["answer_from"]["sad"] for one in found] == [own, 0.9]
    assert repr(found[0]).startswith("<mien.Evaluation of mien on")
    assert "<mien.Comparison of mien and mien-2 on 40 images: " in repr(mien.compare(*found))
    checked = mien.check(faces)
    assert repr(checked).startswith(f"<mien.Audit of {faces}: ")
    heat = reader.explain(next(faces.glob("*/*.png")), label="sad")
    assert repr(heat).endswith("; heatmaps: sad (cam)>")
    for one in (*found, checked, heat, reader):
        assert "\n" not in repr(one) and len(repr(one)) < 300


def test_arguments_of_another_type_are_clear_errors(faces: Path) -> None:
    untyped: Any = mien
    calls: list[Callable[[], Any]] = [
        lambda: untyped.load(5),
        lambda: untyped.check(None),
        lambda: untyped.evaluate(3),
        lambda: untyped.evaluate(faces, model=3),
        lambda: untyped.evaluate(model=3),
        lambda: untyped.train(7),
        lambda: untyped.explain(faces, model=3),
        lambda: untyped.explain_dataset(3),
        lambda: untyped.compare(1, 2),
        lambda: untyped.Reader("mien"),
    ]
    for call in calls:
        with pytest.raises(mien.ConfigError, match=r"not (int|NoneType|str)"):
            call()
    with pytest.raises(mien.ConfigError, match="did you mean 'grad-cam'"):
        untyped.explain(faces, method="gradcam")


# Given answers


def given_answers(faces: Path, path: Path, wrong: int = 0) -> Path:
    """Right answers without probabilities, but for the first `wrong`."""
    names = sorted(one.relative_to(faces).as_posix() for one in faces.glob("*/*.*"))
    other = {"happy": "sad", "sad": "happy"}
    labels = [name.split("/")[0] for name in names]
    rows = (
        f"{name},{other[label] if number < wrong else label}\n"
        for number, (name, label) in enumerate(zip(names, labels, strict=True))
    )
    path.write_text("file,label\n" + "".join(rows), "utf-8")
    return path


def test_given_answers_have_the_report_without_what_needs_probabilities(
    call: Call, faces: Path, tmp_path: Path
) -> None:
    answers, groups = given_answers(faces, tmp_path / "rival.csv", wrong=3), groups_of(faces, tmp_path)
    out = tmp_path / "report"
    status, said, err = call("evaluate", faces, "--answers", answers, "--groups", groups, "--out", out)
    assert (status, err) == (0, "")
    assert "accuracy" in said
    assert "ROC-AUC" not in said
    found = json.loads((out / "metrics.json").read_text("utf-8"))
    assert found["accuracy"]["value"] == pytest.approx(37 / 40)
    assert found["groups"]["groupings"][0]["grouping"] == "camera"
    assert not {"roc_auc", "average_precision", "brier", "ece"} & {*found, *found["per_class"]["sad"]}
    assert (found["reliability"], found["risk_coverage"], found["thresholds"]) == (None, None, None)
    assert found["about"]["model"] == "rival"
    assert found["answers"]["rows"] == 40
    page = (out / "report.html").read_text("utf-8")
    assert "The answers have no probabilities: ROC-AUC, average precision, Brier score and ECE" in page
    assert re.search(r"rival is right on 92.\d*.?%", page)
    assert not {"roc.png", "reliability.png"} & {path.name for path in out.iterdir()}
    assert not re.search(r"\bnan\b", page)


def test_given_answers_are_compared_with_a_model(bundle: Path, faces: Path, tmp_path: Path) -> None:
    model = mien.evaluate(faces, model=bundle, metrics_only=True)
    bare = mien.evaluate(faces, answers=given_answers(faces, tmp_path / "rival.csv", 2), out=tmp_path / "rival")
    sure = mien.evaluate(
        faces, answers={name: {"happy": float("happy" in name), "sad": float("sad" in name)}
                        for name in bare.predictions.names}, metrics_only=True,
    )  # fmt: skip
    found = mien.compare(model, tmp_path / "rival")
    assert (found.n, found.models["rival"]) == (40, "rival")
    assert [metric.key for metric in found.metrics] == ["accuracy", "balanced_accuracy", "macro_f1"]
    assert list(found.differences[0].metrics) == ["accuracy", "balanced_accuracy", "macro_f1"]
    assert found.notes[0].startswith(
        "rival has answers without probabilities, so ROC-AUC, average precision and Brier score"
    )
    assert not any("different data" in note for note in found.notes)
    assert "roc_auc" in mien.compare(model, sure).differences[0].metrics
    mien.compare(model, bare, out=tmp_path / "compared")
    assert len(mien.compare(model, bare).rows()) == 3


def test_the_command_says_what_it_guessed_and_what_does_not_count(call: Call, faces: Path, tmp_path: Path) -> None:
    names = sorted(one.relative_to(faces).as_posix() for one in faces.glob("*/*.*"))
    path = tmp_path / "rival.csv"
    rows = [f"{name},{'Joy' if 'happy' in name else 'sad'}\n" for name in names[:-1]]
    path.write_text("img,guess,emotion\n" + "".join(f"{row.strip()},x\n" for row in rows) + ",sad,x\n", "utf-8")
    command = ("evaluate", faces, "--answers", path, "--column", "label=guess", "--map", "Joy=happy")
    status, out, err = call(*command)
    assert status == 1
    assert err.splitlines() == [
        f"{path}: reads column 'img' as the file; --column file=img names others",
        f"{path}: line 41: has no file",
        f"{path}: 1 row cannot be used and does not count",
        f"{path}: no answer for 1 of 40 images, like '{names[-1]}'; they do not count. If every image without an "
        "answer counted as wrong, accuracy would be 0.975",
    ]
    assert "1.000" in out
    status, _, err = call("evaluate", faces, "--answers", path, "--column", "label=guess", "--map", "joy=happy")
    assert (status, err.count("\n")) == (2, 1)
    assert "has no class 'joy' to map" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "mien"}, "`answers=` and `model=`"),
        ({"robustness": True}, "`answers=` and `robustness=`"),
        ({"detect": False}, "`answers=` and `detect=`"),
        ({"data": None}, "`answers=`: needs `data=`"),
        ({"answers": None, "columns": {"file": "x"}}, "`columns=`: names columns of `answers=`"),
        ({"costs": {"sad": 2}}, "`costs=`: need probabilities"),
    ],
)
def test_options_of_a_model_do_not_go_with_answers(faces: Path, arguments: dict[str, Any], words: str) -> None:
    answers = {"happy/happy-00001.jpg": "happy"}
    with pytest.raises(mien.ConfigError, match=words):
        mien.evaluate(**{"data": faces, "answers": answers, "metrics_only": True, **arguments})

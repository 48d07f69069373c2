"""`mien compare`: reports are read back and paired by file; differences with a known truth are tested."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mien
from mien.errors import ConfigError, DataError, OutputError
from mien.evaluation.comparison import compare_predictions
from mien.evaluation.predictions import read_predictions
from mien.evaluation.scoring import Predictions
from mien.metrics.classification import classification_metrics
from mien.report.report import Evaluation, predictions_csv

Call = Callable[..., tuple[int, str, str]]

TRUTH = np.random.default_rng(0).integers(0, 2, 1000)


def answered(right: float, seed: int, truth: np.ndarray = TRUTH) -> np.ndarray:
    """Answers of a model that is right so often; half of the images are easy for every model."""
    rng = np.random.default_rng(seed)
    easy = np.random.default_rng(99).random(len(truth)) < 0.5
    return np.asarray(truth ^ (rng.random(len(truth)) >= np.where(easy, 0.98, 2 * right - 0.98)))


def report(
    folder: Path,
    right: float,
    seed: int,
    truth: np.ndarray = TRUTH,
    classes: Sequence[str] = ("happy", "sad"),
    groups: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    settings: str = "",
    sha256: str | None = None,
) -> Path:
    """Write what `mien evaluate --out` leaves of a model that is right so often."""
    n = len(truth)
    answers = answered(right, seed, truth)
    probabilities = np.full((n, len(classes)), 0.0)
    confidence = np.random.default_rng(seed).uniform(0.55, 1, n)
    probabilities[np.arange(n), answers] = confidence
    probabilities[np.arange(n), 1 - answers] = 1 - confidence
    names = names or [f"{classes[t]}/{number:04}.png" for number, t in enumerate(truth)]
    scored = Predictions(tuple(classes), tuple(names), truth, answers, probabilities, groups=groups, sha256=sha256)
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(
        json.dumps(Evaluation(scored, "all of data", {"model": folder.name}).to_dict())
    )
    (folder / "predictions.csv").write_text(predictions_csv(scored))
    if settings:
        (folder / "config.toml").write_text(settings)
    return folder


def sentence(*folders: Path) -> str:
    return compare_predictions([read_predictions(folder) for folder in folders]).differences[0].sentence()


# Conclusions


def test_only_the_better_of_three_models_differs_significantly(tmp_path: Path) -> None:
    first, second, better = (
        report(tmp_path / f"m{seed}", right, seed) for right, seed in ((0.8, 1), (0.8, 2), (0.87, 3))
    )
    assert sentence(first, second).startswith("The difference between m1 and m2 is not significant: ")
    assert sentence(first, better).startswith("m3 is significantly more accurate than m1: +")
    assert sentence(better, first).startswith("m3 is significantly more accurate than m1: +")


def test_equally_good_models_rarely_differ_significantly(tmp_path: Path) -> None:
    one = read_predictions(report(tmp_path / "m", 0.8, 0))
    drawn = [replace(one, path=tmp_path / str(seed), answers=answered(0.8, seed)) for seed in range(13)]
    significant = [compare_predictions(pair).differences[0].significant for pair in pairwise(drawn)]
    assert sum(significant) <= 3  # 0.6 of 12 are expected; more than 3 have a chance of 0.2 %


def test_runs_that_differ_only_by_their_seed_are_named_as_such(tmp_path: Path) -> None:
    same = [report(tmp_path / f"s{seed}", 0.8, seed, settings=f"seed = {seed}\nepochs = 3\n") for seed in (1, 2)]
    assert "as expected of runs that differ only by their seed" in sentence(*same)
    better = report(tmp_path / "better", 0.9, 3, settings="seed = 7\nepochs = 3\n")
    assert "they differ only by their seed, so another seed may reverse it" in sentence(same[0], better)
    other = report(tmp_path / "other", 0.9, 4, settings="seed = 7\nepochs = 4\n")
    assert "seed" not in sentence(same[0], other)


def test_identical_answers_do_not_differ(tmp_path: Path) -> None:
    first = report(tmp_path / "a", 0.8, 1)
    second = Path(shutil.copytree(first, tmp_path / "b"))
    right = int((answered(0.8, 1) == TRUTH).sum())
    assert sentence(first, second) == f"a and b are right on the same {right} of the 1,000 images."


def test_copies_of_an_image_do_not_make_a_difference_significant(tmp_path: Path) -> None:
    """Each of 60 images ten times: 600 files are 60 independent images."""
    truth = np.random.default_rng(1).integers(0, 2, 60).repeat(10)
    groups = np.arange(60).repeat(10)
    folders = []
    for right, seed in ((0.78, 1), (0.86, 2)):
        one = read_predictions(report(tmp_path / f"m{seed}", right, seed, truth[::10]))
        folders.append(report(tmp_path / f"often{seed}", 0.8, seed, truth, groups=groups))
        rows = list(csv.reader(io.StringIO((folders[-1] / "predictions.csv").read_text())))
        for number, row in enumerate(rows[1:]):
            row[2] = one.classes[one.answers[number // 10]]
        (folders[-1] / "predictions.csv").write_text("\n".join(map(",".join, rows)) + "\n")
    found = compare_predictions([read_predictions(folder) for folder in folders])
    apart = found.differences[0]
    assert apart.test.method == "sign-flip permutation by group"
    assert apart.mcnemar.p_value < 0.01
    assert apart.test.p_value > 0.05
    assert not apart.significant
    assert "60 groups in 600 images" in " ".join(found.notes)


def test_several_are_each_compared_with_the_first_and_corrected(tmp_path: Path) -> None:
    folders = [
        report(tmp_path / name, right, seed) for seed, (name, right) in enumerate([("a", 0.8), ("b", 0.82), ("c", 0.9)])
    ]
    found = compare_predictions([read_predictions(folder) for folder in folders])
    assert [(one.first, one.second) for one in found.differences] == [("a", "b"), ("a", "c")]
    plain = sorted(one.test.p_value for one in found.differences)
    assert sorted(one.p_value for one in found.differences) == pytest.approx(
        [2 * plain[0], max(plain[1], 2 * plain[0])]
    )
    assert "corrected for 2 comparisons (Holm)" in " ".join(found.notes)


# Which images


def test_images_are_paired_by_name_in_any_order_of_images_and_classes(tmp_path: Path) -> None:
    straight = report(tmp_path / "a", 0.8, 1)
    names = [f"{('happy', 'sad')[t]}/{number:04}.png" for number, t in enumerate(TRUTH)]
    turned = report(tmp_path / "b", 0.8, 1, 1 - TRUTH, ("sad", "happy"), names=names)
    lines = (turned / "predictions.csv").read_text().splitlines()
    (turned / "predictions.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    found = compare_predictions([read_predictions(straight), read_predictions(turned)])
    right = int((answered(0.8, 1) == TRUTH).sum())
    assert found.differences[0].sentence() == f"a and b are right on the same {right} of the 1,000 images."
    one, two = found.evaluations.values()
    assert one.confusion.tolist() == two.confusion.tolist()
    assert one.brier.value == pytest.approx(two.brier.value)


def test_only_common_images_are_used_and_a_note_says_so(tmp_path: Path) -> None:
    whole, part = report(tmp_path / "a", 0.8, 1), report(tmp_path / "b", 0.9, 2, TRUTH[:400])
    found = compare_predictions([read_predictions(whole), read_predictions(part)])
    assert found.n == 400
    assert "different images (a on 1,000 and b on 400); the 400 in common are used" in found.notes[0]
    read = read_predictions(whole)
    expected = classification_metrics(TRUTH[:400], read.probabilities[:400], read.classes, read.answers[:400])
    assert found.evaluations["a"].accuracy == expected.accuracy


def test_different_images_with_equal_names_get_a_warning(tmp_path: Path) -> None:
    one, same, other = (
        read_predictions(report(tmp_path / name, 0.9, seed, sha256=data))
        for seed, (name, data) in enumerate((("one", "ab"), ("same", "ab"), ("other", "cd")))
    )
    assert not any("by their names alone" in note for note in compare_predictions([one, same]).notes)
    assert any("by their names alone" in note for note in compare_predictions([one, other]).notes)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    first = read_predictions(report(tmp_path / "a", 0.8, 1))
    elsewhere = read_predictions(report(tmp_path / "b", 0.8, 1, names=[f"x/{n}.png" for n in range(1000)]))
    with pytest.raises(DataError, match=r"no image is in all reports .*'x/0.png'"):
        compare_predictions([first, elsewhere])
    names = list(first.names)
    odd = read_predictions(report(tmp_path / "c", 0.8, 1, np.r_[1 - TRUTH[:3], TRUTH[3:]], names=names))
    with pytest.raises(DataError, match=r"is labelled .* \(3 of 1000 labels differ\)"):
        compare_predictions([first, odd])
    three = read_predictions(report(tmp_path / "d", 0.8, 1, classes=("happy", "sad", "neither")))
    with pytest.raises(DataError, match="its classes are happy, sad, neither"):
        compare_predictions([first, three])
    with pytest.raises(ConfigError, match="at least two"):
        compare_predictions([first])
    with pytest.raises(ConfigError, match="twice"):
        compare_predictions([first, first])


def test_reports_of_one_name_are_distinguished_by_their_folders(tmp_path: Path) -> None:
    folders = [report(tmp_path / run / "report", 0.8, seed) for seed, run in enumerate("ab")]
    assert list(compare_predictions([read_predictions(folder) for folder in folders]).evaluations) == [
        "a/report",
        "b/report",
    ]


# Reading


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    found = read_predictions(report(tmp_path / "a", 0.8, 1, groups=np.arange(1000) // 2))
    assert (found.classes, len(found.names), found.part, found.model) == (("happy", "sad"), 1000, "all of data", "a")
    assert found.truth.tolist() == TRUTH.tolist()
    assert found.groups is not None
    assert found.groups[:3] == ("0", "0", "1")
    accuracy = json.loads((tmp_path / "a" / "metrics.json").read_text())["accuracy"]["value"]
    assert (found.truth == found.answers).mean() == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "is not a folder"),
        (lambda f: (f / "metrics.json").write_text('{"about": [1]}'), "is not what mien evaluate writes"),
        (lambda f: (f / "metrics.json").write_text("[" * 200_000), "is not JSON"),
        (lambda f: (f / "predictions.csv").unlink(), "has no predictions.csv"),
        (lambda f: (f / "metrics.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "metrics.json").write_text("[]"), "is not what mien evaluate writes"),
        (lambda f: (f / "predictions.csv").write_text(""), "the header must be"),
        (lambda f: (f / "predictions.csv").write_text("file,truth,answer,p_a\n"), "the header must be"),
        (lambda f: (f / "predictions.csv").write_text("file,truth,answer,p_a,p_b\n"), "has no images"),
        (lambda f: append(f, "x.png,happy,glad,0.5,0.5"), "row 1000 is damaged (file 'x.png')"),
        (lambda f: append(f, "x.png,happy,sad"), "row 1000 is damaged"),
        (lambda f: append(f, "x.png,happy,sad,0.5,much"), "not a number"),
        (lambda f: append(f, "x.png,happy,sad,0.5,1.5"), "not in [0, 1]"),
        (lambda f: append(f, "x.png,happy,sad,0.5,nan"), "not in [0, 1]"),
        (lambda f: append(f, "x.png,happy,sad,0.5,0.5\nx.png,happy,sad,0.5,0.5"), "has 'x.png' twice"),
        (lambda f: (f / "predictions.csv").write_bytes(b"\xff\xfe\x00"), "is not UTF-8"),
    ],
)
def test_a_damaged_report_is_named_in_one_line(tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    folder = report(tmp_path / "a", 0.8, 1)
    damage(folder)
    with pytest.raises(DataError) as error:
        read_predictions(folder)
    assert message in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def append(folder: Path, line: str) -> None:
    with (folder / "predictions.csv").open("a") as stream:
        stream.write(line + "\n")


# The command


def test_the_command_prints_metrics_and_a_sentence(call: Call, tmp_path: Path) -> None:
    first, second = report(tmp_path / "a", 0.8, 1), report(tmp_path / "b", 0.88, 2)
    status, out, err = call("compare", first, second)
    assert (status, err) == (0, "")
    assert sentence(first, second) in out
    found = compare_predictions([read_predictions(first), read_predictions(second)])
    for evaluation in found.evaluations.values():
        assert str(evaluation.accuracy) in out
        assert str(evaluation.brier) in out


def test_json_contains_everything(call: Call, tmp_path: Path) -> None:
    first, second = report(tmp_path / "a", 0.8, 1), report(tmp_path / "b", 0.88, 2)
    status, out, err = call("compare", first, second, "--json", "-")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found == json.loads(
        json.dumps(compare_predictions([read_predictions(f) for f in (first, second)]).to_dict())
    )
    assert found["differences"][0]["significant"] is True
    assert found["differences"][0]["mcnemar"]["p_value"] < 0.001
    assert [one["name"] for one in found["reports"]] == ["a", "b"]


def test_the_page_is_complete_and_self_contained(call: Call, tmp_path: Path) -> None:
    first, second = report(tmp_path / "a", 0.8, 1), report(tmp_path / "b<&>", 0.88, 2)
    out = tmp_path / "page"
    assert call("compare", first, second, "--out", out)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["accuracy-differences.png", "compare.html", "compare.json"]
    page = (out / "compare.html").read_text("utf-8")
    assert "b&lt;&amp;&gt; is significantly more accurate than a" in page
    assert "b<&>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    status, _, err = call("compare", first, second, "--out", out)
    assert status == 2
    assert "already exists" in err


def test_a_bad_call_is_one_line(call: Call, tmp_path: Path) -> None:
    first = report(tmp_path / "a", 0.8, 1)
    for arguments in ((), (first,), (first, tmp_path / "none"), (first, first)):
        status, out, err = call("compare", *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), err


# The function


def test_python_does_what_the_command_does(call: Call, tmp_path: Path) -> None:
    first, second = report(tmp_path / "a", 0.8, 1), report(tmp_path / "b", 0.88, 2)
    found = mien.compare(first, str(second), out=tmp_path / "page", json_target=str(tmp_path / "c.json"))
    assert found.differences[0].sentence() == sentence(first, second)
    assert json.loads((tmp_path / "c.json").read_text("utf-8")) == json.loads(json.dumps(found.to_dict()))
    assert (tmp_path / "page" / "compare.html").exists()
    assert call("compare", first, second, "--json", "-")[1] == (tmp_path / "c.json").read_text("utf-8")
    html = found._repr_html_()
    assert html.startswith("<table><caption>b is significantly more accurate than a: ")
    assert f">{found.evaluations['a'].accuracy}</td>" in html


def test_evaluations_in_memory_are_compared_like_their_reports(tmp_path: Path) -> None:
    folders = [report(tmp_path / name, right, seed) for seed, (name, right) in enumerate([("a", 0.8), ("b", 0.88)])]
    in_memory = []
    for folder in folders:
        saved = read_predictions(folder)
        scored = Predictions(saved.classes, saved.names, saved.truth, saved.answers, saved.probabilities)
        in_memory.append(Evaluation(scored, "all of data", {"model": folder.name}))
    assert mien.compare(*in_memory).to_dict() == mien.compare(*folders).to_dict()
    assert mien.compare(in_memory[0], folders[1]).to_dict() == mien.compare(*folders).to_dict()
    again = mien.compare(in_memory[0], in_memory[0])
    assert list(again.evaluations) == ["a", "a-2"]
    assert again.differences[0].p_value == 1


def test_nothing_is_computed_if_the_page_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="already exists"):
        mien.compare(tmp_path / "none", tmp_path / "none either", out=tmp_path)

"""Metrics by group: the groups file, metrics against plain definitions, gaps, and groups that are too small."""

import json
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DataError
from mien.evaluation.groups import FEWEST, measure_groups
from mien.evaluation.groups_file import Groups, read_groups
from mien.evaluation.scoring import Predictions
from mien.metrics.calibration import reliability
from mien.metrics.classification import classification_metrics
from mien.metrics.estimates import Estimate
from mien.metrics.intervals import wilson_interval
from mien.report.document import Note, Section, Table
from mien.report.sections.groups import groups_section
from mien.viz.charts import Chart

NAMES = ["happy/a.png", "happy/b.png", "sad/c.png", "sad/d.png"]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return path


def drawn(
    rights: dict[str, tuple[int, float]], classes: tuple[str, ...] = ("happy", "sad"), seed: int = 0
) -> tuple[Predictions, Groups]:
    """Images of groups by name: how many, and how often their answers are right."""
    rng = np.random.default_rng(seed)
    values = [name for name, (n, _) in rights.items() for _ in range(n)]
    right = np.array([rights[name][1] for name in values])
    n, k = len(values), len(classes)
    truth = np.arange(n) % k
    answers = np.where(rng.random(n) < right, truth, (truth + rng.integers(1, k, n)) % k)
    probabilities = rng.dirichlet(np.ones(k), n) + 2 * np.eye(k)[answers]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    scored = Predictions(classes, tuple(f"{number:05}.png" for number in range(n)), truth, answers, probabilities)
    return scored, Groups({"camera": tuple(values)})


# The file


def test_groups_are_found_by_relative_path(tmp_path: Path) -> None:
    text = "file,age,camera\nsad/d.png,old,A\n./happy/a.png,young,B\nhappy\\b.png, old ,B\nsad/c.png,young,A\n"
    found = read_groups(written(tmp_path, "\ufeff" + text), NAMES)
    assert found.columns == {"age": ("young", "old", "young", "old"), "camera": ("B", "B", "A", "A")}
    assert found.notes == ()
    assert read_groups(written(tmp_path, text.replace(",", ";")), NAMES) == found


def test_composed_and_decomposed_letters_are_equal(tmp_path: Path) -> None:
    names = ["sad/e\u0301.png", "sad/b.png"]
    assert read_groups(written(tmp_path, "file,g\nsad/é.png,1\nsad/b.png,2\n"), names).columns == {"g": ("1", "2")}


def test_notes_list_what_was_ignored(tmp_path: Path) -> None:
    text = "file,age,all,none\nhappy/a.png,young,1,\nhappy/b.png,,1,\nsad/c.png,old,1,\nsad/c.png,old,1,\n\n"
    text += "x/y.png,old,1,\n"
    found = read_groups(written(tmp_path, text), NAMES)
    assert found.columns == {"age": ("young", None, "old", None)}
    notes = " ".join(found.notes)
    for note in (
        "'age' is empty for 1 image.",
        "Column 'all' is ignored: all images are in one group",
        "Column 'none' is ignored: it is empty",
        "1 of 4 images are not in groups.csv",
        "1 files in groups.csv were not evaluated, like 'x/y.png'",
    ):
        assert note in notes


def test_a_column_of_numbers_is_not_a_grouping(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(60)]
    lines = [f"{name},{number / 7:.3f},{number % 2}" for number, name in enumerate(names)]
    found = read_groups(written(tmp_path, "\n".join(["file,age,side", *lines])), names)
    assert list(found.columns) == ["side"]
    assert "Column 'age' is ignored: it has 60 values; a grouping has at most 50, so give ranges." in found.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the header must be file and one column"),
        ("name,age\nhappy/a.png,1\n", "the header must be file"),
        ("file\nhappy/a.png\n", "the header must be file and one column"),
        ("file,age,age\nhappy/a.png,1,2\n", "two columns have one name"),
        ("file,age,\nhappy/a.png,1,2\n", "or one has none"),
        ("file,age\nhappy/a.png,1,2\n", "line 2 does not have the 2 columns"),
        ("file,age\nhappy/a.png,1\n,2\n", "line 3 does not have the 2 columns"),
        ("file,age\nhappy/a.png,1\nhappy/a.png,2\n", "line 3 names 'happy/a.png' again, with other groups"),
        ("file,age\na.png,1\n", "names none of the 4 images (it has 'a.png', they have 'happy/a.png')"),
        ("file,age\n", "names none of the 4 images"),
        ("file,age\nhappy/a.png,1\nhappy/b.png,1\n", "has no usable grouping"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        read_groups(written(tmp_path, text), NAMES)
    assert message in str(error.value)
    assert "groups.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        read_groups(tmp_path / "none.csv", NAMES)


# The metrics


@pytest.mark.parametrize("classes", [("happy", "sad"), ("happy", "sad", "neither")])
def test_the_metrics_of_a_group_are_those_of_its_images_alone(classes: tuple[str, ...]) -> None:
    scored, groups = drawn({"A": (200, 0.9), "B": (100, 0.7)}, classes)
    (grouping,) = measure_groups(scored, groups).groupings
    assert [(part.name, part.metrics.n) for part in grouping.results] == [("A", 200), ("B", 100)]
    rows = slice(200, 300)
    alone = classification_metrics(scored.truth[rows], scored.probabilities[rows], classes, scored.answers[rows])
    assert grouping.results[1].metrics.to_dict() == alone.to_dict()
    confidence = scored.probabilities[rows].max(axis=1)
    assert grouping.results[1].metrics.ece == reliability(confidence, scored.is_right[rows], bins=12).error
    others = scored.truth[rows] != 1
    false = int((scored.answers[rows][others] == 1).sum())
    rate = grouping.results[1].false_positive_rates["sad"]
    assert rate == Estimate(false / others.sum(), *wilson_interval(false, int(others.sum())))


def test_the_gap_and_the_equalised_odds_difference_by_hand() -> None:
    """A finds 90 of 100 sad and answers sad for 10 of 100 happy; B 70 and 30; C 80 and 5."""
    truth, answers, values = [], [], []
    for name, hits, alarms in (("A", 90, 10), ("B", 70, 30), ("C", 80, 5)):
        truth += [1] * 100 + [0] * 100
        answers += [1] * hits + [0] * (100 - hits) + [1] * alarms + [0] * (100 - alarms)
        values += [name] * 200
    probabilities = np.eye(2)[answers]
    names = tuple(f"{number}.png" for number in range(600))
    scored = Predictions(("happy", "sad"), names, np.array(truth), np.array(answers), probabilities)
    (found,) = measure_groups(scored, Groups({"camera": tuple(values)})).groupings
    accuracy = found.gaps[0]
    assert (accuracy.metric, accuracy.highest, accuracy.lowest) == ("accuracy", "A", "B")
    assert accuracy.difference.value == pytest.approx(0.2)
    assert accuracy.significant
    assert found.equalised_odds is not None
    assert (found.equalised_odds.metric, found.equalised_odds.highest, found.equalised_odds.lowest) == (
        "sad: false positives",
        "B",
        "C",
    )
    assert found.equalised_odds.difference.value == pytest.approx(0.25)
    assert 0.1 < found.equalised_odds.difference.low < 0.25 < found.equalised_odds.difference.high < 0.4


def test_for_two_groups_the_interval_is_newcombes() -> None:
    """Newcombe 1998 (Statistics in Medicine 17:873), method 10: 56 of 70 against 48 of 80 is 0.0524 to 0.3339."""
    truth = np.zeros(150, dtype=np.int64)
    answers = np.r_[np.arange(70) >= 56, np.arange(80) >= 48].astype(np.int64)
    scored = Predictions(("a", "b"), tuple(map(str, range(150))), truth, answers, np.eye(2)[answers])
    values = ("x",) * 70 + ("y",) * 80
    from mien.evaluation.groups import _gap

    parts = measure_groups(scored, Groups({"g": values})).groupings[0].results
    gap = _gap("accuracy", {part.name: part.metrics.accuracy for part in parts})
    assert gap is not None
    assert (gap.difference.low, gap.difference.high) == pytest.approx((0.0524, 0.3339), abs=2e-4)


def test_equally_good_groups_rarely_differ_significantly() -> None:
    """Six groups give fifteen pairs; without the correction, a third of such groupings would differ."""
    sure = 0
    for seed in range(60):
        scored, groups = drawn(dict.fromkeys("ABCDEF", (100, 0.85)), seed=seed)
        sure += measure_groups(scored, groups).groupings[0].gaps[0].significant
    assert sure <= 8  # 3 are expected; more than 8 have a chance of 0.5 %


def test_too_small_groups_are_shown_but_make_no_gap() -> None:
    scored, groups = drawn({"A": (300, 0.9), "B": (300, 0.88), "tiny": (FEWEST - 1, 0.1), "vague": (40, 0.5)})
    (found,) = measure_groups(scored, groups).groupings
    by_name = {part.name: part for part in found.results}
    assert by_name["A"].too_small is None
    assert by_name["tiny"].too_small == "29 images"
    assert "only known to be between" in (by_name["vague"].too_small or "")
    assert {found.gaps[0].highest, found.gaps[0].lowest} == {"A", "B"}
    text = str(groups_section(measure_groups(scored, groups)))
    assert "Too small to compare: vague (accuracy is only known" in text
    alone, few = drawn({"A": (300, 0.9), "tiny": (20, 0.2)})
    assert measure_groups(alone, few).groupings[0].gaps == ()
    assert measure_groups(alone, few).groupings[0].equalised_odds is None
    assert groups_section(measure_groups(alone, few)).conclusion.startswith("No two groups are large enough")


def test_copies_do_not_make_a_gap_significant() -> None:
    scored, groups = drawn({"A": (40, 0.95), "B": (40, 0.75)}, seed=3)
    often = Predictions(
        scored.classes, tuple(f"{n}.png" for n in range(800)), scored.truth.repeat(10), scored.answers.repeat(10),
        scored.probabilities.repeat(10, axis=0), groups=np.arange(80).repeat(10),
    )  # fmt: skip
    copied = Groups({"camera": tuple(value for value in groups.columns["camera"] for _ in range(10))})
    ungrouped = measure_groups(
        Predictions(*(getattr(often, f) for f in ("classes", "names", "truth", "answers", "probabilities"))), copied
    )
    assert ungrouped.groupings[0].gaps[0].difference.low > 0
    grouped = measure_groups(often, copied).groupings[0]
    widths = [part.metrics.accuracy.high - part.metrics.accuracy.low for part in grouped.results]
    assert min(widths) > 0.12
    assert all(part.metrics.n_groups == 40 for part in grouped.results)


def test_to_dict_is_json_and_a_class_may_be_missing_in_a_group() -> None:
    scored, groups = drawn({"A": (200, 0.9), "B": (200, 0.7)})
    truth = scored.truth.copy()
    truth[:200] = 0
    from dataclasses import replace

    found = measure_groups(replace(scored, truth=truth), groups)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    (grouping,) = plain["groupings"]
    assert all(0 <= part["ece"]["low"] <= part["ece"]["value"] <= 1 for part in grouping["groups"])
    assert grouping["groups"][0]["per_class"]["sad"]["recall"]["value"] is None
    assert grouping["groups"][0]["false_positive_rate"]["happy"]["value"] is None
    assert grouping["equalised_odds_difference"]["metric"] == "sad: false positives"
    assert "accuracy" in {gap["metric"] for gap in grouping["largest_gaps"]}
    assert "roc_auc" not in {gap["metric"] for gap in grouping["largest_gaps"]}


# The section


def section(rights: dict[str, tuple[int, float]], seed: int = 0) -> Section:
    return groups_section(measure_groups(*drawn(rights, seed=seed)))


def test_a_planted_gap_is_the_conclusion() -> None:
    found = section({"old": (400, 0.93), "new": (400, 0.75)})
    assert found.conclusion.startswith("By camera, accuracy is significantly higher for old than for new, by ")
    tables = [part for part in found.parts if isinstance(part, Table)]
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    assert tables[0].columns[-1] == "ECE"
    (chart,) = (part for part in found.parts if isinstance(part, Chart))
    assert chart.name == "groups-1"
    assert "old 0.9" in chart.alt


def test_without_a_gap_the_conclusion_says_how_large_it_may_be() -> None:
    found = section({"old": (400, 0.85), "new": (400, 0.85)})
    assert found.conclusion.startswith("No gap in accuracy between groups is significant; the largest may still be ")


def test_notes_of_the_file_stand_in_the_section() -> None:
    scored, groups = drawn({"A": (50, 0.9), "B": (50, 0.9)})
    found = groups_section(measure_groups(scored, Groups(groups.columns, ("3 of 9 images are not in x.csv.",))))
    assert Note("3 of 9 images are not in x.csv.") in found.parts

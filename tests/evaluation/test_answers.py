"""Given answers: every form they may have, bad rows, which image and which class a row means."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from steps import calls

import mien
from mien.data.dataset import read_manifest
from mien.data.fixes.records import FILE_NAME, Fix
from mien.data.fixes.store import FixesFile
from mien.errors import ConfigError, DataError, MienError
from mien.evaluation.answer_classes import AnswerClasses
from mien.evaluation.answer_rows import read_answers
from mien.evaluation.answers import GivenAnswers, no_answer_in_words, score_answers
from mien.evaluation.scoring import Predictions

MakeBundle = Callable[..., Path]

#: Two parts: files of one number are in both, and b is in one alone.
NAMES = (
    "test/happy/1.png", "test/happy/2.png", "test/sad/1.png", "test/sad/3.png", "train/happy/1.png", "train/sad/b.png",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers") / "data"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def scored(
    data: Path, answers: Any, rename: Mapping[str, str] | None = None, columns: Mapping[str, str] | None = None
) -> tuple[Predictions, GivenAnswers]:
    """Score answers to the test part."""
    manifest = read_manifest(data)
    manifest = replace(manifest, samples=tuple(one for one in manifest.samples if one.split == "test"))
    return score_answers(read_answers(answers, columns), manifest, rename)


def written(tmp_path: Path, text: str, name: str = "answers.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def answered(predictions: Predictions) -> dict[str, str]:
    return {name: predictions.classes[code] for name, code in zip(predictions.names, predictions.answers, strict=True)}


ALL = {"test/happy/1.png": "happy", "test/happy/2.png": "sad", "test/sad/1.png": "sad", "test/sad/3.png": "sad"}


# The forms


def test_labels_of_every_form_are_read_alike(data: Path, tmp_path: Path) -> None:
    lines = [{"file": name, "label": label} for name, label in ALL.items()]
    forms: list[Any] = [
        written(tmp_path, "file,label\n" + "".join(f"{name},{label}\n" for name, label in ALL.items())),
        written(tmp_path, "label;file\r\n" + "".join(f"{label};{name}\r\n" for name, label in ALL.items()), "b.csv"),
        written(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "c.jsonl"),
        written(tmp_path, "\ufeff" + json.dumps(lines), "d.json"),
        ALL,
        lines,
        list(ALL.items()),
        (line for line in lines),
    ]
    for form in forms:
        predictions, fit = scored(data, form)
        assert answered(predictions) == ALL
        assert not predictions.has_probabilities
        assert predictions.answer_field == "answer"
        assert (fit.notes, fit.bad) == ((), ())
        assert predictions.is_right.tolist() == [True, False, True, True]


def test_probabilities_of_every_form_are_read_alike(data: Path, tmp_path: Path) -> None:
    shares = dict(zip(ALL, ([0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]), strict=True))
    by_class = {name: {"happy": row[0], "sad": row[1]} for name, row in shares.items()}
    rows = "".join(f"{name},{row[0]},{row[1]}\n" for name, row in shares.items())
    forms: list[Any] = [
        written(tmp_path, "file,happy,sad\n" + rows),
        written(tmp_path, "path,p_happy,p_sad\n" + rows, "b.csv"),
        by_class,
        [{"image": name, "emotions": row} for name, row in by_class.items()],
        [{"image": name, **row} for name, row in by_class.items()],
        {name: {"happy": 100 * row[0], "sad": 100 * row[1]} for name, row in shares.items()},
    ]
    for form in forms:
        predictions, fit = scored(data, form)
        assert predictions.probabilities == pytest.approx(np.array(list(shares.values())))
        assert answered(predictions) == ALL
        assert fit.bad == ()
    assert fit.notes == ("answers: reads its probabilities as percentages, since most are above 1",)


def test_rows_of_predict_score_as_the_model_itself(make_bundle: MakeBundle, faces: Path, tmp_path: Path) -> None:
    reader = mien.load(make_bundle(labels=mien.load().config.labels))
    model = mien.evaluate(faces, model=reader, metrics_only=True)
    results = list(reader.predict_many(sorted(faces.glob("*/*.*"))))
    lines = written(tmp_path, "".join(json.dumps(one.to_dict()) + "\n" for one in results), "rows.jsonl")
    for answers in (results, lines):
        found = mien.evaluate(faces, answers=answers, metrics_only=True)
        assert found.metrics.to_dict() == model.metrics.to_dict()
        assert found.predictions.sha256 == model.predictions.sha256
        assert found.predictions.answer_field == model.predictions.answer_field == "two_way"


def test_a_row_of_each_face_counts_the_first(data: Path, tmp_path: Path) -> None:
    text = (
        "source,status,reason,face,answer,probability,p_happy,p_sad,p_neither\n"
        "test/happy/1.png,ok,,1,happy,0.8,0.8,0.1,0.1\ntest/happy/1.png,ok,,2,sad,0.9,0.05,0.9,0.05\n"
        "test/happy/2.png,ok,,1,neither,0.7,0.1,0.2,0.7\n"
        "test/sad/1.png,no_face,no face was found,,,,,,\ntest/sad/3.png,unreadable,is empty,,,,,,\n"
    )
    predictions, fit = scored(data, written(tmp_path, text))
    assert answered(predictions) == {"test/happy/1.png": "happy", "test/happy/2.png": "sad"}
    assert predictions.probabilities == pytest.approx(np.array([[8 / 9, 1 / 9], [1 / 3, 2 / 3]]))
    assert predictions.no_face == ("test/sad/1.png",)
    assert predictions.skipped == (("test/sad/3.png", "is empty"),)
    assert (fit.bad, fit.repeated) == ((), ())
    assert "like 'neither'" in " ".join(fit.notes)


def test_a_row_of_mien_counts_neither_once(data: Path) -> None:
    """`neither` stands beside the expressions that it sums up; those are added up only for other tools."""
    row = {
        "source": "test/happy/1.png", "status": "ok", "reason": None,
        "faces": [{"answer": "neither", "probability": 0.5, "probabilities": {"happy": 0.3, "sad": 0.2, "neither": 0.5},
                   "expressions": {"happy": 0.3, "sad": 0.2, "neutral": 0.5}}],
    }  # fmt: skip
    manifest = read_manifest(data)
    first = replace(manifest.samples[0], label="neither")
    manifest = replace(manifest, classes=("happy", "neither", "sad"), samples=(first, *manifest.samples[1:]))
    rename = {"neutral": "neither"}
    predictions, _ = score_answers(read_answers([row]), manifest, rename)
    assert predictions.probabilities[0] == pytest.approx([0.3, 0.5, 0.2])
    other = {"file": row["source"], "happy": 0.3, "sad": 0.2, "neutral": 0.3, "neither": 0.2}
    predictions, _ = score_answers(read_answers([other]), manifest, rename)
    assert predictions.probabilities[0] == pytest.approx([0.3, 0.5, 0.2])


# Which image


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("test/happy/1.png", "test/happy/1.png"),
        ("./test/happy/1.png", "test/happy/1.png"),
        ("test\\happy\\1.png", "test/happy/1.png"),
        ("ROOT/test/happy/1.png", "test/happy/1.png"),
        ("/elsewhere/fer/test/happy/1.png", "test/happy/1.png"),
        ("fer/test/sad/1.png", "test/sad/1.png"),
        ("2.png", "test/happy/2.png"),
        ("2", "test/happy/2.png"),
        ("happy/1.png", None),  # in both parts
        ("1.png", None),
        ("train/happy/1.png", None),  # not evaluated, and never taken for test/happy/1.png
        ("/elsewhere/train/happy/1.png", None),
        ("b.png", None),
        ("ROOT/../other/2.png", "test/happy/2.png"),  # elsewhere, and not there: the end of the path counts
        ("9.png", None),
        ("a\0b", None),
    ],
)
def test_an_image_is_found_by_its_path_or_the_end_of_it(data: Path, named: str, found: str | None) -> None:
    kept = "test/sad/3.png"
    named = named.replace("ROOT", str(data))
    predictions, fit = scored(data, [(kept, "sad"), (named, "sad")])
    assert set(predictions.names) == {kept, found} - {None}
    assert set(predictions.no_answer) == set(ALL) - set(predictions.names)
    if found is None:
        assert fit.others == (named,) or "give paths relative to the data" in fit.bad[0].reason


def test_a_file_that_is_there_but_not_in_the_data_is_another_one(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "2.png"
    other.touch()
    predictions, fit = scored(data, {"test/sad/3.png": "sad", str(other): "happy"})
    assert predictions.names == ("test/sad/3.png",)
    assert fit.others == (str(other),)


def test_files_without_an_answer_and_other_files_are_said(data: Path) -> None:
    predictions, fit = scored(data, {"test/sad/3.png": "sad", "train/sad/b.png": "sad", "x.png": "sad"})
    assert predictions.no_answer == tuple(list(ALL)[:3])
    assert no_answer_in_words(predictions) == (
        "no answer for 3 of 4 images, like 'test/happy/1.png'; they do not count. If every image without an answer "
        "counted as wrong, accuracy would be 0.250"
    )
    assert fit.notes == ("answers: 2 answers are to files that are not evaluated, like 'train/sad/b.png'",)
    assert fit.to_dict()["of_other_files"] == ["train/sad/b.png", "x.png"]


def test_the_truth_is_what_people_decided(faces: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(faces, tmp_path / "data"))
    names = [path.relative_to(copy).as_posix() for path in sorted(copy.glob("*/*"))]
    answers = {name: name.partition("/")[0] for name in names}
    first, second = names[:2]
    digests = [hashlib.sha256((copy / name).read_bytes()).hexdigest() for name in (first, second)]
    FixesFile(copy / FILE_NAME).append(
        [Fix(digests[0], first, "relabel", "sad", "happy"), Fix(digests[1], second, "leave-out", "", "happy")]
    )
    found = mien.evaluate(copy, answers=answers)
    assert found.answers is not None
    assert set(names) - set(found.predictions.names) == {second}
    wrong = [name for name, right in zip(found.predictions.names, found.predictions.is_right, strict=True) if not right]
    assert wrong == [first], "the answers know of no decision"
    assert found.answers.notes[-1] == f"answers: 1 answer is to a file that is not evaluated, like '{second}'"
    assert mien.evaluate(copy, answers=answers, fixes=False).predictions.is_right.all()


def test_of_several_answers_the_first_counts(data: Path, tmp_path: Path) -> None:
    path = written(tmp_path, "file,label\n2.png,happy\ntest/happy/2.png,sad\ntest/sad/3.png,sad\n")
    predictions, fit = scored(data, path)
    assert answered(predictions)["test/happy/2.png"] == "happy"
    assert fit.repeated == ("test/happy/2.png",)
    assert fit.notes[-1] == (
        f"{path}: several answers to 1 image, like 'test/happy/2.png' (lines 2 and 3): the first counts"
    )


# Which column, which class


def test_guessed_columns_are_said_and_can_be_named(data: Path, tmp_path: Path) -> None:
    text = "Image_Path,emotion,truth\n" + "".join(f"{name},{label},happy\n" for name, label in ALL.items())
    path = written(tmp_path, text)
    predictions, fit = scored(data, path)
    assert answered(predictions) == ALL
    assert fit.notes[0] == (
        f"{path}: reads column 'Image_Path' as the file and 'emotion' as the label; "
        "`columns={'file': 'Image_Path', 'label': 'emotion'}` names others"
    )
    predictions, fit = scored(data, path, columns={"label": "truth"})
    assert set(answered(predictions).values()) == {"happy"}
    assert fit.notes[0].endswith("reads column 'Image_Path' as the file; `columns={'file': 'Image_Path'}` names others")


def test_a_prediction_beside_a_label_is_the_answer(data: Path) -> None:
    rows = [{"file": name, "label": "happy", "prediction": label} for name, label in ALL.items()]
    predictions, _ = scored(data, rows)
    assert answered(predictions) == ALL


def test_names_of_classes_are_mapped(data: Path) -> None:
    joyful = {name: "joy" if label == "happy" else "sad" for name, label in ALL.items()}
    predictions, fit = scored(data, joyful, {"joy": "happy"})
    assert (answered(predictions), fit.bad) == (ALL, ())
    predictions, fit = scored(data, joyful)
    assert [one.number for one in fit.bad] == [1]
    assert "its answer 'joy' is none of happy and sad; `rename={'joy': 'happy'}` would map it" in fit.bad[0].reason
    shares = {name: {"Joy": 0.25, "smile": 0.25, "SAD": 0.5} for name in ALL}
    predictions, fit = scored(data, shares, {"Joy": "happy", "smile": "happy"})
    assert predictions.probabilities == pytest.approx(np.full((4, 2), 0.5))
    assert fit.notes[0].startswith("answers: reads 'SAD' as sad; `rename={'SAD': 'sad'}`")


def test_without_a_probability_for_each_class_only_answers_count(data: Path) -> None:
    rows = [{"file": name, "label": label, "happy": 0.9} for name, label in ALL.items()]
    predictions, fit = scored(data, rows)
    assert (answered(predictions), predictions.has_probabilities) == (ALL, False)
    assert fit.notes == ("answers: has no probability for sad, so only its answers count",)
    with pytest.raises(DataError, match=r"has no probability for sad; `rename=\{'NAME': 'sad'\}`"):
        scored(data, [{"file": name, "happy": 0.9} for name in ALL])
    with pytest.raises(
        DataError, match=r"has neither answers nor a probability for each of happy and sad \(it has x\)"
    ):
        scored(data, [{"file": name, "x": 0.9} for name in ALL])


# Bad rows


def test_bad_rows_are_counted_with_line_and_reason(data: Path, tmp_path: Path) -> None:
    text = (
        'file,happy,sad,remark\ntest/happy/1.png,0.9,0.1,"two\nlines"\n\ntest/happy/2.png,many,0.1,\n'
        "test/sad/1.png,0.2,0.8\n,0.1,0.9,\ntest/sad/1.png,,0.9,\ntest/sad/3.png,0.4,1.6,\n1.png,0.5,0.5,\n"
        "train/sad/b.png,nan,nan,\n"
    )
    path = written(tmp_path, text)
    predictions, fit = scored(data, path)
    assert predictions.names == ("test/happy/1.png",)
    assert [(one.number, one.reason.split(";")[0]) for one in fit.bad] == [
        (5, "its probability of happy is 'many', no number"),
        (6, "has 3 cells, the header has 4"),
        (7, "has no file"),
        (8, "its probability of happy is missing, no number"),
        (9, "its probability of sad is 1.6, not from 0 to 1"),
        (10, "'1.png' may be 3 files of the data"),
    ]
    assert fit.notes[-1] == f"{path}: 6 rows cannot be used and do not count (the first 5 are named)"
    assert len(fit.notes) == 7
    assert f"{path}: line 5: its probability of happy is 'many', no number" in fit.notes
    assert fit.to_dict()["bad_rows"][1] == {"line": 6, "reason": "has 3 cells, the header has 4"}


def test_bad_lines_of_json_are_counted(data: Path, tmp_path: Path) -> None:
    lines = ['{"file": "2.png", "label": "sad"}', "[1]", "{", '{"file": 3}', '{"file": "3.png", "label": [1]}', "", "1"]
    _, fit = scored(data, written(tmp_path, "\n".join(lines), "a.jsonl"))
    assert [(one.number, one.reason[:14]) for one in fit.bad] == [
        (2, "is no row but "), (3, "is not JSON (E"), (4, "its file is no"), (5, "its answer is "),
        (7, "is no row but "),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("file,label\n", "has no rows"),
        ("file,label\nx.png,sad\n", "it has 'x.png', they have 'test/happy/1.png'"),
        ("file,label\n2.png,joy\n", "none of its 1 row can be used; the first is line 2: its answer 'joy'"),
        ("a,b\n1,2\n", r"has no column of files \(it has a, b\); `columns=\{'file': 'NAME'\}`"),
        ("file,file\n1,2\n", "has two columns 'file'"),
        ("[{]", "is not JSON"),
    ],
)
def test_useless_answers_are_refused_in_one_line(data: Path, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        scored(data, written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_bad_call_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: cannot be read"):
        scored(data, tmp_path / "absent.csv")
    with pytest.raises(ConfigError, match="give a file, a mapping or rows, not int"):
        scored(data, 3)
    with pytest.raises(ConfigError, match="name the columns of file and label"):
        scored(data, ALL, columns={"truth": "x"})
    with pytest.raises(ConfigError, match="has no such column; did you mean 'label'"):
        scored(data, ALL, columns={"label": "lable"})


TEXT = st.text(max_size=12)
CELL = st.one_of(TEXT, st.sampled_from([*NAMES, "happy", "sad", "0.5", "1e999", "nan", "-1", "", "2.png"]))
VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), CELL),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(CELL, inner, max_size=3)),
    max_leaves=6,
)
KEY = st.one_of(TEXT, st.sampled_from(["file", "label", "happy", "sad", "p_sad", "faces", "status", "source", "face"]))


def tried(data: Path, answers: Any) -> None:
    """Score answers; what is wrong with them is an error of mien in one line."""
    try:
        predictions, fit = scored(data, answers)
    except MienError as error:
        assert "\n" not in str(error)
        return
    assert len(predictions.names) == len(predictions.truth) == len(predictions.answers) > 0
    counted = (
        *predictions.names,
        *predictions.no_answer,
        *predictions.no_face,
        *(name for name, _ in predictions.skipped),
    )
    assert sorted(counted) == sorted(ALL)
    assert np.isfinite(predictions.probabilities).all() == predictions.has_probabilities
    json.dumps(fit.to_dict())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=st.lists(st.dictionaries(KEY, VALUE, max_size=5), max_size=5))
def test_no_rows_in_python_end_in_a_traceback(data: Path, rows: list[dict[str, Any]]) -> None:
    tried(data, rows)
    tried(data, [{"file": "2.png", "label": "sad"}, *rows])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    head=st.lists(KEY, min_size=1, max_size=5), rows=st.lists(st.lists(CELL, max_size=5), max_size=5), tail=st.binary()
)
def test_no_file_ends_in_a_traceback(
    data: Path, tmp_path_factory: pytest.TempPathFactory, head: list[str], rows: list[list[str]], tail: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    lines = [",".join(cells) for cells in (head, *rows)]
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass") + b"\n" + tail)
    tried(data, path)
    path.write_bytes(b'{"file": "2.png", "label": "sad"}\n' + tail)
    tried(data, path)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(list(ALL)), st.floats(0, 1), st.floats(0.001, 1)), min_size=1, max_size=6))
def test_probabilities_are_read_as_they_are_written(data: Path, rows: list[tuple[str, float, float]]) -> None:
    predictions, _ = scored(data, [{"file": name, "happy": one, "sad": two} for name, one, two in rows])
    first: dict[str, tuple[float, float]] = {}
    for name, one, two in rows:
        first.setdefault(name, (one, two))
    assert set(predictions.names) == set(first)
    for name, found in zip(predictions.names, predictions.probabilities, strict=True):
        one, two = first[name]
        assert found == pytest.approx([one / (one + two), two / (one + two)], abs=1e-9)


# Hostile tables


def test_whatever_is_in_a_table_of_answers_no_sentence_gets_long(data: Path, tmp_path: Path) -> None:
    long = "x" * 100_000
    cells = [f"test/happy/1.png,{long}", f"{long}.png,happy", "test/sad/1.png,sad", f"elsewhere/{long}/1.png,sad"]
    predictions, found = scored(data, written(tmp_path, "\n".join(["file,answer", *cells])))
    assert answered(predictions) == {"test/sad/1.png": "sad"}
    assert found.bad
    assert all(len(note) < 500 for note in (*found.notes, *(one.reason for one in found.bad)))
    for text in (f"{long},{long}\n1,2\n", f"{long},answer\n1,2\n", f"file,{long}\ntest/sad/1.png,2\n"):
        with pytest.raises(DataError) as caught:
            scored(data, written(tmp_path, text))
        assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_many_strange_answers_cost_no_comparison_each(tmp_path: Path) -> None:
    rows = [f"test/happy/1.png,{'hap' * (number % 9)}{number}" for number in range(400)]
    given = read_answers(written(tmp_path, "\n".join(["file,answer", *rows])))
    classes = AnswerClasses(given, ("happy", "sad"), {})

    def label(first: int) -> Callable[[], Any]:
        def some() -> None:
            for row in given.rows[first : first + 100]:
                with suppress(ValueError):
                    classes.label(row)

        return some

    compared = calls(label(0))
    assert 2 * calls(label(300)) < compared


def test_a_header_of_many_columns_is_read(data: Path, tmp_path: Path) -> None:
    header = ",".join(["file", "answer", *(f"c{number}" for number in range(200_000))])
    predictions, _ = scored(data, written(tmp_path, f"{header}\ntest/sad/1.png,sad{',' * 200_000}\n"))
    assert answered(predictions) == {"test/sad/1.png": "sad"}
    with pytest.raises(DataError, match="none of its rows can be used; the first is line 2: has 2 cells"):
        scored(data, written(tmp_path, f"{header}\ntest/sad/1.png,sad\n"))


@pytest.mark.parametrize(
    "text", ["file,answer\n" + "1\n" * 100_001, "[" + "0," * 100_001 + "0]", "{}x\n" * 100_001, "{}\n" * 100_001]
)
def test_of_a_file_that_holds_something_else_not_every_row_is_kept(data: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(
        DataError, match=r"more than 100,000 of its rows cannot be used; the last is (line|entry) 10000\d: "
    ):
        scored(data, written(tmp_path, text))


def test_an_array_that_is_too_large_to_be_parsed_at_once_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is one array of more than 32 MiB; write one object per line"):
        scored(data, written(tmp_path, "[" + " " * 2**25 + "]"))
    with pytest.raises(DataError, match="is one array of more than 3,000,000 values; write one object per line"):
        scored(data, written(tmp_path, "[" + "[]," * 1_500_000 + "[]]"))


@pytest.mark.parametrize("text", ["file,answer" + ",x" * 1_000_001, "file,answer\n" + "," * 1_000_001])
def test_a_line_of_millions_of_cells_is_refused_before_it_is_taken_apart(data: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"is not a readable CSV \(line [12]: has more than 1,000,000 cells\)"):
        scored(data, written(tmp_path, text))

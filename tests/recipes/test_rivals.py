"""The comparison with other libraries: rows of adapters, scores, the order of tables, the page."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mien.data.synthetic.faces import draw_face
from mien.errors import DataError
from rivals import accuracy
from rivals.adapters.protocol import answer_row
from rivals.environments import PINS, Environment, digest, size
from rivals.page import write_page
from rivals.readers import OWN, READERS, choose
from rivals.sets import ImageSet, Question, drawn_crops, image_sets
from rivals.tables import NOTHING, accuracy_columns, arrange, speed_columns, spread
from rivals.worker import running

ROOT = Path(__file__).parents[2]
BY_KEY = {reader.key: reader for reader in READERS}
CORES = sorted(os.sched_getaffinity(0))


@pytest.fixture
def own(tmp_path: Path) -> Environment:
    """The environment of these tests, as that of mien."""
    python = tmp_path / "mien" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return Environment(OWN, tmp_path / "mien", 0.0, {})


@pytest.fixture
def faces(tmp_path: Path) -> ImageSet:
    """Eight drawn faces of 48 pixels in two class folders."""
    crops = drawn_crops(tmp_path, 8)
    names = []
    for number, path in enumerate(crops):
        name = f"{('happy', 'sad')[number % 2]}/{path.name}"
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        names.append(str(path.rename(tmp_path / "data" / name).relative_to(tmp_path / "data")))
    (found,) = image_sets(tmp_path / "data", tmp_path)
    assert set(found.names) == set(names)
    return found


def test_a_row_has_the_names_of_the_library_or_says_that_it_found_no_face() -> None:
    assert answer_row("a.png", {"sadness": 1}) == {"file": "a.png", "status": "ok", "sadness": 1.0}
    assert answer_row("a.png", None) == {"file": "a.png", "status": "no_face"}


def test_an_adapter_answers_in_its_own_process(own: Environment, faces: ImageSet, tmp_path: Path) -> None:
    with running(BY_KEY[OWN], own, CORES, tmp_path / "log") as worker:
        rows = list(worker.answers("crop", faces.files))
        assert [row["file"] for row in rows] == [str(file) for file in faces.files]
        assert all(sum(value for value in row.values() if isinstance(value, float)) == pytest.approx(1) for row in rows)
        assert [row["status"] for row in worker.answers("photo", faces.files[:1])] in (["ok"], ["no_face"])
        assert len(worker.times("batch", faces.files, 0, batch=16)) == 1
        assert len(worker.times("crop", faces.files, 0.05)) > 1
        assert worker.megabytes > 20


def test_an_adapter_that_stops_is_named_with_its_last_word(own: Environment, tmp_path: Path) -> None:
    (own.folder / "bin" / "python").write_text("#!/bin/sh\necho no such model >&2\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"mien: stopped \(no such model\).*log"):  # noqa: SIM117
        with running(BY_KEY[OWN], own, CORES, tmp_path / "log") as worker:
            list(worker.answers("crop", [tmp_path / "a.png"]))


def test_no_face_counts_as_wrong_and_others_are_compared_on_what_both_answer(faces: ImageSet, tmp_path: Path) -> None:
    files = {OWN: tmp_path / "own.jsonl", "facex": tmp_path / "facex.jsonl"}
    right = {file: name.split("/")[0] for file, name in zip(map(str, faces.files), faces.names, strict=True)}
    sure = {label: {"happy": label == "happy", "sad": label == "sad"} for label in ("happy", "sad")}
    accuracy.write_rows(files[OWN], faces, [answer_row(file, sure[label]) for file, label in right.items()])
    others = dict.fromkeys(("anger", "disgust", "fear", "neutral", "surprised"), 0.0)
    theirs = {label: {**others, "happy": one["happy"], "sadness": one["sad"]} for label, one in sure.items()}
    answers = [None, None, *map(theirs.get, list(right.values())[2:])]
    accuracy.write_rows(files["facex"], faces, map(answer_row, right, answers))
    files["fer"] = tmp_path / "fer.jsonl"
    accuracy.write_rows(files["fer"], faces, [answer_row(file, None) for file in right])
    readers = [BY_KEY[OWN], BY_KEY["fer"], BY_KEY["facex"]]
    (question,) = faces.questions
    rows = accuracy.score(question, readers, files, {})["rows"]
    assert rows[OWN]["of_all"]["value"] == rows[OWN]["accuracy"]["value"] == 1
    assert (rows["fer"]["answered"], rows["fer"]["of_all"]["value"], rows["fer"]["accuracy"]["value"]) == (0, 0, None)
    assert (
        "| fer | 0.000 [0.000, 0.324] | 0 of 8 | undefined |"
        in arrange("", accuracy_columns(), rows, READERS).markdown()
    )
    assert rows["facex"]["accuracy"]["value"] == 1
    assert rows["facex"]["of_all"]["value"] == 6 / 8
    assert (rows["facex"]["answered"], rows["facex"]["n"]) == (6, 8)
    assert (rows["facex"]["difference"]["value"], rows["facex"]["difference"]["n"]) == (0, 6)


def test_images_of_a_user_are_crops_or_photographs_by_their_size(faces: ImageSet, tmp_path: Path) -> None:
    assert faces.what == "crop"
    assert faces.questions == (Question("data: 8 images", tmp_path / "data"),)
    for name in faces.names:
        Image.fromarray(draw_face("sad", 1)).resize((300, 200)).save(tmp_path / "data" / name)
    (found,) = image_sets(tmp_path / "data", tmp_path)
    assert found.what == "photo"


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        image_sets(tmp_path, tmp_path)


def test_a_reader_is_chosen_by_its_key_and_mien_is_always_there() -> None:
    assert [reader.key for reader in choose(["human"])] == [OWN, "human"]
    assert choose(None) == READERS
    with pytest.raises(ValueError, match="humane: is none of mien, "):
        choose(["humane"])


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def accuracies(**values: float) -> dict[str, Any]:
    rows: dict[str, Any] = {
        key.replace("_", "-"): {"n": 10, "answered": 10, "of_all": estimate(value), "accuracy": estimate(value)}
        for key, value in values.items()
    }
    for key, row in rows.items():
        if key != OWN:
            row["difference"] = {**estimate(values[key.replace("-", "_")] - values[OWN]), "n": 10, "p_value": 0.2}
    return rows


def test_who_is_ahead_comes_first_then_mien_then_the_rest_best_first() -> None:
    rows = accuracies(mien=0.8, mien_light=0.85, fer=0.5, facex=0.7, human=0.81)
    table = arrange("happy or sad", accuracy_columns(), rows, READERS)
    assert list(table.rows) == ["human", "mien", "mien-light", "facex", "fer"]
    assert "| human | **0.810 [0.710, 0.910]** | 10 of 10 |" in table.markdown()
    assert "| mien-light | **0.850 [0.750, 0.950]** |" in table.markdown()
    (said,) = table.ahead([OWN, "mien-light"])
    assert said == (
        "**human**, accuracy, happy or sad: 0.810 [0.710, 0.910] (mien 0.800 [0.700, 0.900], mien-light 0.850 [0.750, "
        "0.950])."
    )


SPEED = {
    OWN: {"photo": [9.0, 10.0, 12.0], "crop": [2.0], "batch": [64.0], "batch_size": 64, "cold": [0.3], "memory": 90.0},
    "fer": {"photo": [80.0], "crop": [0.5], "batch": [32.0], "batch_size": 64, "cold": [4.0], "memory": 600.0},
    "facex": {"photo": [90.0], "crop": [20.0], "cold": [4.0], "memory": 600.0},
    "human-network": {"crop": [3.0], "batch": [100.0], "batch_size": 16, "cold": [], "memory": 80.0},
}


def test_speed_shows_the_median_with_all_rounds_and_what_is_not_measured() -> None:
    assert spread([3.0, 1.0, 2.0]) == "2.0 (1.0-3.0)"
    assert spread([]) == spread(None) == NOTHING
    table = arrange("one core", speed_columns("1"), SPEED, READERS)
    assert list(table.rows) == ["fer", "human-network", "mien", "facex"]
    lines = table.markdown().splitlines()
    assert lines[2].startswith("| fer | 80.0 (80.0-80.0) | **0.50 (0.50-0.50)** | **2000 (2000-2000), 64 at once** |")
    assert lines[3].startswith(
        f"| human, network alone | {NOTHING} | 3.00 (3.00-3.00) | 160 (160-160), 16 at once | {NOTHING}"
    )
    assert "| 50 (50-50), one by one |" in lines[5]
    assert (
        "**fer**, crops/s in the best batch on one core: 2000 (2000-2000), 64 at once (mien " in table.ahead([OWN])[1]
    )


def test_the_page_is_written_from_results_alone(tmp_path: Path) -> None:
    question = {"title": "happy or sad, photographs", "rows": accuracies(mien=0.9, human=0.8)}
    results: dict[str, Any] = {
        "about": {"made": "2026-01-02", "others": "human", "accuracy": {"date": "2026-01-02", "mien": "1"}},
        "environments": {name: {"megabytes": 200.0, "versions": {name: "1.0"}} for name in (OWN, "human")},
        "accuracy": {"photographs": {"what": "photo", "images": 10, "questions": [question]}},
        "speed": {},
    }
    write_page(results, READERS, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "Nowhere in these tables." in text
    assert "## Speed" not in text
    assert "### Happy or sad, photographs\n\n| | accuracy |" in text
    assert "| human, with mesh |" in text
    assert "facex |" not in text


def test_the_page_of_the_docs_is_what_the_command_writes(tmp_path: Path) -> None:
    results = json.loads((ROOT / "benchmarks" / "rivals" / "results.json").read_text(encoding="utf-8"))
    write_page(results, READERS, tmp_path / "rivals.md")
    assert (ROOT / "docs" / "rivals.md").read_text(encoding="utf-8") == (tmp_path / "rivals.md").read_text(
        encoding="utf-8"
    )


def test_every_environment_is_pinned_without_cuda_and_without_addresses() -> None:
    for path in PINS.glob("*.txt"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), path
        assert not [line for line in lines if re.match(r"(torch|nvidia|tensorflow==|triton)", line)], path
    locks = list(PINS.glob("*/package-lock.json"))
    assert len(locks) == 2
    assert not [path for path in locks if "resolved" in path.read_text(encoding="utf-8")]
    assert {reader.environment for reader in READERS} == {OWN, *(path.stem for path in PINS.iterdir())}


def test_an_environment_weighs_what_was_installed_and_is_made_again_when_its_pins_change(tmp_path: Path) -> None:
    place = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, text in {"pip/a.py": "x" * 99, "fer/a.py": "x" * 7, "six.py": "x" * 5}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    assert size(tmp_path) == 12
    before = digest(place.rglob("*"))
    assert before == digest(place.rglob("*"))
    (place / "six.py").write_text("y", encoding="utf-8")
    assert digest(place.rglob("*")) != before

"""Kill -9 before any step of commands that train, search or change a model; then the same command, or its advice."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from killing import Ended, check_closed, killed, results, run
from workplace import FOR_A_SPLIT, drawn
from workplace import run as make_run

pytestmark = pytest.mark.slow

_TINY = {"network": "classic", "size": 24, "width": 0.25, "batch_size": 16, "epochs": 2, "augment": "light"}
_FLAGS = [part for name, value in _TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))]
_FIXED = [part for name, value in _TINY.items() for part in ("--fix", f"{name}={value}")]
#: The last argument is the folder to write.
COMMANDS = {
    "train": ["train", "data", *_FLAGS, "--deterministic", "--out", "run"],
    "folds": ["train", "data", *_FLAGS, "--deterministic", "--folds", "3", "--out", "run"],
    "experiment": ["experiment", "rates.toml", "data", "--out", "sweep"],
    "tune": ["tune", "data", *_FIXED, "--search", "dropout", "--trials", "2", "--silent-after", "6", "--out", "study"],
}
SWEEP = """
title = "Which rate?"
seeds = 1
[base]
network = "classic"
size = 24
width = 0.25
batch_size = 16
epochs = 2
augment = "light"
deterministic = true
[grid]
learning_rate = [0.001, 0.01]
"""
#: Columns of a history that depend on the clock. Files of Keras have the time in them, Keras numbers the layers of a
#: process on, and the ONNX converter orders constants anew; `predictions.csv` tells whether the weights are the same.
_CLOCKED = ("seconds", "images_per_second", "input_share")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    drawn(folder / "data", FOR_A_SPLIT)
    (folder / "rates.toml").write_text(SWEEP)
    return folder


def command(verb: str, place: Path) -> list[object]:
    """Return the arguments of a verb that writes below a folder."""
    *arguments, out = COMMANDS[verb]
    return [*arguments, place / out]


def figures(verb: str, place: Path) -> dict[str, Any]:
    """Return what two runs of a command have in common, by file; of a search, which draws anew, only its names."""
    found = results(place)
    numbers = sorted({name.split("/")[2] for name in found if name.startswith("study/trials/")})
    # A trial whose process was killed is queued again under the next number, and keeps its folder.
    for name in [name for name in found if name.startswith("study/trials/")]:
        *_, number, file = name.split("/")
        found[f"study/trials/{numbers.index(number)}/{file}"] = found.pop(name)
    for name in found:
        if name.endswith("history.csv"):
            header, *rows = (line.split(",") for line in found[name].decode().splitlines())
            kept = [number for number, column in enumerate(header) if column not in _CLOCKED]
            found[name] = [[row[number] for number in kept] for row in rows]
        if name.endswith(".json"):
            found[name] = re.sub(rb'"sha256": "\w+"', b"", found[name])
        if verb == "tune" or name.endswith((".keras", "layers.txt", ".onnx", ".html")):
            found[name] = len(found[name]) > 0
    return found


def check_whole(place: Path) -> None:
    """Refuse a file that was begun under its final name."""
    for path in place.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(place).parts):
            content = path.read_bytes()
            if path.suffix == ".json":
                json.loads(content)
            ends = {".png": b"IEND\xaeB`\x82", ".html": b"</html>", ".csv": b"\n", ".toml": b"\n"}
            assert content.rstrip(b" \n" if path.suffix == ".html" else b"").endswith(ends.get(path.suffix, b"")), path


def go_on(arguments: list[object], place: Path, folder: Path) -> Ended:
    """Give a command again; if it is told how to continue, do that."""
    again = run(place, arguments, folder=folder)
    advised = re.search(r"continue it with mien train --resume ([^ ,]+)", again.said[-1]) if again.status == 2 else None
    if advised is None:
        return again
    assert len(again.said) == 1, again.stderr
    return run(place, ["train", "--resume", advised[1]], folder=folder)


def check_kill(verb: str, data: Path, place: Path, expected: dict[str, Any], step: int) -> str:
    """Kill a command once and continue it; return how it went on."""
    place.mkdir()
    first = run(place, command(verb, place), folder=data, step=step)
    if not killed(first):
        assert first.status == 0, first.stderr
        return "it was done"
    check_whole(place)
    again = go_on(command(verb, place), place, data)
    if again.status == 2:
        assert len(again.said) == 1 and "holds a finished run" in again.said[0], again.stderr
        outcome = "it was finished"
    else:
        assert again.status == 0, f"{verb} {step}: {again.stderr}"
        outcome = "it went on"
    found = figures(verb, place)
    for name in [name for name in found if name.endswith("checkpoint.npz")]:
        found.pop(name)  # of a run that was killed when all but its removal was done
    assert found == expected, (
        f"{verb} {step}: {[name for name in {**found, **expected} if found.get(name) != expected.get(name)]}"
    )
    left = [str(path.relative_to(place)) for path in place.rglob("*") if ".part" in path.name]
    assert not left, f"{verb} {step}: {left}"
    if verb == "tune":
        (summary,) = place.rglob("summary.json")
        assert [row["default"] for row in json.loads(summary.read_text())["trials"]].count(True) == 1
    return outcome


def moments(names: list[str], many: int) -> list[int]:
    """Return steps to be killed before: renames, after which a file has its name, and others; the last ones always."""
    renames = [number for number, name in enumerate(names, 1) if name.startswith("os.rename")]
    others = [number for number, name in enumerate(names, 1) if not name.startswith("os.rename")]
    spread = [*renames[:: max(1, len(renames) * 2 // many)], *others[:: max(1, len(others) * 2 // many)]]
    return sorted({*spread, *range(len(names) - 2, len(names) + 1)})


@pytest.mark.parametrize("verb", COMMANDS)
def test_killed_before_its_steps_a_training_goes_on(verb: str, data: Path, tmp_path: Path) -> None:
    place = tmp_path / "whole"
    place.mkdir()
    done = run(place, command(verb, place), folder=data)
    assert done.status == 0, done.stderr
    expected = figures(verb, place)
    chosen = moments(done.names, int(os.environ.get("MIEN_KILLS", "24")))
    outcomes = [check_kill(verb, data, tmp_path / f"at-{step}", expected, step) for step in chosen]
    print(verb, done.steps, Counter(outcomes))
    assert outcomes.count("it went on") > len(chosen) // 2


@pytest.mark.parametrize("verb", COMMANDS)
def test_of_two_trainings_in_one_folder_one_wins_or_both_share(verb: str, data: Path, tmp_path: Path) -> None:
    place = tmp_path / "both"
    place.mkdir()
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: run(place, command(verb, place), folder=data), range(2)))
    check_whole(place)
    assert min(one.status for one in ended) == 0, [one.stderr for one in ended]
    for one in ended:
        assert one.status in (0, 2) and "Traceback" not in one.stderr, one.stderr
        if one.status:
            words = ("another process", "already exists", "holds an unfinished run", "holds a finished run")
            assert any(word in one.said[-1] for word in words), one.stderr
    if verb == "tune":
        assert [one.status for one in ended] == [0, 0], [one.stderr for one in ended]
        assert len(json.loads((place / "study" / "summary.json").read_text())["trials"]) == 2
    assert not [str(path) for path in place.rglob("*.part*")]


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_folder_that_may_not_be_written_to_is_one_line(
    verb: str, data: Path, tmp_path: Path, call: Callable[..., tuple[int, str, str]],
    as_nobody: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(data)
    check_closed(lambda place: call(*command(verb, place)), as_nobody, data, tmp_path)


def test_killed_while_it_sets_a_threshold_a_model_has_the_old_or_the_new_one(data: Path, tmp_path: Path) -> None:
    def evaluate(place: Path, step: int = 0) -> Ended:
        return run(place, ["evaluate", data / "data", "--model", place / "mine", "--no-detect", "--cost", "sad=5",
                           "--choose-threshold", "--out", place / "report"], step=step)  # fmt: skip

    def threshold(place: Path) -> float:
        found: float = json.loads((place / "mine" / "bundle" / "config.json").read_text())["threshold"]
        return found

    make_run(tmp_path / "whole" / "mine", 1)
    before, done = threshold(tmp_path / "whole"), evaluate(tmp_path / "whole")
    assert done.status == 0, done.stderr
    after, expected = threshold(tmp_path / "whole"), set(results(tmp_path / "whole"))
    assert before != after
    for step in range(done.steps - 12, done.steps + 1):
        place = tmp_path / f"at-{step}"
        make_run(place / "mine", 1)
        assert killed(evaluate(place, step))
        check_whole(place)
        assert threshold(place) in (before, after)
        again = evaluate(place)
        if (place / "report").exists() and again.status == 2:
            assert len(again.said) == 1 and "already exists" in again.said[0], again.stderr
        else:
            assert again.status == 0, again.stderr
        assert threshold(place) == after
        assert set(results(place)) == expected

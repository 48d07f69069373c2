"""Kill -9 at any write, two processes on one output, closed folders: nothing half-written has a final name."""

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
from workplace import convolutions, drawn, network, photograph
from workplace import run as make_run

_MODEL = ["--model", "mine"]
#: The arguments of each verb, in the folder of its inputs; the last one is the output to write.
COMMANDS = {
    "check": ["check", "data", "--write-clean", "clean"],
    "issues": ["check", "data", "--json", "issues.json"],
    "issues-csv": ["check", "data", "--csv", "issues.csv"],
    "issues-sheet": ["check", "data", "--all", "--sheet", "issues.png"],
    "evaluate": ["evaluate", "data", *_MODEL, "--no-detect", "--out", "report"],
    "metrics": ["evaluate", "data", *_MODEL, "--no-detect", "--json", "metrics.json"],
    "explain": ["explain", "a.jpg", "b.jpg", *_MODEL, "--out", "maps"],
    "explain-file": ["explain", "a.jpg", *_MODEL, "--out", "a.png"],
    "predict": ["predict", "data", *_MODEL, "--csv", "rows.csv"],
    "json": ["predict", "data", *_MODEL, "--json", "rows.json"],
    "jsonl": ["predict", "data", *_MODEL, "--jsonl", "rows.jsonl"],
    "draw": ["predict", "a.jpg", "b.jpg", *_MODEL, "--draw", "drawn"],
    "parquet": ["predict", "data", *_MODEL, "--parquet", "rows.parquet"],
    "show": ["show", "data", "--out", "sheet.png"],
    "compare": ["compare", "first", "second", "--out", "both"],
    "export": ["export", "theirs.keras", "--labels", "happy,sad", "--out", "bundle"],
    "int8": ["export", "convolutions", "--int8", "--data", "more", "--out", "bundle"],
}
#: Verbs that write a file for each image, one after another: each is whole, but there may be fewer.
ONE_BY_ONE = ("draw", "explain")
QUICK = ("check", "explain-file")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    drawn(folder / "data", 6)
    make_run(folder / "mine", 1)
    for name in ("a.jpg", "b.jpg"):
        photograph(folder / name)
    return folder


def require_inputs(verb: str, data: Path) -> None:
    """Make what only some verbs read."""
    if verb == "export" and not (data / "theirs.keras").exists():
        network(data / "theirs.keras", 1)
    if verb == "int8" and not (data / "convolutions").exists():
        drawn(data / "more", 24)
        convolutions(data / "convolutions", 1)
    if verb == "compare" and not (data / "first").exists():
        for name in ("first", "second"):
            done = run(
                data / name, ["evaluate", data / "data", "--model", data / "mine", "--no-detect", "--out", data / name]
            )
            assert done.status == 0, done.stderr


def command(verb: str, place: Path) -> list[object]:
    """Return the arguments of a verb that writes below a folder."""
    *arguments, out = COMMANDS[verb]
    return [*arguments, place / out]


def check_kill(verb: str, data: Path, place: Path, expected: dict[str, Any], **moment: Any) -> str:
    """Kill a command once and give it again; return how it went on."""
    place.mkdir()
    arguments = command(verb, place)
    first = run(place, arguments, folder=data, **moment)
    if not killed(first):
        assert first.status in (0, 1), first.stderr
        return "it was done"
    after = results(place)
    assert after == {name: expected[name] for name in after}, f"{verb} {moment}: {set(after) - set(expected)}"
    partly = bool(after) and after != expected
    assert not partly or verb in ONE_BY_ONE, f"{verb} {moment}: only {sorted(after)}"
    again = run(place, arguments, folder=data)
    if verb == "draw" and again.status == 2:
        assert "is not empty; give a new folder, or remove what is in it" in again.stderr
        return "it says what to do"
    if after == expected and again.status == 2:
        assert "already" in again.stderr and len(again.said) == 1, again.stderr
        return "it exists"
    assert again.status == 0, f"{verb} {moment}: {again.stderr}"
    assert results(place) == expected, f"{verb} {moment}"
    left = [str(path) for path in place.rglob("*") if ".part" in path.name or path.name.endswith(".lock")]
    assert not left, f"{verb} {moment}: {left}"
    return "it went on"


def whole(verb: str, data: Path, place: Path) -> tuple[dict[str, Any], Ended]:
    require_inputs(verb, data)
    place.mkdir()
    done = run(place, command(verb, place), folder=data)
    assert done.status == 0, done.stderr
    return results(place), done


@pytest.mark.parametrize("verb", QUICK)
def test_killed_before_its_last_write_a_command_goes_on(verb: str, data: Path, tmp_path: Path) -> None:
    expected, done = whole(verb, data, tmp_path / "whole")
    assert expected and done.steps > 2
    assert check_kill(verb, data, tmp_path / "killed", expected, step=done.steps - 1) in ("it went on", "it exists")


@pytest.mark.slow
@pytest.mark.parametrize("verb", COMMANDS)
def test_killed_before_every_write(verb: str, data: Path, tmp_path: Path) -> None:
    expected, done = whole(verb, data, tmp_path / "whole")
    many = int(os.environ.get("MIEN_KILLS", "24"))
    chosen = sorted({*range(1, done.steps + 1, max(1, done.steps // many)), *range(done.steps - 2, done.steps + 1)})
    moments: list[dict[str, Any]] = [{"step": step} for step in chosen]
    moments += [{"seconds": done.seconds * part} for part in (0.3, 0.6, 0.9)[: many // 4]]
    outcomes = [check_kill(verb, data, tmp_path / f"at-{n}", expected, **one) for n, one in enumerate(moments)]
    print(verb, done.steps, Counter(outcomes))


@pytest.mark.slow
@pytest.mark.parametrize("verb", COMMANDS)
def test_of_two_processes_on_one_output_one_wins(verb: str, data: Path, tmp_path: Path) -> None:
    expected, _ = whole(verb, data, tmp_path / "whole")
    for number in range(3):
        place = tmp_path / f"both-{number}"
        place.mkdir()
        with ThreadPoolExecutor(2) as pool:
            ended = list(pool.map(lambda _, place=place: run(place, command(verb, place), folder=data), range(2)))
        assert results(place) == expected, f"{verb}: {[one.stderr for one in ended]}"
        assert min(one.status for one in ended) == 0
        for one in ended:
            assert one.status in (0, 2)
            if one.status:
                said = one.said[-1]
                assert re.search("another process|already exists|drawn: is not empty", said), one.stderr
                assert "Traceback" not in one.stderr


@pytest.mark.parametrize("verb", [name for name in COMMANDS if name not in ("export", "int8")])
def test_a_folder_that_may_not_be_written_to_is_one_line(
    verb: str, data: Path, tmp_path: Path, call: Callable[..., tuple[int, str, str]],
    as_nobody: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(data)
    require_inputs(verb, data)
    check_closed(lambda place: call(*command(verb, place)), as_nobody, data, tmp_path)

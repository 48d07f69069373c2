"""Mutated files of every kind end in an answer or in one line of ours: no traceback, no crash.

Fast: some cases of each kind. Slow: all of them; MIEN_FUZZ=N runs N of each kind. A case is repeated by
`python tests/support/fuzzing.py KIND 0 NUMBER 1 FOLDER`.
"""

import os
from pathlib import Path

import pytest
from fuzz_kinds import KINDS
from fuzzing import run_campaign

#: Cases of a slow campaign. The rest are 5 000 each.
MANY = {"image": 100_000, "video": 10_000, "zip": 10_000, "csv": 10_000}
#: Kinds that need no Keras, whose processes begin quickly.
QUICK = ("video", "zip", "toml", "config", "run", "onnx", "journal", "answers", "decisions")


def check(kind: str, count: int, folder: Path) -> None:
    found = run_campaign(kind, count, folder / "fuzz")
    print(kind, found)
    assert not found.bad, f"{kind}: {found}\n{found.bad[0]}"
    assert found.counts.total() == count


@pytest.mark.parametrize("kind", QUICK)
def test_some_mutated_files(kind: str, tmp_path: Path) -> None:
    check(kind, 40, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_mutated_files(kind: str, tmp_path: Path) -> None:
    check(kind, int(os.environ.get("MIEN_FUZZ") or MANY.get(kind, 5000)), tmp_path)

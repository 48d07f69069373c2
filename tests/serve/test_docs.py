"""Every example of docs/http.md is run as it stands, against a live server."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from snippets import Snippet, snippets

from mien.reader import Reader
from mien.serve.problems import CODES

DOCS = Path(__file__).parents[2] / "docs" / "http.md"
TEXT = DOCS.read_text(encoding="utf-8")
KEY = "correct-horse-battery-staple"
RUN = {
    "bash": ("curl", "bash -e -o pipefail"),
    "python": (sys.executable, sys.executable),
    "javascript": ("node", "node --experimental-websocket"),
}
BLOCKS = snippets(DOCS, *RUN)
EXPECTED = {"bash": ('"happy"', "PNG"), "python": ("happy", "bad_parameter"), "javascript": ("happy",)}


@pytest.fixture(scope="module")
def ports(serve: Callable[..., Any], reader: Reader) -> dict[str, int]:
    return {"": serve(reader).port, "key": serve(reader, key=KEY).port}


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{block.language}-line-{block.line}" for block in BLOCKS])
def test_the_examples_run(block: Snippet, ports: dict[str, int], photo: bytes, face: bytes, tmp_path: Path) -> None:
    language, what, code = block.language, block.info, block.code
    program, command = RUN[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    (tmp_path / "photo.jpg").write_bytes(photo)
    (tmp_path / "crop.png").write_bytes(face)
    file = tmp_path / {"bash": "example.sh", "python": "example.py", "javascript": "example.mjs"}[language]
    file.write_text(code.replace("127.0.0.1:8000", f"127.0.0.1:{ports.get(what, 0)}"), encoding="utf-8")
    environment = os.environ | {"MIEN_API_KEY": KEY}
    done = subprocess.run(
        [*command.split(), str(file)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if what == "mount":
        return
    if "-o explained.png" in code:
        assert (tmp_path / "explained.png").read_bytes().startswith(b"\x89PNG")
    else:
        assert any(word in done.stdout for word in EXPECTED[language]), done.stdout


def test_there_are_examples_in_every_language() -> None:
    kinds = [block.language for block in BLOCKS]
    assert {kind: kinds.count(kind) >= 2 for kind in RUN} == dict.fromkeys(RUN, True)


def test_every_code_is_documented() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", TEXT, re.MULTILINE))
    assert {code: int(status) for code, status in rows.items()} == {code: status for code, (status, _) in CODES.items()}


def test_every_option_with_a_limit_is_documented() -> None:
    from mien.cli.serve import command

    options = [name for option in command.params for name in option.opts if name.startswith("--")]
    known = [name for name in options if f"`{name}" in TEXT or f" {name}" in TEXT]
    assert sorted(options) == sorted(known)

"""Run every example of docs/http.md unchanged, against a running server."""

import functools
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

from mien.inference.reader import Reader
from mien.server.problems import CODES

DOCS = Path(__file__).parents[2] / "docs" / "http.md"
TEXT = DOCS.read_text(encoding="utf-8")
KEY = "correct-horse-battery-staple"
#: The program that an example needs, and the command that runs it.
RUN = {
    "bash": ("curl", ["bash", "-e", "-o", "pipefail"]),
    "python": (sys.executable, [sys.executable]),
    "javascript": ("node", ["node"]),
}
BLOCKS = snippets(DOCS, *RUN)
EXPECTED = {"bash": ('"happy"', "PNG"), "python": ("happy", "bad_parameter"), "javascript": ("happy",)}


@pytest.fixture(scope="module")
def ports(run_server: Callable[..., Any], reader: Reader) -> dict[str, int]:
    return {"": run_server(reader).port, "key": run_server(reader, key=KEY).port}


@functools.cache
def websocket_options() -> list[str] | None:
    """Return the options with which node has WebSockets: none since 22, one since 20.10; None if it has none."""
    for options in ([], ["--experimental-websocket"]):
        asked = subprocess.run(
            ["node", *options, "-p", "typeof WebSocket"], capture_output=True, text=True, check=False
        )
        if asked.stdout.strip() == "function":
            return options
    return None


def command_for(block: Snippet) -> list[str]:
    """Return the command for an example; skip the test if its program is not installed."""
    program, command = RUN[block.language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if "new WebSocket" not in block.code:
        return command
    options = websocket_options()
    if options is None:
        version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        pytest.skip(f"node {version} has no WebSockets: use 20.10 or newer")
    return [*command, *options]


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{block.language}-line-{block.line}" for block in BLOCKS])
def test_the_examples_run(block: Snippet, ports: dict[str, int], photo: bytes, face: bytes, tmp_path: Path) -> None:
    language, what, code = block.language, block.info, block.code
    command = command_for(block)
    (tmp_path / "photo.jpg").write_bytes(photo)
    (tmp_path / "crop.png").write_bytes(face)
    file = tmp_path / {"bash": "example.sh", "python": "example.py", "javascript": "example.mjs"}[language]
    file.write_text(code.replace("127.0.0.1:8000", f"127.0.0.1:{ports.get(what, 0)}"), encoding="utf-8")
    environment = os.environ | {"MIEN_API_KEY": KEY}
    done = subprocess.run(
        [*command, str(file)],
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


def test_every_block_runs_or_gives_a_reason() -> None:
    fences = [line for line in TEXT.splitlines() if line.startswith("```")]
    assert "```" not in fences[::2], "a block without a language never runs"
    assert all(block.reason for block in snippets(DOCS, "sh")), "mark shell blocks that can run as bash"


def test_every_code_is_documented() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", TEXT, re.MULTILINE))
    assert {code: int(status) for code, status in rows.items()} == {code: status for code, (status, _) in CODES.items()}


def test_every_option_is_documented() -> None:
    from mien.cli.verbs.serve import command

    options = [name for option in command.params for name in option.opts if name.startswith("--")]
    known = [name for name in options if f"`{name}" in TEXT or f" {name}" in TEXT]
    assert sorted(options) == sorted(known)

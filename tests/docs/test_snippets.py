"""Run every command and every Python block of README and docs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from snippets import Snippet, snippets
from workplace import FEW, FOR_A_SPLIT, furnish

ROOT = Path(__file__).parents[2]
#: http.md needs a running server: tests/server runs its examples. The logs record commands of their day.
NOT_RUN = ("http.md", "lab-log.md", "lab-log-archive.md")
PAGES = [
    ROOT / "README.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name not in NOT_RUN),
]
#: The languages that are run; other blocks show output, files and the like.
RUN = ("sh", "python")
#: A page with one of these commands takes minutes.
LONG = re.compile(r"^(mien (train|tune|experiment|demo)|make )", re.MULTILINE)
#: Options that shorten long commands, by a pattern of the command: it is tested here, not its result.
SHORT = {
    r"mien train (?!.*--resume)": "--epochs=1 --freeze-epochs=0",
    r"mien tune (?!.*--resume)": "--trials=1",
    r"mien explain .*--faithfulness": "--limit=4",
}


def is_long(block: Snippet) -> bool:
    return LONG.search(block.code) is not None


def pages() -> list[object]:
    found: list[object] = []
    for path in PAGES:
        blocks = [block for block in snippets(path, *RUN) if block.reason is None]
        marks = [pytest.mark.slow] if any(map(is_long, blocks)) else []
        if blocks:
            found.append(pytest.param(path, id=str(path.relative_to(ROOT)), marks=marks))
    return found


@pytest.mark.parametrize("page", pages())
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    blocks = [block for block in snippets(page, *RUN) if block.reason is None]
    furnish(tmp_path, page.read_text(encoding="utf-8"), FOR_A_SPLIT if any(map(is_long, blocks)) else FEW)
    for block in blocks:
        done = run(block, tmp_path)
        assert done.returncode in (0, 1) if block.language == "sh" else done.returncode == 0, (
            f"{page.name}, line {block.line}:\n{block.code}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr, f"{page.name}, line {block.line}:\n{done.stderr}"


def run(block: Snippet, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a block in a folder that holds the files the pages name, with the tested `mien` first on the path."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["bash", "-c", shell(block.code)] if block.language == "sh" else [sys.executable, "-c", block.code]
    environment = {**os.environ, "PATH": search, "COLUMNS": "120"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def shell(code: str) -> str:
    """Return the commands as a script that ends at the first bad call; status 1 (unreadable files, issues) is fine."""
    lines = [shortened(line) for line in code.replace("\\\n", " ").splitlines() if line.split("#")[0].strip()]
    return "\n".join(f"{line}\nstatus=$?; [ $status -le 1 ] || exit $status" for line in lines)


def shortened(line: str) -> str:
    command = line.split(" #", 1)[0].rstrip()
    return " ".join([command, *(options for pattern, options in SHORT.items() if re.match(pattern, command))])


def test_the_blocks_of_a_page_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n```sh\nls\n```\n\n```json\n{}\n```\n\n<!-- not run: no camera -->\n```python\nimport mien\n```\n",
        "utf-8",
    )
    assert snippets(page, *RUN) == [Snippet("sh", "ls\n", 3), Snippet("python", "import mien\n", 12, "no camera")]


def test_a_command_that_is_refused_fails_its_block(tmp_path: Path) -> None:
    assert run(Snippet("sh", "mien predict nowhere.jpg\necho done\n", 1), tmp_path).returncode == 2
    assert run(Snippet("sh", "true  # nothing\n\\\n", 1), tmp_path).returncode == 0

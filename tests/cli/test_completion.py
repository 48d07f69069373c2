"""Tab completion, by the script that the shell itself runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mien.inference.bundle import shipped_models

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
#: What bash does when a user types these words and presses Tab; `compopt` works only inside a real key press.
PRESS_TAB = """
eval "$(_MIEN_COMPLETE=bash_source mien)"
complete -p mien | grep -q _mien_completion || exit 9
compopt() { echo "compopt $2"; }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mien_completion mien
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """PATH with a `mien` that runs this tree."""
    script = tmp_path / "bin" / "mien"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m mien "$@"\n')
    script.chmod(0o755)
    return f"{script.parent}:{os.environ['PATH']}"


def press_tab(path: str, place: Path, *words: str) -> set[str]:
    """Return what bash offers for the last of the words."""
    done = subprocess.run(
        ["bash", "-c", PRESS_TAB, "bash", *words], cwd=place, env={**os.environ, "PATH": path}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return {line for line in done.stdout.splitlines() if line}


@needs_bash
def test_bash_completes_verbs_options_choices_models_and_settings(tmp_path: Path, path: str) -> None:
    (tmp_path / "mien-runs" / "mine" / "bundle").mkdir(parents=True)
    assert press_tab(path, tmp_path, "mien", "ex") == {"explain", "experiment", "export"}
    assert press_tab(path, tmp_path, "mien", "train", "--ep") == {"--epochs"}
    assert press_tab(path, tmp_path, "mien", "train", "--optimizer", "a") == {"adam", "adamw"}
    assert press_tab(path, tmp_path, "mien", "predict", "--model", "mien") == {
        *shipped_models(), "mien-runs/mine", "compopt dirnames",
    }  # fmt: skip
    assert press_tab(path, tmp_path, "mien", "train", "--from", "no") == {"none", "compopt dirnames"}
    assert press_tab(path, tmp_path, "mien", "predict", "ph") == {"compopt default"}
    assert press_tab(path, tmp_path, "mien", "predict", "a.jpg", "--jsonl", "") == {"compopt default"}
    assert press_tab(path, tmp_path, "mien", "tune", "data", "--search", "size,dro") == {"size,dropout"}


@pytest.mark.parametrize(("shell", "words"), [("zsh", "compdef _mien_completion mien"), ("fish", "--command mien")])
def test_zsh_and_fish_get_their_scripts(path: str, shell: str, words: str) -> None:
    done = subprocess.run(
        ["mien"], env={**os.environ, "PATH": path, "_MIEN_COMPLETE": f"{shell}_source"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert words in done.stdout


def test_completing_loads_no_framework(tmp_path: Path) -> None:
    code = "import sys\nfrom mien.cli import main\ntry:\n    main()\nexcept SystemExit:\n    print(*sys.modules)\n"
    for words in ("mien e", "mien train --e", "mien explain --model m", "mien tune --fix l"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
            env={**os.environ, "_MIEN_COMPLETE": "bash_complete", "COMP_WORDS": words,
                 "COMP_CWORD": str(len(words.split()) - 1)},
        )  # fmt: skip
        offered, modules = done.stdout.rsplit("\n", 2)[:2]
        assert "plain," in offered
        heavy = {"keras", "tensorflow", "jax", "torch", "onnxruntime", "matplotlib", "scipy", "fastapi", "optuna"}
        assert not heavy & {*modules.split()}

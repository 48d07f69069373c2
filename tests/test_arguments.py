"""Messages name options as Python does; the command and the server translate them."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mien
from mien.arguments import flag, to_flags, to_query
from mien.training.config import TrainConfig

PACKAGE = Path(mien.__file__).parent


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        ("`epochs=20`: too many", "--epochs 20: too many"),
        ("give `learning_rate=`", "give --learning-rate"),
        ("use `detect=False`", "use --no-detect"),
        ("use `robustness=True`", "use --robustness"),
        ("use `rename={'a b': 'c', 'd': 'e'}`", "use --map 'a b=c' --map d=e"),
        ("use `classes=['happy', 'sad']`", "use --classes happy,sad"),
        ("give `model=FOLDER`, of your own", "give --model FOLDER, of your own"),
        ("give `data=` or `resume=RUN`", "give DATA or --resume RUN"),
        ("see `mien.train(resume='my run')`", "see mien train --resume 'my run'"),
        ("that `mien.train` wrote", "that mien train wrote"),
        ("`start_from=r'C:\\data'`", r"--from 'C:\data'"),
    ],
)
def test_flags(python: str, shell: str) -> None:
    assert to_flags(python) == shell


def test_a_query_has_parameters_but_no_calls() -> None:
    assert to_query("use `detect=False` or `faces='largest'`") == "use ?detect=false or ?faces=largest"
    assert to_query("`threshold={'happy': 2.0, 'sad': 1}`: too much") == "?threshold=happy=2,sad=1: too much"
    assert to_query("give `threshold=1` or `model=['a', 'b']`") == "give ?threshold=1 or ?model=a,b"
    assert to_query("see `mien.train`") == "see `mien.train`"


@pytest.mark.parametrize("text", ["`ls`", "`a b=1`", "`import os`", "`f(x)=1`", "`os.system('x')`", "a ` b", "`x=1+1`"])
def test_other_code_stays_as_it_is(text: str) -> None:
    assert to_flags(text) == to_query(text) == text


@given(st.text())
def test_no_text_is_refused(text: str) -> None:
    to_query(f"`name={ {text: [text]} }` `name={[text, None]}`")
    to_flags(f"`{text}` `name={text}` `name={text!r}`")
    to_query(f"`{text}` `name={text!r}`")


def test_a_setting_is_said_in_the_idiom_of_its_door() -> None:
    with pytest.raises(mien.ConfigError, match=r"^`freeze_epochs=9`: more than `epochs=3`$") as caught:
        TrainConfig.make({"start_from": "mien", "freeze_epochs": 9, "epochs": 3})
    assert to_flags(str(caught.value)) == "--freeze-epochs 9: more than --epochs 3"
    assert flag("start_from") == "--from"


#: Rooms that only the command reaches, texts that are read with no door open (reports and the advice on data), and
#: modules that put together a command.
_MAY_NAME_FLAGS = (
    "cli/",
    "data/fixes/opening.py",
    "server/fix/",
    "report/sections/",
    "report/report.py",
    "data/issues.py",
    "server/security.py",
    "arguments.py",
    "viz/charts.py",
    "training/defaults.py",
)


def test_the_library_names_no_flags() -> None:
    """A Python user cannot type `--epochs`: the library says `epochs=` in backticks."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(_MAY_NAME_FLAGS):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found += [
            f"{name}:{node.lineno}: {node.value.strip()[:60]}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
            and any(word.startswith("--") and word[2:3].isalpha() for word in node.value.replace("(", " ").split())
        ]  # fmt: skip
    assert found == []

"""A bad call of any verb is one line on stderr that names the argument and the fix, and leaves nothing behind."""

import shutil
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.types import FloatParamType

from mien.cli import VERBS, cli
from mien.cli.bad_calls import describe
from mien.cli.options import Number
from mien.cli.verbs import serve
from mien.server.limits import MAX_SECONDS

Call = Callable[..., tuple[int, str, str]]
#: Verbs that need no argument.
_ALONE = ("doctor", "demo", "serve")


@pytest.fixture
def place(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, one photo, a text, an empty folder and one that is taken, as the current one."""
    (tmp_path / "data").symlink_to(faces)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hi\n")
    shutil.copy(next((faces / "happy").iterdir()), tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(call: Call, place: Path, line: str) -> str:
    """Return what a bad call prints, which is one line; it leaves nothing behind."""
    before = sorted(place.rglob("*"))
    code, _, errors = call(*line.split())
    assert code == 2, errors
    assert errors.startswith("mien: ")
    assert errors.count("\n") == 1
    assert sorted(place.rglob("*")) == before
    return errors.removeprefix("mien: ").removesuffix("\n")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in _ALONE])
def test_a_verb_without_arguments_says_what_it_needs(call: Call, place: Path, verb: str) -> None:
    assert "give" in refused(call, place, verb) or verb == "predict"


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_named(call: Call, place: Path, verb: str) -> None:
    said = refused(call, place, f"{verb} --no-such-thing")
    assert said.startswith(f"--no-such-thing: mien {verb} has no such option; ")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        # misspelt
        ("trian data", "trian: is no verb of mien; did you mean 'train'?"),
        ("nonsense", "nonsense: is no verb of mien; see mien --help"),
        ("train data --epoch 3", "--epoch: mien train has no such option; did you mean '--epochs'?"),
        ("check data --clases a,b", "did you mean '--classes'?"),
        ("train data --optimizer adan", "--optimizer adan: is none of adam, adamw, muon, sgd; did you mean 'adam'?"),
        ("predict a.png --model mein", "mein: no such model; did you mean 'mien'?"),
        ("train data --from mein", "--from mein: no such model; did you mean 'mien'?"),
        ("explain a.png --label hapy --out x.png", "--label hapy: this model has"),
        ("tune data --trials 1 --search widht", "--search widht: is none of network"),
        # files and folders
        ("check nowhere", "nowhere: no such file or folder"),
        ("check empty", "empty: no labelled images found; expected class folders"),
        ("check notes.txt", "notes.txt: the header must be file,label"),
        ("predict nowhere", "nowhere: no such file or folder"),
        ("predict empty", "empty: has no images or videos in it"),
        ("explain empty --out x", "empty: has no images or videos in it"),
        ("evaluate empty", "empty: no labelled images found"),
        ("evaluate data --model empty", "empty: is not a model folder"),
        ("evaluate data --model notes.txt", "notes.txt: is a file; give the bundle's folder"),
        ("compare empty taken", "empty: has no metrics.json; give a folder that mien evaluate --out"),
        ("export notes.txt --labels a,b --out b", "notes.txt: is not a Keras model (.keras or .h5)"),
        ("train data --config empty", "empty: is a folder; give a TOML file of settings"),
        ("train data --config none.toml", "none.toml: no such file; give a TOML file of settings"),
        ("experiment notes.txt data", "notes.txt: is not valid TOML"),
        ("train --resume notes.txt", "notes.txt: is a file"),
        ("train data --out taken", "taken: already exists; give another name, such as --out taken-2"),
        ("show data --out empty", "empty: is a folder; give a file name"),
        ("runs notes.txt", "notes.txt: is a file; give the folder"),
        ("serve --model empty", "empty: is not a model folder"),
        ("demo --out taken", "taken: already exists"),
        ("doctor --json empty", "empty: is a folder; give a file name"),
        # too many, too few
        ("train data data", "train: too many arguments, data is left over; give one folder that holds"),
        ("doctor now", "doctor: too many arguments, now is left over; see mien doctor --help"),
        ("experiment notes.txt", "experiment: give DATA; see mien experiment --help"),
        ("show data --per-class", "--per-class: needs a value after it"),
        ("export a.keras", "--out: is needed; see mien export --help"),
        # exclusive
        ("train data --resume empty", "--resume: takes the run's own data and settings; give it alone"),
        ("train data --network stack --backbone VGG16", "--network stack: cannot have a --backbone; give one of"),
        ("predict a.png --json - --csv -", "--json - and --csv -: only one of them can go to standard output"),
        ("predict a.png --camera 0", "--camera 0 and a.png: give only one of them"),
        ("check data --json - --csv -", "--json - and --csv -: only one of them can go to standard output"),
        ("serve --no-auth --api-key-file notes.txt", "--no-auth and --api-key-file: give only one of them"),
        ("serve --notice text --no-notice", "--notice and --no-notice: give only one of them"),
        ("serve --notice=", "--notice: the text is empty; --no-notice opens the camera without asking"),
        # out of range
        ("train data --epochs -1", "--epochs -1: must lie between 1 and 100000"),
        ("train data --epochs 1.5", "--epochs 1.5: must be a whole number"),
        ("train data --folds 2", "--folds 2: must be from 3 to 50"),
        ("train data --validation-share 0.8 --test-share 0.5", "--validation-share and --test-share: together at most"),
        ("tune data", "give a budget: --trials N, --minutes M or both"),
        ("tune data --trials 0", "--trials 0: must be at least 1"),
        ("predict a.png --threshold sad=2", "--threshold sad=2: give a number between 0 and 1"),
        ("predict a.png --threshold 0.5", "--threshold 0.5: name the answer, such as --threshold sad=0.5"),
        ("predict a.png --threads none", "--threads none: must be a whole number"),
        ("predict a.png --threads 1000", "--threads 1000: must be from 1 to 256"),
        ("serve --threads 1000", "--threads 1000: must be from 1 to 256"),
        ("predict a.png --fps 1e-320", "--fps 1e-320: must be from 0.001 to 1000"),
        ("show data --rotation 999", "--rotation 999: must lie between 0 and 180"),
        ("serve --port 99999", "--port 99999: must be from 0 to 65535"),
        # options that need others, and pairs
        ("evaluate data --robustness", "--robustness: its results go into a report; give --out DIR or --json FILE"),
        ("predict a.png --engine ray", "--engine ray: give --parquet DIR"),
        ("explain a.png --limit 3 --out x.png", "--limit: is for labelled data"),
        ("check data --map happy", "--map happy: write it as OLD=NEW, like smile=happy"),
        ("evaluate data --cost happy", "--cost happy: write it as CLASS=N, like sad=5"),
    ],
)  # fmt: skip
def test_a_bad_call_is_one_line_that_names_the_argument(call: Call, place: Path, line: str, words: str) -> None:
    assert words in refused(call, place, line)


@pytest.mark.parametrize("verb", VERBS)
def test_no_number_is_infinite_or_none(verb: str) -> None:
    """Nor in an option that somebody adds: every option that takes a number is of the type that refuses these."""
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    for option in command.params:
        if not isinstance(option.type, FloatParamType):
            continue
        assert isinstance(option.type, Number), option.name
        for text in ("nan", "inf", "-inf", "1e999", "NaN", "Infinity"):
            with pytest.raises(click.BadParameter) as caught:
                option.type.convert(text, option, click.Context(command))
            assert describe(caught.value) == f"{option.opts[0]} {text}: must be a finite number"


def test_the_longest_timeout_is_that_of_the_server() -> None:
    timeout = next(one for one in serve.command.params if one.name == "timeout")
    assert isinstance(timeout.type, Number) and timeout.type.max == MAX_SECONDS

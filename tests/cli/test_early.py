"""A typo is answered before Keras is loaded: in a moment, in one line, and nothing is left behind."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bundles import write_empty_model

CALL = """
import sys
from mien.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    heavy = {"keras", "tensorflow", "jax", "torch", "optuna"} & set(sys.modules)
    print("\\nleft with", left.code, *sorted(heavy))
"""
SWEEP = '[base]\nepochs = 1\n[grid]\n{} = ["{}", "{}"]\n'


def called(place: Path, *words: str) -> tuple[str, str]:
    """Run mien in a process of its own; returns the exit status and the frameworks that it loaded, and stderr."""
    done = subprocess.run([sys.executable, "-c", CALL, *words], cwd=place, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[-1].removeprefix("left with "), done.stderr


@pytest.fixture
def place(faces: Path, tmp_path: Path) -> Path:
    """A folder with data, a finished run, files in the way, and settings with a typo in each."""
    (tmp_path / "data").symlink_to(faces)
    (tmp_path / "one" / "happy").mkdir(parents=True)
    (tmp_path / "one" / "happy" / "a.png").write_bytes(next((faces / "happy").iterdir()).read_bytes())
    (tmp_path / "taken").mkdir()
    for name in ("mine.txt", ".lock"):  # as in the folder of a study or a sweep
        (tmp_path / "taken" / name).touch()
    (tmp_path / "run").mkdir()
    source: dict[str, Any] = {"path": "data", "classes": None, "rename": {}}
    about = {"source": source, "classes": ["happy", "sad"], "detection": {"detect": False}}
    (tmp_path / "run" / "run.json").write_text(json.dumps(about))
    (tmp_path / "run" / "metrics.json").write_text("{}")
    (tmp_path / "x.txt").write_text("hi\n")
    write_empty_model(tmp_path / "x.keras")
    (tmp_path / "typo.toml").write_text('activation = "rleu"\n')
    for name, values in {
        "good": ("activation", "relu", "gelu"), "activation": ("activation", "relu", "gleu"),
        "optimizer": ("optimizer", "adam", "adan"), "network": ("network", "stack", "vgg"),
    }.items():  # fmt: skip
        (tmp_path / f"{name}.toml").write_text(SWEEP.format(*values))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train nowhere", "nowhere: no such"),
        ("train data --out taken", "taken: already exists; give another name, such as --out taken-2"),
        ("train data --out x.txt/run", "x.txt/run: cannot be written; "),
        ("train data --classes happy,angry", "angry"),
        ("train one", "one: "),
        ("train data --epochs 0", "--epochs 0: must lie between"),
        (
            "train data --activation rleu",
            "--activation rleu: is none of relu, leaky_relu, elu, gelu, silu, tanh, selu, mish; did you mean 'relu'?",
        ),
        ("train data --config typo.toml", "typo.toml: --activation rleu: is none of relu, leaky_relu"),
        ("train data --from nobody", "nobody"),
        ("train --resume nowhere", "nowhere: no such run folder"),
        ("train --resume taken", "taken: is not a run folder"),
        ("train --resume run", "run: this run is finished"),
        ("tune nowhere --trials 1", "nowhere: no such"),
        ("tune data --trials 1 --out taken", "taken: already exists and holds no study"),
        ("tune data --trials 1 --out x.txt", "x.txt: already exists"),
        ("tune data --trials 1 --classes happy,angry", "angry"),
        ("tune data --trials 1 --search widht", "--search widht: is none of network"),
        ("tune data --trials 1 --fix activation=rleu", "--activation rleu: is none of relu, leaky_relu"),
        ("tune data --trials 1 --fix optimizer=adan", "--optimizer adan: is none of adam, adamw, muon, sgd"),
        ("tune data --trials 1 --fix network=vgg", "--network vgg: is none of classic, stack"),
        ("tune data --trials 1 --config typo.toml", "typo.toml: --activation rleu: is none of relu, leaky_relu"),
        ("experiment nowhere.toml data", "nowhere.toml: no such file; give a TOML file"),
        ("experiment good.toml nowhere", "nowhere: no such"),
        ("experiment good.toml data --out taken", "taken: already exists and holds no experiment"),
        ("experiment good.toml data --classes happy,angry", "angry"),
        ("experiment activation.toml data", "activation.toml: --activation gleu: is none of relu, leaky_relu"),
        ("experiment optimizer.toml data", "optimizer.toml: --optimizer adan: is none of adam, adamw, muon, sgd"),
        ("experiment network.toml data", "network.toml: --network vgg: is none of classic, stack"),
        ("export nowhere.keras --labels a,b --out b", "nowhere.keras: no such file"),
        ("export x.txt --labels a,b --out b", "x.txt: is not a Keras model (.keras or .h5)"),
        ("export x.keras --out b", "--labels: name the classes"),
        ("export x.keras --labels a,b --out taken", "taken: already exists"),
        ("export x.keras --labels a,b --out b --data nowhere", "--data nowhere: no such file or folder"),
    ],
)
def test_a_typo_costs_a_moment(place: Path, line: str, words: str) -> None:
    before = sorted(place.rglob("*"))
    left, errors = called(place, *line.split())
    assert left == "2", "the exit status, and no framework"
    assert words in errors
    assert (errors.count("\n"), errors[:6]) == (1, "mien: ")
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("verb", ["train", "tune", "experiment", "export", "explain", "evaluate", "runs"])
def test_help_needs_no_framework(tmp_path: Path, verb: str) -> None:
    assert called(tmp_path, verb, "--help") == ("0", "")

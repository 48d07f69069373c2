"""No verb overwrites a file of the user: inputs and other files are refused, earlier results are replaced."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from mien.cli import main
from mien.data.dataset import read_manifest

Capture = pytest.CaptureFixture[str]


def mien(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, faces: Path, brightness_bundle: Path) -> Path:
    """A folder with data, a bundle, and two reports of an evaluation."""
    folder = tmp_path_factory.mktemp("outputs")
    data = shutil.copytree(faces, folder / "data")
    Image.new("RGB", (64, 64)).save(data / "mine.png")  # at the top it belongs to no class
    Image.new("RGB", (64, 64)).save(folder / "photo.png")
    shutil.copytree(brightness_bundle, folder / "bundle")
    for name in ("a", "b"):
        assert mien("evaluate", data, "--model", folder / "bundle", "--out", folder / name) == 0
    return folder


VERBS: dict[str, tuple[list[str], str]] = {
    "check --json": (["check", "data", "--json"], "issues.json"),
    "check --csv": (["check", "data", "--csv"], "issues.csv"),
    "check --sheet": (["check", "data", "--sheet"], "sheet.png"),
    "show": (["show", "data", "--per-class", "2", "--out"], "grid.png"),
    "evaluate": (["evaluate", "data", "--model", "bundle", "--json"], "metrics.json"),
    "compare": (["compare", "a", "b", "--json"], "compare.json"),
    "explain": (["explain", "photo.png", "--model", "bundle", "--out"], "heat.png"),
    "runs --json": (["runs", ".", "--json"], "runs.json"),
    "runs --csv": (["runs", ".", "--csv"], "runs.csv"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_result_is_replaced_and_nothing_else(
    verb: str, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(work)
    arguments, name = VERBS[verb]
    assert mien(*arguments, name) in (0, 1)
    first = Path(name).read_bytes()
    assert mien(*arguments, name) in (0, 1)  # the same command again
    assert len(Path(name).read_bytes()) == pytest.approx(len(first), rel=0.1)
    capsys.readouterr()
    mine = b"my own file" if name.endswith("json") else Path("photo.png").read_bytes()
    Path(name).write_bytes(mine)
    assert mien(*arguments, name) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert f"{name}: already exists and is not an earlier result of this kind" in err
    assert Path(name).read_bytes() == mine


@pytest.mark.parametrize(
    ("arguments", "target", "words"),
    [
        (["check", "data", "--sheet"], "data/sad/new.png", "lies inside data"),
        (["check", "data", "--write-clean"], "data/clean", "lies inside data"),
        (["show", "data", "--out"], "data/mine.png", "not an earlier result"),
        (["evaluate", "data", "--model", "bundle", "--out"], "data/report", "lies inside data"),
        (["evaluate", "data", "--model", "bundle", "--json"], "bundle/config.json", "not an earlier result"),
        (["explain", "photo.png", "--model", "bundle", "--out"], "photo.png", "is one of the inputs"),
        (["explain", "data", "--summary", "--model", "bundle", "--out"], "data/explained", "lies inside data"),
        (["compare", "a", "b", "--json"], "a/metrics.json", "not an earlier result"),
        (["doctor", "--json"], "a/metrics.json", "not an earlier result"),
    ],
)
def test_inputs_are_never_written_to(
    arguments: list[str], target: str, words: str, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(work)
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    assert mien(*arguments, target) == 2
    assert words in capsys.readouterr().err
    assert {path: path.read_bytes() for path in work.rglob("*") if path.is_file()} == before


def test_runs_inside_the_data_are_no_class(work: Path, tmp_path: Path) -> None:
    """`cd data; mien train .` writes its run into the data."""
    data = shutil.copytree(work / "data", tmp_path / "data")
    (data / "mien-runs" / "a").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(data / "mien-runs" / "a" / "curves.png")
    assert read_manifest(data).classes == ("happy", "sad")

"""`mien.check` gives what `mien check` gives, and shows it in a notebook."""

import json
import shutil
from pathlib import Path

import pytest

import mien
from mien.cli import main
from mien.data.audit import Audit, audit
from mien.data.dataset import read_manifest
from mien.data.synthetic.corrupt import corrupt_dataset
from mien.data.synthetic.faces import write_dataset
from mien.errors import BundleError, ConfigError, DataError


@pytest.fixture(scope="module")
def corrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "corrupted <b>"
    write_dataset(folder, 20, seed=2, size=64)
    corrupt_dataset(folder, 2)
    return folder


def by_command(path: Path, *arguments: object) -> dict[str, object]:
    """What `mien check --json` writes."""
    with pytest.raises(SystemExit):
        main(["check", str(arguments[0]), "--json", str(path), *map(str, arguments[1:])])
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_door_gives_what_the_verb_gives(corrupted: Path, tmp_path: Path) -> None:
    found = mien.check(corrupted)
    assert isinstance(found, Audit)
    assert found.to_dict() == by_command(tmp_path / "a.json", corrupted)
    assert found.to_dict() == audit(read_manifest(corrupted)).to_dict()
    assert found.counts["error"] > 5 and found.counts["note"] == 5
    assert sum(found.counts.values()) == len(found.issues)
    assert found.labels_unchecked is None


def test_classes_rename_and_extensions_are_passed_on(faces: Path, tmp_path: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    (data / "sad" / "sad-00003.jpg").rename(data / "sad" / "sad-00003.jpeg.tif")
    found = mien.check(
        str(data), classes=["bad", "good"], rename={"happy": "good", "sad": "bad"}, strict_extensions=True
    )
    wanted = ("--classes", "bad,good", "--map", "happy=good,sad=bad", "--strict-extensions")
    assert found.to_dict() == by_command(tmp_path / "a.json", data, *wanted)
    assert found.manifest.classes == ("bad", "good")
    assert found.left_out == {"sad/sad-00003.jpeg.tif": "strict-extension"}


def test_faces_are_checked_by_a_reader_or_a_name(corrupted: Path, brightness_bundle: Path, tmp_path: Path) -> None:
    wanted = by_command(tmp_path / "a.json", corrupted, "--faces", "--model", brightness_bundle)
    shares: list[float] = []
    named = mien.check(corrupted, faces=True, model=str(brightness_bundle), on_progress=shares.append)
    assert named.to_dict() == wanted
    assert shares == sorted(shares) and shares[-1] == 1.0
    reader = mien.load(brightness_bundle, faces="largest")
    assert mien.check(corrupted, faces=True, model=reader).to_dict() == wanted
    unknown = mien.check(corrupted, faces=True, model=reader, rename={"happy": "cat", "sad": "dog"})
    assert unknown.labels_unchecked == "the model 'linear' does not know all of cat, dog"


def test_bad_calls_say_what_is_wrong(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model: checks the labels of faces; add faces=True"):
        mien.check(faces, model="mien")
    with pytest.raises(BundleError):
        mien.check(faces, faces=True, model=tmp_path / "nowhere")
    with pytest.raises(DataError, match="no class 'angry'"):
        mien.check(faces, classes=["happy", "angry"])


def test_a_notebook_shows_a_table_with_names_escaped(corrupted: Path, faces: Path) -> None:
    html = mien.check(corrupted)._repr_html_()
    assert "corrupted &lt;b&gt;" in html and "<b>" in html
    assert "same image under two labels" in html
    assert html.count("<tr>") == 1 + len(mien.check(corrupted).issues)
    assert "no issues found" in mien.check(faces)._repr_html_()

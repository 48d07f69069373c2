"""`mien.check` gives what `mien check` gives, and shows it in a notebook."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from mien.cli import main
from mien.data.audit import Audit, audit
from mien.data.dataset import read_manifest
from mien.data.fixes.opening import open_session
from mien.data.synthetic.corrupt import corrupt_dataset
from mien.data.synthetic.faces import draw_face, write_dataset
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
    assert mien.check(corrupted, quick=True).to_dict() == audit(read_manifest(corrupted)).to_dict()
    assert found.counts["error"] > 5 and found.counts["note"] == 5
    assert sum(found.counts.values()) == len(found.issues)
    assert found.detection is not None and found.detection.kind == "crops"
    assert found.labels is not None and found.labels.checked > 20


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


def test_labels_are_checked_by_a_reader_or_a_name(corrupted: Path, brightness_bundle: Path, tmp_path: Path) -> None:
    wanted = by_command(tmp_path / "a.json", corrupted, "--detect", "yes", "--model", brightness_bundle)
    shares: list[float] = []
    named = mien.check(corrupted, detect=True, model=str(brightness_bundle), on_progress=shares.append)
    assert named.to_dict() == wanted
    assert shares == sorted(shares) and shares[-1] == 1.0
    reader = mien.load(brightness_bundle, faces="largest")
    unknown = mien.check(corrupted, detect=False, model=reader, rename={"happy": "cat", "sad": "dog"})
    assert unknown.labels is not None
    assert unknown.labels.unchecked == "the model 'linear' does not know all of cat, dog"


def scenes(folder: Path, things: bool = False) -> Path:
    """Pictures of 400 by 300 pixels in two classes: blotches, with a drawn face somewhere unless they show `things`."""
    rng = np.random.default_rng(5)
    for label in ("happy", "sad"):
        (folder / label).mkdir(parents=True)
        for number in range(10):
            picture = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((400, 300))
            if not things and number:
                x, y = rng.integers(0, 200, 2)
                picture.paste(Image.fromarray(draw_face(label, number, size=96)), (int(x), int(y)))
            picture.save(folder / label / f"{number}.png")
    return folder


def test_photographs_are_searched_for_faces_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, said = scenes(tmp_path / "data"), list[str]()
    monkeypatch.setattr("mien.data.check._LONG", 3600.0)  # it is a matter of seconds, or of minutes on a busy machine
    found = mien.check(data, on_message=said.append)
    assert {"happy/0.png", "sad/0.png"} <= found.left_out.keys()
    assert set(found.left_out.values()) == {"no-face"} and len(found.usable.samples) > 10
    assert found.detection is not None and found.detection.sentence in found._repr_html_()
    assert said == []
    assert not mien.check(data, detect=False).left_out
    quick = mien.check(data, quick=True)
    assert (quick.left_out, quick.detection, quick.labels) == ({}, None, None)
    monkeypatch.setattr("mien.data.check._LONG", 0.0)
    mien.check(data, on_message=said.append)
    assert len(said) == 1
    assert said[0].startswith("looking for faces in 20 images takes about ") and "`quick=True`" in said[0]
    open_session(data, on_message=said.append)
    (long,) = [sentence for sentence in said[1:] if "takes about" in sentence]
    assert "quick" not in long, "mien fix has no such option"


def test_images_of_other_things_are_not_said_to_lack_faces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = scenes(tmp_path / "data", things=True)
    found = mien.check(data)
    assert not found.left_out and found.labels is None
    with pytest.raises(SystemExit):
        main(["check", str(data), "--map", "happy=cats,sad=dogs", "--all", "--write-clean", str(tmp_path / "clean")])
    said = "".join(capsys.readouterr())
    assert "face" not in said and "cats 10" in said


def test_bad_calls_say_what_is_wrong(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model: `quick=True` checks the files alone"):
        mien.check(faces, quick=True, model="mien")
    with pytest.raises(BundleError):
        mien.check(faces, model=tmp_path / "nowhere")
    with pytest.raises(DataError, match="no class 'angry'"):
        mien.check(faces, classes=["happy", "angry"])


def test_a_notebook_shows_a_table_with_names_escaped(corrupted: Path, faces: Path) -> None:
    found = mien.check(corrupted)
    html = found._repr_html_()
    assert "corrupted &lt;b&gt;" in html and "<b>" in html
    assert "same image under two labels" in html
    assert html.count("<tr>") == 1 + len(found.issues)
    assert "no issues found" in mien.check(faces, quick=True)._repr_html_()

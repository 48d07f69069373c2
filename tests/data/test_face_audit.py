"""Each issue of what an image shows is found: no face, several, too small, cut off, drawn, or under the wrong label."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image, ImageDraw

from mien.cli import main
from mien.data.audit import Audit, audit, with_findings
from mien.data.clean import write_clean
from mien.data.dataset import read_manifest
from mien.data.face_audit import audit_faces, audit_whole, face_issues
from mien.data.face_regions import find_faces
from mien.data.issues import ISSUE_KINDS, Finding, Severity
from mien.data.synthetic.faces import draw_face
from mien.inference.reader import load
from mien.results import Box, Detection

Pixels = npt.NDArray[np.uint8]
FACE_KINDS = {"no-face", "several-faces", "face-too-small", "face-cut-off", "not-a-photograph", "label-issue"}


def packaged(name: str) -> Pixels:
    """One of scikit-image's images, which are free to use."""
    return np.asarray(getattr(skimage.data, name)())


def person(light: float, seed: int) -> Pixels:
    """A face somewhere in a texture; from about 0.8 on the model of these tests takes it for happy."""
    rng = np.random.default_rng(seed)
    texture = (packaged("gravel"), packaged("brick"), packaged("grass"))[seed % 3]
    top, left = rng.integers(0, 212, 2)
    canvas = np.repeat(texture[top : top + 300, left : left + 300, np.newaxis], 3, axis=2)
    x, y = rng.integers(0, 140, 2)
    face = packaged("astronaut")[20:220, 120:320] * light
    small = Image.fromarray(np.clip(face, 0, 255).astype(np.uint8)).resize((160, 160))
    canvas[y : y + 160, x : x + 160] = np.asarray(small)
    return np.asarray(canvas)


def two_people() -> Pixels:
    one = packaged("astronaut")[20:220, 120:320]
    return np.concatenate([one, one[:, ::-1]], axis=1)


def far_away() -> Pixels:
    canvas = np.repeat(packaged("grass")[..., np.newaxis], 3, axis=2)
    canvas[100:148, 200:248] = np.asarray(Image.fromarray(packaged("astronaut")[20:220, 120:320]).resize((48, 48)))
    return canvas


def emoji() -> Pixels:
    image = Image.new("RGB", (300, 300), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse([15, 15, 285, 285], (240, 190, 150), "black", 4)
    for x in (100, 200):
        pen.ellipse([x - 28, 95, x + 28, 135], "white", "black", 3)
        pen.ellipse([x - 10, 103, x + 10, 127], "black")
        pen.arc([x - 35, 65, x + 35, 105], 200, 340, "black", 7)
    pen.line([150, 140, 140, 185, 160, 185], "black", 4)
    pen.chord([95, 180, 205, 250], 0, 180, (190, 40, 60), "black", 4)
    return np.asarray(image)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of a face, bright ones labelled happy and dark ones sad, and one file for each kind of issue."""
    folder = tmp_path_factory.mktemp("faces") / "scraped"
    shown = {
        **{f"happy/{n}": person(1.1 + 0.02 * n, n) for n in range(6)},
        **{f"sad/{n}": person(0.25 + 0.02 * n, 10 + n) for n in range(6)},
        "sad/wrong": person(1.2, 20),
        "sad/coffee": packaged("coffee"),
        "happy/two": two_people(),
        "happy/far": far_away(),
        "happy/cut": packaged("astronaut")[:115, 60:380],
        "happy/drawn": emoji(),
    }
    for name, image in shown.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


@pytest.fixture(scope="module")
def looked(folder: Path, brightness_bundle: Path) -> Audit:
    return audit_faces(audit(read_manifest(folder)), load(brightness_bundle))


def by_kind(found: Audit) -> dict[str, tuple[str, ...]]:
    return {issue.kind: issue.files for issue in found.issues if issue.kind in FACE_KINDS}


def mien(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_each_image_is_found_by_what_is_wrong_with_it(looked: Audit) -> None:
    assert looked.labels is not None and looked.labels.unchecked is None
    assert looked.labels.agreed == looked.labels.checked - 1
    assert by_kind(looked) == {
        "no-face": ("sad/coffee.png",),
        "several-faces": ("happy/two.png",),
        "face-too-small": ("happy/far.png",),
        "face-cut-off": ("happy/cut.png",),
        "not-a-photograph": ("happy/drawn.png",),
        "label-issue": ("sad/wrong.png",),
    }
    assert looked.left_out == {"sad/coffee.png": "no-face"}
    issue = next(issue for issue in looked.issues if issue.kind == "label-issue")
    assert issue.notes["sad/wrong.png"].startswith("labelled sad, looks happy (")
    cut = next(item for item in looked.ranked if item.kind == "face-cut-off")
    assert cut.reason.startswith("face cut off by the border; labelled happy"), "said once"


def test_the_model_looks_at_copies_under_two_labels_and_nothing_else_follows(
    folder: Path, looked: Audit, tmp_path: Path, brightness_bundle: Path
) -> None:
    data = Path(shutil.copytree(folder, tmp_path / "data"))
    one_above_another = np.concatenate([packaged("astronaut")[20:220, 120:320]] * 2)
    for label in ("happy", "sad"):
        Image.fromarray(person(1.1, 60)).save(data / label / "twice.png")
        Image.fromarray(one_above_another).save(data / label / "several.png")
    found = audit_faces(audit(read_manifest(data)), load(brightness_bundle))
    happy, sad = (found.looks[f"{label}/twice.png"].classes for label in ("happy", "sad"))
    assert happy == sad and happy[0] > 0.5, "a person who decides has its answer about both"
    assert len(found.looks["happy/several.png"].faces) == 2
    assert found.labels == looked.labels, "how often it agrees is measured without them"
    assert by_kind(found) == by_kind(looked)


def test_drawings_are_no_issue_of_a_dataset_of_drawings(tmp_path: Path, brightness_bundle: Path) -> None:
    for number in range(8):
        for label in ("happy", "sad"):
            path = tmp_path / "drawn" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            scene = np.full((300, 320, 3), 20 * number + 5 * (label == "sad"), np.uint8)
            scene[40:240, 60:260] = draw_face(label, 2 * number + (label == "sad"), 200)
            Image.fromarray(scene).save(path)
    Image.fromarray(person(1.1, 3)).save(tmp_path / "drawn" / "happy" / "photo.png")
    found = audit_faces(audit(read_manifest(tmp_path / "drawn")), load(brightness_bundle))
    assert "not-a-photograph" not in by_kind(found)
    (remark,) = found.remarks
    with_face = found.faces.keys() - found.left_out.keys()
    assert remark.endswith(f"of {len(with_face)} images look drawn, so drawings are no issue here")
    assert found.labels is not None and found.labels.checked == len(with_face)
    copy = write_clean(found, tmp_path / "clean", leave_out=())
    assert "not-a-photograph" not in copy.left_out


def test_worst_come_first(looked: Audit) -> None:
    ranks = [issue.severity.rank for issue in looked.issues]
    assert ranks == sorted(ranks)
    assert looked.issues[0].kind == "no-face"


def test_labels_that_the_model_does_not_know_are_not_judged_and_that_is_said(
    folder: Path, brightness_bundle: Path
) -> None:
    manifest = read_manifest(folder, rename={"happy": "cat", "sad": "dog"})
    looked = audit_faces(audit(manifest), load(brightness_bundle))
    assert looked.labels is not None
    assert looked.labels.unchecked == "the model 'linear' does not know all of cat, dog"
    assert by_kind(looked).keys() == FACE_KINDS - {"label-issue"}


def test_no_label_is_doubted_by_a_model_that_is_no_better_than_chance(
    folder: Path, brightness_bundle: Path, tmp_path: Path
) -> None:
    """Half of the labels are swapped: the model agrees with half of them, as anything would."""
    data = shutil.copytree(folder, tmp_path / "d")
    for number in range(0, 6, 2):
        for label, other in (("happy", "sad"), ("sad", "happy")):
            (data / label / f"{number}.png").rename(data / other / f"swapped{number}.png")
    looked = audit_faces(audit(read_manifest(data)), load(brightness_bundle))
    assert "label-issue" not in by_kind(looked) and "no-face" in by_kind(looked)
    assert looked.labels is not None and looked.labels.unchecked is not None
    assert "so it cannot tell which are wrong" in looked.labels.sentence
    assert looked.to_dict()["labels"]["unchecked"] == looked.labels.unchecked


def test_crops_are_looked_at_whole(brightness_bundle: Path, tmp_path: Path) -> None:
    for label, light in (("happy", 200), ("sad", 40)):
        (tmp_path / label).mkdir()
        for number in range(8):
            Image.new("RGB", (48, 48), (light + number,) * 3).save(tmp_path / label / f"{number}.png")
    (tmp_path / "sad" / "0.png").rename(tmp_path / "happy" / "wrong.png")
    looked = audit_whole(audit(read_manifest(tmp_path)), load(brightness_bundle))
    assert by_kind(looked) == {"label-issue": ("happy/wrong.png",)}
    assert looked.labels is not None and (looked.labels.checked, looked.labels.agreed) == (16, 15)


def test_findings_are_judged_with_what_was_known_before(folder: Path) -> None:
    known = audit(read_manifest(folder))
    names = [sample.name for sample in known.manifest.samples if sample.label == "sad"]
    found = with_findings(known, [Finding(name, "no-face", "nobody") for name in names])
    assert found.left_out == dict.fromkeys(names, "no-face")
    few = next(issue for issue in found.issues if issue.kind == "few-images")
    assert few.detail == "happy 10, sad 0"


def test_a_clean_copy_has_no_drawings_and_keeps_label_issues_unless_told(looked: Audit, tmp_path: Path) -> None:
    write_clean(looked, tmp_path / "clean")
    kept = {path.name for path in (tmp_path / "clean").rglob("*.png")}
    assert not kept & {"coffee.png", "drawn.png"}
    assert kept >= {"wrong.png", "two.png", "far.png", "cut.png"}
    write_clean(looked, tmp_path / "strict", leave_out=["label-issue", "several-faces"])
    assert kept - {path.name for path in (tmp_path / "strict").rglob("*.png")} == {"wrong.png", "two.png"}
    write_clean(looked, tmp_path / "drawn", keep=["not-a-photograph"])
    assert {path.name for path in (tmp_path / "drawn").rglob("*.png")} - kept == {"drawn.png"}


def at(x: float, y: float, scale: float = 1.0, score: float = 0.9) -> Detection:
    """A face whose eyes are 40 * scale pixels apart, its nose at (x, y)."""
    points = ((-20, -20), (20, -20), (0, 0), (-16, 20), (16, 20))
    box = Box(max(round(x - 45 * scale), 0), max(round(y - 60 * scale), 0), round(90 * scale), round(110 * scale))
    return Detection(box, tuple((x + scale * dx, y + scale * dy) for dx, dy in points), score)


@pytest.mark.parametrize(("x", "y", "cut"), [(200, 150, False), (22, 150, True), (200, 35, False), (200, 285, True),
                                             (397, 150, True), (40, 150, False)])  # fmt: skip
def test_a_face_is_cut_off_where_its_features_meet_the_border(x: float, y: float, cut: bool) -> None:
    kinds = {kind for kind, *_ in face_issues([at(x, y)], 400, 300)}
    assert kinds == ({"face-cut-off"} if cut else set())


def test_only_faces_of_like_size_that_are_as_sure_count_as_several() -> None:
    largest = at(100, 150)
    for other, several in [(at(300, 150, 0.9), True), (at(300, 150, 0.5), False), (at(300, 150, 0.9, 0.66), False)]:
        assert bool(face_issues([largest, other], 400, 300)) == several


def test_a_small_face_in_a_large_photograph_is_found_and_framed(tmp_path: Path, brightness_bundle: Path) -> None:
    """The face is 35 pixels wide in 24 million, and lost where a JPEG is decoded small."""
    ground = Image.fromarray(packaged("grass")).convert("RGB").resize((6000, 4000), Image.Resampling.BICUBIC)
    ground.paste(Image.fromarray(packaged("astronaut")).resize((200, 200), Image.Resampling.LANCZOS), (3600, 2000))
    (tmp_path / "sad").mkdir()
    ground.save(tmp_path / "sad" / "far.jpg", quality=92)
    known = audit(read_manifest(tmp_path))
    reader = load(brightness_bundle)
    assert "no-face" not in by_kind(audit_faces(known, reader))
    _, regions = find_faces(known, reader.detector)
    region = regions["sad/far.jpg"]
    assert (region.x, region.y) == pytest.approx((3600 + 222 / 512 * 200, 2000 + 125 / 512 * 200), abs=15)


def test_every_kind_is_in_the_catalogue() -> None:
    assert ISSUE_KINDS.keys() >= FACE_KINDS
    assert ISSUE_KINDS["no-face"].severity is Severity.ERROR


def test_the_command_writes_table_json_csv_and_sheet(
    folder: Path, brightness_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, table = tmp_path / "sheet.png", tmp_path / "issues.csv"
    status = mien("check", folder, "--model", brightness_bundle, "--sheet", sheet, "--csv", table,
                  "--json", tmp_path / "issues.json")  # fmt: skip
    assert status == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out.index("no face found") < out.index("label probably wrong")
    rows = {(row["file"], row["kind"]): row for row in csv.DictReader(io.StringIO(table.read_text()))}
    assert rows["sad/wrong.png", "label-issue"]["label"] == "sad"
    assert rows["sad/coffee.png", "no-face"]["severity"] == "error"
    issues = {issue["kind"]: issue for issue in json.loads((tmp_path / "issues.json").read_text())["issues"]}
    assert issues["face-too-small"]["notes"].keys() == {"happy/far.png"}
    with Image.open(sheet) as image:
        assert image.width > 500
        assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 1000  # there are photographs on it


@pytest.mark.parametrize("option", ["--quick", "--no-detect"])
def test_nothing_looks_for_faces_if_told_so(option: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mien("check", folder, option, "--json", "-")
    assert not {issue["kind"] for issue in json.loads(capsys.readouterr().out)["issues"]} & FACE_KINDS


def test_a_broken_file_among_the_images_is_still_reported(
    folder: Path, brightness_bundle: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(folder, tmp_path / "d")
    (copy / "sad" / "empty.jpg").write_bytes(b"")
    looked = audit_faces(audit(read_manifest(copy)), load(brightness_bundle))
    assert looked.left_out == {"sad/empty.jpg": "zero-bytes", "sad/coffee.png": "no-face"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--quick", "--model", "mien"], "--quick checks the files alone"),
        (["--quick", "--detect", "yes"], "--quick checks the files alone"),
        (["--leave-out", "label-issue"], "--write-clean"),
        (["--write-clean", "OUT", "--leave-out", "labels"], "is not a kind of issue"),
        (["--keep", "near-duplicate"], "--write-clean"),
        (["--write-clean", "OUT", "--keep", "label-issue"], "is for near-duplicate and not-a-photograph"),
        (["--write-clean", "OUT", "--keep", "drawings"], "is not a kind of issue"),
        (["--sheet", "sheet.jpg"], "must end in .png"),
        (["--json", "-", "--csv", "-"], "standard output"),
    ],
)
def test_bad_calls_are_one_line(
    folder: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert mien("check", folder, *[str(tmp_path / "out") if a == "OUT" else a for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mien: ")
    assert err.count("\n") == 1
    assert said in err

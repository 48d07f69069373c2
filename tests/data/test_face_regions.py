"""The face that a person chose is the one that is trained on, evaluated and checked."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from mien.data.audit import audit
from mien.data.dataset import Manifest, read_manifest
from mien.data.face_audit import audit_faces
from mien.data.face_regions import find_faces
from mien.data.fixes.records import FILE_NAME, Fix
from mien.data.fixes.store import FixesFile
from mien.evaluation.scoring import score
from mien.faces.choice import same_face
from mien.faces.crop import face_region
from mien.faces.detector import Detector
from mien.inference.reader import load
from mien.results import Box
from mien.training.source import TrainingSource

TWO = "sad/two.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person twice side by side, the left one larger; one alone; and a texture."""
    folder = tmp_path_factory.mktemp("chosen")
    for label in ("happy", "sad"):
        (folder / label).mkdir()
    face = np.asarray(skimage.data.astronaut())[20:220, 120:320]  # type: ignore[no-untyped-call]
    small = np.full((200, 160, 3), 90, np.uint8)
    small[20:180] = np.asarray(Image.fromarray(face).resize((160, 160)))
    Image.fromarray(np.concatenate([face, small], axis=1)).save(folder / TWO)
    Image.fromarray(face).save(folder / "happy" / "one.png")
    Image.fromarray(np.asarray(skimage.data.grass())).save(folder / "sad" / "grass.png")  # type: ignore[no-untyped-call]
    return folder


def decided(folder: Path, name: str, face: Box | None) -> Manifest:
    """Return the data with this decision alone."""
    path = folder / FILE_NAME
    path.unlink(missing_ok=True)
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    FixesFile(path).append([Fix(digest, name, "keep", "sad", "sad", face)])
    return read_manifest(folder)


def test_the_chosen_face_is_cropped_read_and_no_longer_asked_about(folder: Path) -> None:
    reader = load(faces="largest", detect=True)
    plain = read_manifest(folder, fixes=False)
    known = audit_faces(audit(plain), reader)
    largest, other = known.looks[TWO].faces
    assert "several-faces" in {issue.kind for issue in known.issues}
    manifest = decided(folder, TWO, other)
    _, regions = find_faces(audit(manifest), Detector(threads=1))
    middle = other.x + other.width / 2
    assert abs(regions[TWO].x - middle) < 5
    found = audit_faces(audit(manifest), reader)
    assert same_face(found.faces[TWO], other)
    assert "several-faces" not in {issue.kind for issue in found.issues}
    boxes = [
        dict(zip(scored.names, scored.detections or (), strict=True))[TWO]
        for scored in (score(reader, plain), score(reader, manifest))
    ]
    for box, wanted in zip(boxes, (largest, other), strict=True):
        assert box is not None
        assert same_face(box.box, wanted)


def test_a_face_that_is_not_found_is_taken_as_it_was_drawn(folder: Path) -> None:
    manifest = decided(folder, "sad/grass.png", Box(100, 150, 80, 100))
    _, regions = find_faces(audit(manifest), Detector(threads=1))
    region = regions["sad/grass.png"]
    assert (region.x, region.y, region.angle) == (140, 200, 0)


def test_an_image_without_a_face_that_was_kept_is_used_whole(folder: Path) -> None:
    before, _ = find_faces(audit(read_manifest(folder, fixes=False)), Detector(threads=1))
    assert before.left_out["sad/grass.png"] == "no-face"
    after, regions = find_faces(audit(decided(folder, "sad/grass.png", None)), Detector(threads=1))
    assert "sad/grass.png" not in after.left_out
    assert regions["sad/grass.png"].side == 512


def test_a_run_keeps_the_decisions_that_it_began_with(folder: Path) -> None:
    decided(folder, TWO, Box(1, 2, 30, 40))
    stored = TrainingSource(folder).to_dict()
    (folder / FILE_NAME).unlink()
    again = TrainingSource.from_dict(stored).manifest
    assert again.fixes is not None
    assert again.fixes.faces == {TWO: Box(1, 2, 30, 40)}
    assert TrainingSource(folder, fixes=False).to_dict()["fixes"] == []


def test_the_region_to_train_on_is_that_of_the_face_that_is_read(tmp_path: Path) -> None:
    """A photograph that one quick look is enough for, to find its largest face."""
    head = Image.fromarray(skimage.data.astronaut()).crop((60, 0, 460, 400)).resize((1024, 1024))  # type: ignore[no-untyped-call]
    for label, image in (("happy", head), ("sad", head.transpose(Image.Transpose.FLIP_LEFT_RIGHT))):
        (tmp_path / label).mkdir()
        image.save(tmp_path / label / "photo.jpg", quality=90)
    _, regions = find_faces(audit(read_manifest(tmp_path)), Detector(threads=1))
    (found,) = load(faces="largest", detect=True).preprocess(tmp_path / "sad" / "photo.jpg").detections
    assert found is not None
    assert regions["sad/photo.jpg"] == face_region(found)
    (usual,) = load(detect=True).preprocess(tmp_path / "sad" / "photo.jpg").detections
    assert usual is not None
    assert same_face(found.box, usual.box)

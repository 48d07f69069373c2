"""The summary of where a model looks: on faces that it reads, and on marks that give the class away."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mien
from mien.data.dataset import read_manifest
from mien.errors import DataError
from mien.explanation.attention import summarise_attention
from mien.explanation.attention_figures import mean_map
from mien.explanation.regions import (
    BORDER_CELLS,
    CANONICAL,
    REGIONS,
    align,
    border_cells,
    landmarks_in_crop,
    region_masks,
    similarity_to_canonical,
)
from mien.explanation.sampling import label_indices, sample_crops
from mien.faces.crop import face_region
from mien.report.document import Gallery, Table
from mien.report.sections.attention import attention_section

MakeBundle = Callable[..., Path]
Crops = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def reader(make_bundle: MakeBundle) -> mien.Reader:
    return mien.load(make_bundle(size=48, channels=1, maps=True), threads=1)


def spot(x: float, y: float, radius: float = 3) -> Callable[[Crops, Labels], npt.NDArray[np.float32]]:
    """An explainer that points at one place of every crop, given in shares of its side."""
    rows, columns = np.mgrid[:48, :48] + 0.5
    heat = ((columns - 48 * x) ** 2 + (rows - 48 * y) ** 2 <= radius**2).astype(np.float32)
    return lambda crops, labels: np.repeat(heat[None], len(crops), axis=0)


CROPS = np.random.default_rng(0).integers(0, 256, (24, 48, 48, 1), np.uint8)
TRUTH = np.arange(24) % 2
PLACES = {
    "mouth": (0.5, 0.77),
    "eyes": (0.31, 0.37),
    "brows": (0.69, 0.26),
    "nose": (0.5, 0.5),
    "background": (0.06, 0.06),
}


@pytest.mark.parametrize("region", PLACES)
def test_attention_is_counted_where_it_lies(reader: mien.Reader, region: str) -> None:
    found = summarise_attention(reader, CROPS, TRUTH, ("happy", "sad"), explainer=spot(*PLACES[region], 1.5))
    for one in found.classes:
        assert one.shares[region].value > 0.9
        assert sum(share.value for share in one.shares.values()) == pytest.approx(1)
        assert one.images == 12


@pytest.mark.parametrize("size", [16, 48, 100])
def test_every_pixel_is_in_one_region_and_one_rim_cell_at_most(size: int) -> None:
    masks = region_masks(size)
    assert tuple(masks) == REGIONS
    assert (np.sum(list(masks.values()), axis=0) == 1).all()
    cells = border_cells(size)
    together = np.sum(list(cells.values()), axis=0)
    assert together.max() == 1 and not together[~masks["background"]].any()
    corners = [name for name in cells if name.endswith("corner")]
    assert len(corners) == 4 and len(cells) >= 10
    assert cells["lower left corner"][-1, 0] and cells["upper right corner"][0, -1]
    assert min(cell.sum() for cell in cells.values()) > (size / BORDER_CELLS) ** 2 / 4


def test_a_network_that_looks_at_faces_is_said_to(reader: mien.Reader) -> None:
    found = summarise_attention(reader, CROPS, TRUTH, ("happy", "sad"), explainer=spot(0.5, 0.77, 5))
    assert not found.shortcut
    assert "looks at faces" in found.conclusion and "at the mouth" in found.conclusion


def test_a_mark_in_the_corner_of_one_class_is_named(reader: mien.Reader) -> None:
    face, mark = spot(0.5, 0.7, 8), spot(0.95, 0.95, 3)

    def shortcut(crops: Crops, labels: Labels) -> npt.NDArray[np.float32]:
        return np.where((labels == 1)[:, None, None], mark(crops, labels), face(crops, labels))

    found = summarise_attention(reader, CROPS, TRUTH, ("happy", "sad"), explainer=shortcut)
    assert [one.shortcut for one in found.classes] == [False, True]
    assert found.classes[1].border_peak[0] == "lower right corner"
    assert "for sad concentrates in the lower right corner" in found.conclusion
    assert attention_section(found).parts[-1].kind == "warning"  # type: ignore[union-attr]


def test_a_few_images_are_no_shortcut(reader: mien.Reader) -> None:
    mark = spot(0.95, 0.95, 3)
    found = summarise_attention(reader, CROPS[:6], TRUTH[:6], ("happy", "sad"), explainer=mark)
    assert found.classes[0].border_peak[1] > 5
    assert not found.shortcut
    assert "hortcut was not looked for: that takes 10 images of each class." in found.conclusion


def test_a_cell_that_only_some_images_point_at_is_no_shortcut(reader: mien.Reader) -> None:
    face, mark = spot(0.5, 0.7, 8), spot(0.95, 0.95, 3)

    def sometimes(crops: Crops, labels: Labels) -> npt.NDArray[np.float32]:
        return np.where((np.arange(len(crops)) < 4)[:, None, None], mark(crops, labels), face(crops, labels))

    found = summarise_attention(reader, CROPS, TRUTH, ("happy", "sad"), explainer=sometimes)
    name, density = found.classes[0].border_peak
    assert density >= 2
    assert found.classes[0].border_intervals[name][0] < 1
    assert not found.shortcut


def test_evidence_beside_the_face_is_named_even_where_no_cell_stands_out(reader: mien.Reader) -> None:
    off = region_masks(48)["background"].astype(np.float32)
    found = summarise_attention(
        reader, CROPS, TRUTH, ("happy", "sad"), explainer=lambda crops, labels: np.repeat(off[None], len(crops), 0)
    )
    assert found.shortcut and "lies beside the face" in found.conclusion


def test_an_even_spread_is_no_shortcut_and_no_evidence_is_counted(reader: mien.Reader) -> None:
    even = summarise_attention(
        reader, CROPS, TRUTH, ("happy", "sad"), explainer=lambda c, labels: np.ones(c.shape[:3], np.float32)
    )
    assert not even.shortcut
    for share in even.classes[0].shares.values():
        assert share.density == pytest.approx(1, abs=0.01)
    none = summarise_attention(
        reader, CROPS, TRUTH, ("happy", "sad"), explainer=lambda c, labels: np.zeros(c.shape[:3], np.float32)
    )
    assert (none.classes[0].images, none.classes[0].without_evidence) == (0, 12)
    assert not none.shortcut and "No evidence" in none.conclusion


def test_it_is_plain_json_and_a_section(reader: mien.Reader) -> None:
    found = summarise_attention(reader, CROPS, TRUTH, ("happy", "sad"))
    kept = json.loads(json.dumps(found.to_dict()))
    assert kept["method"] == "cam" and kept["classes"].keys() == {"happy", "sad"}
    section = attention_section(found)
    gallery, table = section.parts[:2]
    assert isinstance(gallery, Gallery) and isinstance(table, Table)
    assert gallery.images[0].png.startswith(b"\x89PNG")
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert mean_map(found.classes[0]).size == (192, 192)


def test_there_must_be_crops(reader: mien.Reader) -> None:
    with pytest.raises(DataError, match="no crops"):
        summarise_attention(reader, CROPS[:0], TRUTH[:0], ("happy", "sad"))


def test_a_class_that_is_no_label_is_explained_by_one_that_it_is_made_of(three_way: Path) -> None:
    reader = mien.load(three_way, threads=1)
    labels = reader.config.labels
    names = ["happy", "neither", "sad", "neither"] * 6
    found = [labels[index] for index in label_indices(reader, CROPS, names)]
    assert found[::2] == ["happy", "sad"] * 6
    assert not {"happy", "sad"} & set(found[1::2])


# Alignment


@given(st.floats(-40, 40), st.floats(0.6, 1.6), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_any_turned_scaled_and_shifted_face_is_brought_to_the_canonical_one(
    turn: float, scale: float, x: float, y: float
) -> None:
    cos, sin = scale * np.cos(np.radians(turn)), scale * np.sin(np.radians(turn))
    points = CANONICAL @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
    a, b, u, v = similarity_to_canonical(points)
    back = points @ np.array([[a, b], [-b, a]]) + (u, v)
    np.testing.assert_allclose(back, CANONICAL, atol=1e-6)


def test_values_move_with_the_landmarks() -> None:
    shift = np.array([0.1, -0.05])
    rows, columns = np.mgrid[:80, :80] + 0.5
    points = (CANONICAL - 0.5) * 0.8 + 0.5 + shift
    for point, goal in zip(points, CANONICAL, strict=True):
        bump = np.exp(-((columns - 80 * point[0]) ** 2 + (rows - 80 * point[1]) ** 2) / 18).astype(np.float32)
        moved = align(bump, points)
        row, column = np.unravel_index(moved.argmax(), moved.shape)
        np.testing.assert_allclose([(column + 0.5) / 80, (row + 0.5) / 80], goal, atol=0.02)


def test_landmarks_on_one_spot_move_nothing() -> None:
    values = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    np.testing.assert_array_equal(align(values, np.full((5, 2), 0.5)), values)


@pytest.mark.parametrize("degrees", [0, 90, 180])
def test_the_detectors_landmarks_lie_near_the_canonical_places(degrees: int, make_bundle: MakeBundle) -> None:
    image = np.rot90(skimage.data.astronaut(), -degrees // 90)  # type: ignore[no-untyped-call]
    reader = mien.load(make_bundle(framing="face"), threads=1)
    found = reader.detector(np.ascontiguousarray(image))[0]
    points = landmarks_in_crop(found.landmarks, face_region(found).corners)
    np.testing.assert_allclose(points, CANONICAL, atol=0.1)


# Data


def test_crops_are_drawn_evenly_from_the_classes(tmp_path: Path, make_bundle: MakeBundle) -> None:
    face = Image.fromarray(skimage.data.astronaut()[:260, 90:350])  # type: ignore[no-untyped-call]
    for label, count in (("happy", 5), ("sad", 2)):
        (tmp_path / label).mkdir()
        for number in range(count):
            face.rotate(number).save(tmp_path / label / f"{number}.png")
    (tmp_path / "sad" / "broken.png").write_bytes(b"x")
    Image.new("RGB", (64, 64)).save(tmp_path / "sad" / "black.png")
    manifest = read_manifest(tmp_path)
    reader = mien.load(make_bundle(framing="face"), threads=1, faces="largest")
    found = sample_crops(reader, manifest, 8)
    assert np.bincount(found.truth).tolist() == [4, 2]
    assert found.crops.shape == (6, 16, 16, 3) and all(found.detections)
    summary = summarise_attention(reader, found.crops, found.truth, manifest.classes, found.detections)
    assert summary.aligned == 6
    whole = sample_crops(reader.variant(detect=False), manifest, 8)
    assert len(whole) == 7 and not any(whole.detections)


def test_data_without_any_face_is_one_line(tmp_path: Path, make_bundle: MakeBundle) -> None:
    for label in ("happy", "sad"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (64, 64)).save(tmp_path / label / "black.png")
    reader = mien.load(make_bundle(framing="face"), threads=1)
    with pytest.raises(DataError, match=r"no face was found in any of 2 images.*`detect=False`"):
        sample_crops(reader, read_manifest(tmp_path), 10)

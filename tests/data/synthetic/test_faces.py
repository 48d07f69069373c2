"""The drawings: repeatable, varied, and told apart by the mouth, the brows and the eyes alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mien.data.synthetic.faces import EXPRESSIONS, draw_face, write_dataset
from mien.errors import InputError

Pixels = NDArray[np.uint8]


def grey(image: Pixels, size: int) -> Pixels:
    return np.asarray(Image.fromarray(image).convert("L").resize((size, size), Image.Resampling.BILINEAR))


def drawn(count: int, first: int = 0) -> tuple[Pixels, Pixels]:
    """`count` drawings, 48x48 grey, half happy (0) and half sad (1), each of another person."""
    labels = np.arange(count) % 2
    names = ("happy", "sad")
    images = [grey(draw_face(names[k], first + i), 48) for i, k in enumerate(labels)]
    return np.stack(images), labels.astype(np.uint8)


@settings(max_examples=20)
@given(st.sampled_from(EXPRESSIONS), st.integers(0, 2**64 - 1), st.integers(24, 128))
def test_any_seed_and_size_gives_the_same_image_twice(expression: str, seed: int, size: int) -> None:
    image = draw_face(expression, seed, size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(image, draw_face(expression, seed, size))


def test_a_drawing_does_not_depend_on_what_was_drawn_before_nor_on_the_global_generator() -> None:
    alone = draw_face("sad", 5)
    draw_face("happy", 6)
    state = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    assert np.array_equal(draw_face("sad", 5), alone)
    assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]  # noqa: NPY002


def test_other_seeds_are_other_people() -> None:
    faces = np.stack([draw_face("happy", seed, 48) for seed in range(30)]).astype(float)
    apart = np.abs(faces[:, None] - faces[None]).mean(axis=(2, 3, 4))
    assert apart[~np.eye(30, dtype=bool)].min() > 10  # grey levels


@pytest.mark.parametrize("seed", range(40))
def test_the_expression_changes_the_middle_of_the_face_and_nothing_else(seed: int) -> None:
    happy, sad = (draw_face(name, seed).astype(int) for name in ("happy", "sad"))
    changed = np.abs(happy - sad).max(axis=2) > 0
    rows, columns = np.nonzero(changed)
    assert changed.any()
    # Forehead, hair, hat, neck, shoulders and backdrop: pixel for pixel the same image.
    assert changed.mean() < 0.25
    assert rows.min() > 10
    assert columns.min() > 10
    assert columns.max() < 86


def test_an_image_without_the_face_says_nothing_of_its_class() -> None:
    """Brightness and colour of the border, over 300 images per class, differ by chance only."""
    borders = {}
    for k, name in enumerate(("happy", "sad")):
        faces = np.stack([draw_face(name, 10_000 * (k + 1) + i, 48) for i in range(300)]).astype(float)
        edge = np.concatenate([faces[:, :4].reshape(300, -1, 3), faces[:, :, :4].reshape(300, -1, 3)], axis=1)
        borders[name] = edge.mean(axis=1)
    gap = borders["happy"].mean(axis=0) - borders["sad"].mean(axis=0)
    error = np.sqrt(sum(b.var(axis=0) / 300 for b in borders.values()))
    assert (np.abs(gap) < 4 * error).all()


def test_the_mouth_changes_most_and_the_backdrop_not_at_all() -> None:
    """Over 200 people, each drawn happy and sad."""
    pairs = [[draw_face(name, seed, 96).astype(float).mean(axis=2) for name in ("happy", "sad")] for seed in range(200)]
    change = np.abs(np.array(pairs)[:, 0] - np.array(pairs)[:, 1]).mean(axis=0)
    mouth, background = change[60:80, 36:60].mean(), change[:10].mean()
    assert mouth > 10  # grey levels, of 255
    assert background == 0


def test_skin_runs_from_dark_to_light() -> None:
    cheeks = [draw_face("neutral", seed)[44:60, 40:56].mean() for seed in range(120)]
    low, high = np.percentile(cheeks, [10, 90])
    assert high - low > 60


def test_a_linear_model_on_the_pixels_cannot_tell_the_classes_apart() -> None:
    from sklearn.linear_model import LogisticRegression

    images, labels = drawn(800)
    pixels = images.reshape(800, -1) / 255.0
    model = LogisticRegression(C=0.01, max_iter=1000).fit(pixels[:600], labels[:600])
    assert model.score(pixels[600:], labels[600:]) <= 0.85


def test_a_neighbour_in_pixels_is_no_better() -> None:
    """No image has a near copy that would give its class away."""
    images, labels = drawn(400, first=5_000)
    flat = images.reshape(400, -1).astype(float)
    apart = (flat**2).sum(1)[:, None] + (flat**2).sum(1)[None] - 2 * flat @ flat.T
    np.fill_diagonal(apart, np.inf)
    assert (labels[apart.argmin(axis=1)] == labels).mean() <= 0.85


@pytest.mark.parametrize(
    ("expression", "seed", "size", "named"),
    [("angry", 0, 96, "angry"), ("happy", -1, 96, "-1"), ("sad", 0, 8, "8"), ("sad", 0, 5000, "5000")],
)
def test_bad_arguments_are_named(expression: str, seed: int, size: int, named: str) -> None:
    with pytest.raises(InputError, match=named):
        draw_face(expression, seed, size)


def test_a_dataset_is_class_folders_of_readable_images(tmp_path: Path) -> None:
    calls = []
    files = write_dataset(tmp_path / "faces", 40, seed=3, size=48, on_file=lambda: calls.append(1))
    assert len(calls) == len(files) == 80
    assert sorted(files) == sorted(p for p in (tmp_path / "faces").rglob("*") if p.is_file())
    assert [p.parent.name for p in files] == ["happy"] * 40 + ["sad"] * 40
    assert files[0].stem == "happy-00001"
    formats = []
    for path in files:
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((48, 48), "RGB")
            formats.append(image.format)
            assert image.format == {".jpg": "JPEG", ".png": "PNG"}[path.suffix]
    assert 0 < formats.count("PNG") < 30


def test_a_dataset_is_repeatable_and_grows_without_changing(tmp_path: Path) -> None:
    small = write_dataset(tmp_path / "small", 3, seed=1, size=32)
    large = write_dataset(tmp_path / "large", 5, seed=1, size=32)
    other = write_dataset(tmp_path / "other", 3, seed=2, size=32)
    by_name = {p.name: p.read_bytes() for p in large}
    assert all(by_name[p.name] == p.read_bytes() for p in small)
    assert not {p.read_bytes() for p in small} & {p.read_bytes() for p in other}
    assert len(set(by_name.values())) == 10


def test_a_class_does_not_depend_on_the_classes_beside_it(tmp_path: Path) -> None:
    both = write_dataset(tmp_path / "both", 2, size=32)
    three = write_dataset(tmp_path / "three", 2, size=32, classes=("neutral", "sad", "happy"))
    assert {p.name for p in three} > {p.name for p in both}
    assert three[2].read_bytes() == both[2].read_bytes()


def test_dataset_arguments_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    with pytest.raises(InputError, match="per_class is 0"):
        write_dataset(folder, 0)
    with pytest.raises(InputError, match="angry"):
        write_dataset(folder, 1, classes=("happy", "angry"))
    with pytest.raises(InputError, match="each once"):
        write_dataset(folder, 1, classes=("happy", "happy"))
    with pytest.raises(InputError, match="at least one"):
        write_dataset(folder, 1, classes=())
    with pytest.raises(InputError, match="seed"):
        write_dataset(folder, 1, seed=-1)
    assert not folder.exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sad").mkdir()
    (tmp_path / "sad" / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(InputError, match="already holds files"):
        write_dataset(tmp_path, 1)
    assert [p.name for p in tmp_path.rglob("*")] == ["sad", "mine.txt"]

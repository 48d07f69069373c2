from pathlib import Path

import numpy as np

from mien.data.dataset import read_manifest
from mien.faces.crop import crop
from mien.io.images.decoding import load_image
from mien.training.loop.batches import BatchLoader, TrainingArrays
from mien.training.loop.cache import cached_crops


def split(count: int = 10) -> TrainingArrays:
    crops = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1) * np.ones((1, 4, 4, 1), np.uint8)
    rows = np.arange(count) * 2
    targets = np.eye(2, dtype=np.float32)[rows // 2 % 2]
    return TrainingArrays(crops, rows, targets, np.ones(count, np.float32))


def test_an_epoch_holds_every_image_once_with_its_label() -> None:
    loader = BatchLoader(split(), 4, seed=3, epoch=0, one_unit=True)
    batches = list(loader)
    assert [len(batch[0]) for batch in batches] == [4, 4, 2]
    images = np.concatenate([batch[0][:, 0, 0, 0] for batch in batches])
    targets = np.concatenate([batch[1][:, 0] for batch in batches])
    assert sorted(images) == [float(2 * i) for i in range(10)]
    np.testing.assert_array_equal(targets, images // 2 % 2)


def test_images_are_copied_as_bytes_unless_mixup_blends_them(tmp_path: Path) -> None:
    whole = split()
    np.save(tmp_path / "crops.npy", whole.crops)
    stored = TrainingArrays(np.load(tmp_path / "crops.npy", mmap_mode="r"), whole.rows, whole.targets, whole.weights)
    for mixup, kind in ((0.0, np.uint8), (1.0, np.float32)):
        images, targets, weights = BatchLoader(stored, 4, seed=3, epoch=0, one_unit=True, mixup=mixup).batch(0)
        assert type(images) is np.ndarray
        assert [str(one.dtype) for one in (images, targets, weights)] == [np.dtype(kind).name, "float32", "float32"]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int | None) -> list[float]:
        loader = BatchLoader(split(), 10, seed, epoch, one_unit=False)
        return list(loader._order)

    assert order(1, 5) == order(1, 5)
    assert order(1, 5) != order(1, 6)
    assert order(1, 5) != order(2, 5)
    assert order(1, None) == list(range(10))


def test_mixup_blends_images_and_targets_by_the_same_share() -> None:
    """Images of split() are 0, 2, 4, … and their targets follow from them, so the blend of one tells of the other."""
    two = split(2)  # values 0 and 2 of classes 0 and 1
    mixed = BatchLoader(two, 2, seed=0, epoch=0, one_unit=True, mixup=1.0)
    shares = []
    for epoch in range(40):
        ((images, targets, weights),) = list(BatchLoader(two, 2, 0, epoch, one_unit=True, mixup=1.0))
        np.testing.assert_allclose(images[:, 0, 0, 0] / 2, targets[:, 0], atol=1e-6)
        np.testing.assert_allclose(weights, 1, atol=1e-6)
        shares += list(targets[:, 0])
    assert 0.2 < np.mean([0.01 < share < 0.99 for share in shares]) < 0.8  # half of them meet themselves
    np.testing.assert_array_equal(mixed.batch(0)[0], BatchLoader(two, 2, 0, 0, one_unit=True, mixup=1.0).batch(0)[0])


def test_the_cache_holds_the_readers_own_crops_and_is_written_once(faces: Path, tmp_path: Path) -> None:
    manifest = read_manifest(faces)
    found = cached_crops(manifest, 32, 1, tmp_path)
    name = manifest.samples[7].name
    np.testing.assert_array_equal(found[7], crop(load_image(faces / name), 32, 1))
    (written,) = tmp_path.iterdir()
    before = written.read_bytes()
    written.write_bytes(before[:-1] + bytes([before[-1] ^ 255]))  # a marker: written again, it would vanish
    assert cached_crops(manifest, 32, 1, tmp_path)[-1, -1, -1, -1] == before[-1] ^ 255
    assert len(list(tmp_path.iterdir())) == 1
    assert isinstance(cached_crops(manifest, 16, 3, tmp_path), np.memmap)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_changed_image_is_decoded_again(tmp_path: Path) -> None:
    from PIL import Image

    for label, value in (("a", 10), ("b", 200)):
        (tmp_path / "data" / label).mkdir(parents=True)
        Image.new("RGB", (40, 40), (value,) * 3).save(tmp_path / "data" / label / "x.png")
    first = np.array(cached_crops(read_manifest(tmp_path / "data"), 16, 1, tmp_path / "cache"))
    Image.new("RGB", (41, 40), (90,) * 3).save(tmp_path / "data" / "a" / "x.png")
    second = np.array(cached_crops(read_manifest(tmp_path / "data"), 16, 1, tmp_path / "cache"))
    assert first[0, 0, 0, 0] == 10
    assert second[0, 0, 0, 0] == 90

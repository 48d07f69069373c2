"""Augmented views of the training faces, and what the teachers say about each of them.

A student learns most from teachers who see the very view that it sees, mirror image and damage included (Beyer et al.,
"Knowledge distillation: A good teacher is patient and consistent", 2022). So every training face is augmented a number
of times, once and for all, and the teachers answer once for each view. Every file is whole or absent: an interrupted
call goes on where it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from fer_targets import Faces

from mien.arrays import Float32, UInt8
from mien.io.atomic import new_file
from mien.training.augmentation.levels import Augmentation
from mien.training.augmentation.pipeline import augmentation_layers
from mien.training.loop.batches import TrainingArrays
from mien.training.networks.networks import logits_of, training_copy

BATCH = 256
TEACHERS_SHARE = 0.5  # of the targets
SAME_VIEW = 0.05  # mean difference of these grey levels: processors round differently


def make_views(faces: Faces, views: Sequence[Augmentation], folder: Path) -> None:
    """Write `view-K.npy`, uint8 (N, 48, 48, 1), for each view of the N training faces."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, transforms in enumerate(views):
        path = folder / f"view-{number}.npy"
        if path.exists():
            continue
        keras.utils.set_random_seed(number)
        augment = augmentation_layers(transforms, seed=1000 * (number + 1))
        _save(path, np.concatenate([_augmented(augment, batch) for batch in _batches(faces.train_images())]))


def _augmented(augment: Sequence[Any], images: UInt8) -> UInt8:
    x = images.astype(np.float32)
    for layer in augment:
        x = layer(x, training=True)
    return np.clip(np.rint(np.asarray(x)), 0, 255).astype(np.uint8)


def ask(name: str, teacher: Any, folder: Path, precision: str) -> None:
    """Write `NAME-K.npy`, uint8 (N, classes): a teacher's probabilities for each view and its mirror image, in 255ths.

    It computes with the `precision` that it was trained with.
    """
    predict = training_copy(logits_of(teacher), precision)
    for view in sorted(folder.glob("view-*.npy")):
        path = view.with_name(view.name.replace("view", name))
        if not path.exists():
            images = np.load(view, mmap_mode="r")
            _save(path, np.concatenate([_answers(predict, batch) for batch in _batches(images)]))


def publish(names: Sequence[str], folder: Path, path: Path) -> None:
    """Write what the teachers said to one file, with mean grey levels by which `adopt` knows the views again."""
    views = sorted(folder.glob("view-*.npy"))
    said: dict[str, Any] = {"means": _means(views)}
    for name in names:
        said[name] = np.stack([np.load(view.with_name(view.name.replace("view", name))) for view in views])
    with new_file(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, **said)


def adopt(path: Path, folder: Path) -> None:
    """Write `NAME-K.npy` from a file of `publish`; ValueError if the views are not those that the teachers saw."""
    views = sorted(folder.glob("view-*.npy"))
    with np.load(path) as found:
        means = _means(views)
        if found["means"].shape != means.shape or np.abs(found["means"] - means).mean() > SAME_VIEW:
            raise ValueError(f"{path}: the teachers saw other views than those of {folder}; train the teachers")
        for name in found.files:
            for view, answers in zip(views, found[name], strict=True):
                if name != "means":
                    _save(view.with_name(view.name.replace("view", name)), answers)


def _means(views: Sequence[Path]) -> Float32:
    """Return the mean grey level of every hundredth face in each view."""
    faces = [np.load(view, mmap_mode="r")[::100] for view in views]
    return np.stack([some.mean(axis=(1, 2, 3), dtype=np.float32) for some in faces])


def _answers(predict: Any, images: UInt8) -> Any:
    both = np.concatenate([images, images[:, :, ::-1]]).astype(np.float32)
    said = keras.ops.softmax(predict.predict_on_batch(both))
    return np.rint(255 * np.asarray(said).reshape(2, len(images), -1).mean(axis=0)).astype(np.uint8)


def _batches(images: UInt8) -> Sequence[UInt8]:
    return [np.asarray(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]


def _save(path: Path, array: Any) -> None:
    with new_file(path) as part, part.open("wb") as stream:
        np.save(stream, array)


@dataclass(frozen=True)
class TaughtViews(TrainingArrays):
    """The training faces in another view at each epoch, with targets that are half those of the teachers.

    Attributes:
        views: uint8 (N, 48, 48, 1), each view of the same faces.
        taught: float32 (N, K), the targets of each view.
    """

    views: tuple[UInt8, ...] = ()
    taught: tuple[Float32, ...] = ()

    def of_epoch(self, epoch: int) -> TrainingArrays:
        """Return the view of an epoch: each in turn, then the mirror image of each, about which teachers say the same.

        The last epochs see the last views.
        """
        passes, number = divmod(epoch, len(self.views))
        view = self.views[number] if passes % 2 == 0 else self.views[number][:, :, ::-1]
        return TrainingArrays(view, self.rows, self.taught[number], self.weights)


def read_views(faces: Faces, folder: Path, teachers: Sequence[str], first: int = 0) -> TaughtViews:
    """Return the training faces with their views, from number `first` on, and the teachers' answers."""
    views, taught = [], []
    own = faces.train_targets()
    for number in range(first, len(list(folder.glob("view-*.npy")))):
        views.append(np.load(folder / f"view-{number}.npy", mmap_mode="r"))
        said: Mapping[str, Any] = {name: np.load(folder / f"{name}-{number}.npy") for name in teachers}
        shares = [answers / answers.sum(axis=1, keepdims=True, dtype=np.float32) for answers in said.values()]
        mean = np.mean(shares, axis=0, dtype=np.float32)
        taught.append(TEACHERS_SHARE * mean + (1 - TEACHERS_SHARE) * own)
    rows = np.arange(len(own))
    return TaughtViews(views[0], rows, own, np.ones(len(own), np.float32), tuple(views), tuple(taught))

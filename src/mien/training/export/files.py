"""Compare a bundle with its Keras model from files: each side decodes and resizes by its own loader."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mien.arrays import Float32, Float64
from mien.errors import ExportError
from mien.faces.resize import Fit, ResizeMethod
from mien.inference.reader import Reader
from mien.io.images.formats import open_listed
from mien.io.images.pixels import orientation
from mien.io.sniffing import is_image_name
from mien.io.sources import FolderSource
from mien.training.export.output import as_probabilities, read_output, run
from mien.training.export.scaling import Scaling

#: Files that are compared at most, spread over all of a folder.
MAX_FILES = 500
#: What Keras' loaders of whole folders open.
_KERAS_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_TURNED = "turned upright by its EXIF orientation, as Keras does not"
_TRANSPARENT = "with transparency, which mien lays on white and Keras drops"
#: Up to 9 of 255 in a pixel (lab log); Pillow's own fast transform also drops the smooth colours, so it is no way out.
_JPEG = "decoded by TensorFlow's faster, less exact JPEG transform"
_OTHER = "decoded in another way"


@dataclass(frozen=True)
class FileAgreement:
    """Agreement of a bundle and its Keras model on files.

    Attributes:
        files: number of files that both read.
        same_answer: files of the same answer.
        largest_difference: of a probability.
        differing: the files of other answers, each with the reason.
        unread: files that one of both does not read.
    """

    files: int
    same_answer: int
    largest_difference: float
    differing: tuple[tuple[str, str], ...] = ()
    unread: int = 0

    def __str__(self) -> str:
        """Return the comparison in one line."""
        text = (
            f"read from files, Keras and mien give the same answer on {self.same_answer} of {self.files} "
            f"(largest difference of a probability {self.largest_difference:.1e})"
        )
        for reason, count in Counter(reason for _, reason in self.differing).items():
            first = next(name for name, why in self.differing if why == reason)
            text += f"; {count} {reason}, such as {first}"
        return text + (f"; {self.unread} not read" if self.unread else "")


def image_files(data: Path) -> list[Path]:
    """Return up to `MAX_FILES` image files of a folder, or the one file; ExportError if there is none."""
    if data.is_file():
        return [data]
    found = [data / name for name in FolderSource(data).names if is_image_name(name)]
    if not found:
        raise ExportError(f"{data}: has no image to compare on")
    return found[:: -(-len(found) // MAX_FILES)]


def compare_files(network: Any, scaling: Scaling, reader: Reader, paths: Sequence[Path]) -> FileAgreement | None:
    """Answer files by the Keras model and by the bundle, and compare.

    Args:
        network: the Keras model.
        scaling: how its owner feeds it.
        reader: of the bundle; it reads whole images.
        paths: image files.

    Returns:
        The agreement, or None if Keras reads none of the files, or does not resize in the bundle's way.
    """
    config, kind = reader.config, read_output(network)
    results = dict(zip(paths, reader.predict_many(paths), strict=True))
    # What mien refuses Keras does not get: Pillow would give it to any decoder, or to another program.
    ok = [path for path in paths if results[path].status == "ok"]
    pixels = keras_pixels(ok, config.input_size, config.input_channels, config.resize, config.fit)
    read = [path for path in ok if path in pixels]
    if not read:
        return None
    labels = config.labels
    ours = np.array([[results[path].face.probabilities[name] for name in labels] for path in read])
    theirs = np.concatenate([as_probabilities(run(network, scaling(pixels[path][np.newaxis])), kind) for path in read])
    differ = [path for path, same in zip(read, _same(ours, theirs), strict=True) if not same]
    return FileAgreement(
        files=len(read),
        same_answer=len(read) - len(differ),
        largest_difference=float(np.abs(ours - theirs).max()),
        differing=tuple((path.name, _reason(path)) for path in differ),
        unread=len(paths) - len(read),
    )


def keras_pixels(
    paths: Sequence[Path], size: int, channels: int, method: ResizeMethod, fit: Fit
) -> dict[Path, Float32]:  # fmt: skip
    """Read files by Keras' own loaders; files that they refuse are left out.

    Args:
        paths: image files.
        size: pixels on a side.
        channels: 1 or 3.
        method: a name without prefix is read by `image_dataset_from_directory`, one of Pillow by `load_img`. OpenCV is
            not at hand, so that its names give nothing.
        fit: as in `resize`.

    Returns:
        float32 (S, S, C), [0, 255], by path.
    """
    library, _, name = method.rpartition("-")
    if library == "pil" and fit != "pad":
        return _by_pillow(paths, size, "grayscale" if channels == 1 else "rgb", name, fit)
    if library:
        return {}
    usable = [path for path in paths if path.suffix.lower() in _KERAS_SUFFIXES]
    options = {
        "image_size": (size, size), "interpolation": name, "color_mode": "grayscale" if channels == 1 else "rgb",
        "crop_to_aspect_ratio": fit == "crop", "pad_to_aspect_ratio": fit == "pad",
    }  # fmt: skip
    return _by_dataset(usable, options)


def _by_dataset(paths: Sequence[Path], options: dict[str, Any]) -> dict[Path, Float32]:
    """Read files as one dataset. A file that it cannot decode stops it, so it is searched for by halves."""
    if not paths:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(paths):
            Path(folder, f"{number:06d}{path.suffix.lower()}").symlink_to(path.absolute())
        try:
            dataset = keras.utils.image_dataset_from_directory(
                folder, labels=None, batch_size=1, shuffle=False, verbose=False, **options
            )
            return dict(zip(paths, (np.asarray(batch)[0] for batch in dataset), strict=True))
        except Exception:  # the backend's own errors
            if len(paths) == 1:
                return {}
    middle = len(paths) // 2
    return _by_dataset(paths[:middle], options) | _by_dataset(paths[middle:], options)


def _by_pillow(paths: Sequence[Path], size: int, colour: str, name: str, fit: Fit) -> dict[Path, Float32]:
    found = {}
    for path in paths:
        try:
            image = keras.utils.load_img(
                path, color_mode=colour, target_size=(size, size), interpolation=name, keep_aspect_ratio=fit == "crop"
            )
        except (OSError, ValueError):
            continue
        found[path] = np.asarray(keras.utils.img_to_array(image), np.float32)
    return found


def _same(ours: Float64, theirs: Float64) -> Any:
    return ours.argmax(axis=1) == theirs.argmax(axis=1)


def _reason(path: Path) -> str:
    with open_listed(path) as image:
        if orientation(image) != 1:
            return _TURNED
        if image.has_transparency_data:
            return _TRANSPARENT
        return _JPEG if image.format == "JPEG" else _OTHER

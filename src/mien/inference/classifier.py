"""Run a bundle's graph: square crops in, logits and class activation maps out, a batch at a time.

With `mirror`, each crop runs beside its mirror image and both are averaged (test-time augmentation by a flip), here
and nowhere else, so that everything that asks a model gets the same answer.

Probabilities: `calibration`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from typing import TypeVar

import numpy as np

from mien.arrays import Float32, UInt8
from mien.errors import BundleError, ConfigError
from mien.inference.bundle import Bundle
from mien.runtime.providers import Device
from mien.runtime.sessions import open_session
from mien.text import first_line

#: Images, and crops, that are classified together.
BATCH_SIZE = 32

#: Pixels that go through the graph at once on the CPU. The first maps of a large input take tens of megabytes for each
#: image, and many images together are no faster.
_PIXELS = BATCH_SIZE * 96 * 96

Item = TypeVar("Item")


class Classifier:
    """A bundle's graph in one onnxruntime session; several threads may call it at the same time.

    Args:
        bundle: the model.
        threads: how many threads one call may use; None is one per core this process may use.
        device: where it runs, anything but `auto`.
        mirror: average logits and maps of each crop and its mirror image; None is as the bundle's config says.

    Raises:
        BundleError: the graph cannot be loaded or does not have the tensors that the config states.
        ConfigError: the device cannot be used.
    """

    def __init__(
        self, bundle: Bundle, threads: int | None = None, device: Device = "cpu", mirror: bool | None = None
    ) -> None:
        self._name, self.device = str(bundle.path), device
        self._config = bundle.config
        self.mirror = bundle.config.mirror if mirror is None else mirror
        try:
            self._session = open_session(bundle.model, threads, device)
        except ConfigError:
            raise
        except Exception as error:  # onnxruntime has no public exception tree
            raise BundleError(
                f"{self._name}: the graph cannot be loaded ({first_line(error)}); export the model again"
            ) from None
        self._largest_block = max(1, _PIXELS // bundle.config.input_size**2)
        self._outputs = ["logits", "maps"] if bundle.config.maps else ["logits"]
        self._check_tensors()

    def _check_tensors(self) -> None:
        config = self._config
        inputs = {tensor.name: (tensor.type, tensor.shape) for tensor in self._session.inputs}
        outputs = {tensor.name: (tensor.type, tensor.shape) for tensor in self._session.outputs}
        size, channels = config.input_size, config.input_channels
        if list(inputs) != ["image"] or not _fits(inputs["image"], (size, size, channels)):
            raise BundleError(
                f"{self._name}: the graph takes {inputs}, the config says image, float "
                f"(N, {size}, {size}, {channels}); export the model again"
            )
        wanted = {"logits": (len(config.labels),), "maps": (None, None, len(config.labels))}
        if not all(name in outputs and _fits(outputs[name], wanted[name]) for name in self._outputs):
            raise BundleError(
                f"{self._name}: the graph gives {outputs}, the config has {len(config.labels)} labels "
                f"and wants {' and '.join(self._outputs)}; export the model again"
            )

    def with_mirror(self, mirror: bool | None) -> "Classifier":
        """Return a classifier with the same session that averages with mirror images, or not; None keeps it as it is.

        Raises ConfigError for anything else.
        """
        if not isinstance(mirror, bool | None):
            raise ConfigError(f"`mirror={mirror!r:.20}`: give True, False or None")
        other = copy(self)
        other.mirror = self.mirror if mirror is None else mirror
        return other

    def __call__(self, crops: UInt8 | Float32) -> tuple[Float32, Float32 | None]:
        """Classify crops.

        Args:
            crops: uint8 or float32 (N, S, S, C), [0, 255], RGB or grey as the bundle says.

        Returns:
            Logits, float32 (N, K), and, if the graph has them, class activation maps, float32 (N, h, w, K), whose
            mean over h and w is the logits (Zhou et al., 2016); else None. With `mirror`, both are averaged with those
            of the mirror images, whose maps are mirrored back.

        Raises:
            BundleError: the graph fails.
        """
        images = crops.astype(np.float32)
        if self.mirror:
            images = np.concatenate([images, images[:, :, ::-1]])
        step = self._largest_block if self.device == "cpu" else max(len(images), 1)
        parts = [self._run(images[start : start + step]) for start in range(0, max(len(images), 1), step)]
        logits, maps = parts[0] if len(parts) == 1 else _joined(parts)
        if not self.mirror:
            return logits, maps
        # A strided convolution with `same` padding pads one side more, so that maps lie up to half a cell, a pixel or
        # two, to one side. Those of the mirror image, mirrored back, lie as far to the other. They are not aligned:
        # shifted maps would lose a column, and their mean would no longer be the logits. The average lies between.
        return _halves_averaged(logits), None if maps is None else _halves_averaged(maps, mirrored=True)

    def _run(self, images: Float32) -> tuple[Float32, Float32 | None]:
        """Run the graph once; return checked logits, and maps if it has them."""
        try:
            found = self._session.run(self._outputs, {"image": images})
        except Exception as error:
            raise BundleError(f"{self._name}: the graph cannot be run ({first_line(error)})") from None
        if found[0].shape != (len(images), len(self._config.labels)):
            raise BundleError(f"{self._name}: the graph gives logits {found[0].shape} for {len(images)} crops")
        maps = found[1] if len(found) > 1 else None
        if maps is not None:
            self._check_maps(maps, len(images))
        return found[0], maps

    def _check_maps(self, maps: Float32, count: int) -> None:
        """Raise BundleError unless these are maps of `count` crops. The graph need not state how large they are."""
        labels = len(self._config.labels)
        if maps.ndim != 4 or (len(maps), maps.shape[3]) != (count, labels) or 0 in maps.shape[1:]:
            raise BundleError(
                f"{self._name}: the graph gives maps {maps.shape} for {count} crops and {labels} labels; "
                "export the model again"
            )

    def logits(self, crops: UInt8 | Float32, batch_size: int = BATCH_SIZE) -> Float32:
        """Return the logits, float32 (N, K), of crops as a call takes them; BundleError if they are not numbers."""
        parts = [self(crops[i : i + batch_size])[0] for i in range(0, len(crops), batch_size)]
        found = np.concatenate(parts) if parts else np.empty((0, len(self._config.labels)), np.float32)
        if not np.isfinite(found).all():
            raise BundleError(f"{self._config.name}: the network gives logits that are not numbers; train it again")
        return found

    def maps(self, crops: UInt8, batch_size: int = BATCH_SIZE) -> Float32:
        """Return the class activation maps, float32 (N, h, w, K), of crops as a call takes them.

        Raises ConfigError for a model whose graph has none, BundleError if they are not numbers.
        """
        if not self._config.maps:
            raise ConfigError(f"{self._config.name}: this model gives no class activation maps; use occlusion")
        parts = [self(crops[i : i + batch_size])[1] for i in range(0, max(len(crops), 1), batch_size)]
        found = np.concatenate([part for part in parts if part is not None])
        if not np.isfinite(found).all():
            raise BundleError(f"{self._config.name}: the network gives maps that are not numbers; train it again")
        return found


def _joined(parts: Sequence[tuple[Float32, Float32 | None]]) -> tuple[Float32, Float32 | None]:
    """Join the logits, and the maps, of blocks of one batch."""
    maps = [maps for _, maps in parts if maps is not None]
    return np.concatenate([logits for logits, _ in parts]), np.concatenate(maps) if maps else None


def _halves_averaged(values: Float32, mirrored: bool = False) -> Float32:
    """Return the mean of the first and second half of 2N rows; `mirrored` mirrors the second along the width first."""
    first, second = np.split(values, 2)
    with np.errstate(all="ignore"):  # what is not a number is reported by those who need numbers
        return np.asarray((first + (second[:, :, ::-1] if mirrored else second)) / 2)


def is_full_batch(images: int, crops: int, batch_size: int = BATCH_SIZE) -> bool:
    """Return whether so many images with so many crops are classified together.

    Examples:
        >>> is_full_batch(images=3, crops=BATCH_SIZE)
        True
    """
    return max(images, crops) >= batch_size


def in_batches(
    items: Iterable[Item], crops: Callable[[Item], int], batch_size: int = BATCH_SIZE
) -> Iterator[tuple[list[Item], bool]]:
    """Group images into the batches that a reader classifies together; yield each, and whether it is full.

    A batch is full when it has `batch_size` images, or crops. The last one may not be.

    Examples:
        >>> list(in_batches([1, 0, 3, 1], crops=lambda faces: faces, batch_size=3))
        [([1, 0, 3], True), ([1], False)]
    """
    batch: list[Item] = []
    count = 0
    for item in items:
        batch.append(item)
        count += crops(item)
        if is_full_batch(len(batch), count, batch_size):
            yield batch, True
            batch, count = [], 0
    if batch:
        yield batch, False


def _fits(tensor: tuple[str, list[int | str | None]], wanted: tuple[int | None, ...]) -> bool:
    """Return whether a tensor is float (N, *wanted): N open, and no other size known to differ (None fits any)."""
    kind, shape = tensor
    if kind != "tensor(float)" or len(shape) != len(wanted) + 1 or isinstance(shape[0], int):
        return False
    known = [(size, want) for size, want in zip(shape[1:], wanted, strict=True) if isinstance(size, int)]
    return all(want in (None, size) for size, want in known)

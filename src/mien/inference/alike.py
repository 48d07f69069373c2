"""Take several images: refuse a single one, and give arrays of one size a batch at a time."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import numpy as np

from mien.arrays import UInt8
from mien.errors import InputError
from mien.io.images.source import ImageSource, is_single_image


def require_several(sources: object) -> None:
    """Raise InputError for one image in place of several."""
    if not isinstance(sources, Iterable) or is_single_image(sources):
        what = f", not an array of shape {sources.shape}" if isinstance(sources, np.ndarray) else ""
        several = "; several in one array are (N, H, W, 3)" if what else ""
        raise InputError(
            f"predict_many takes several images{what}; put a single one into a list, or use predict{several}"
        )


def alike_batches(
    sources: Iterable[ImageSource], takes: Callable[[object], bool], batch_size: int
) -> Iterator[UInt8 | Iterable[ImageSource]]:
    """Yield the arrays of one size that images begin with, uint8 (N, H, W) or (N, H, W, C), then all other images.

    Args:
        sources: the images; at most `batch_size` are taken ahead.
        takes: whether the first image may be one of such arrays.
        batch_size: arrays in a batch; the last one may have fewer.

    Examples:
        >>> crops = [np.zeros((48, 48), np.uint8)] * 3
        >>> *batches, rest = alike_batches([*crops, "me.jpg"], lambda image: True, batch_size=2)
        >>> [batch.shape for batch in batches], list(rest)
        ([(2, 48, 48), (1, 48, 48)], ['me.jpg'])
    """
    items = iter(sources)
    first = next(items, None)
    if first is None or not takes(first) or not isinstance(first, np.ndarray):
        yield items if first is None else chain([first], items)
        return
    batch: list[UInt8] = []
    odd: list[ImageSource] = []
    for source in chain([first], items):
        if type(source) is not np.ndarray or source.shape != first.shape or source.dtype != np.uint8:
            odd.append(source)
            break
        batch.append(source)
        if len(batch) == batch_size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
    yield chain(odd, items)

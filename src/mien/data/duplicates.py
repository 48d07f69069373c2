"""Group near-duplicate images: the same image after recompression, resizing, a slight crop or a change of light.

Candidates are pairs whose 64-bit DCT hashes differ in few bits and whose low frequencies a small motion could
make equal. Each candidate is verified: the two 32 x 32 thumbnails are aligned (scale and shift per axis) and compared
in tone and in detail, through a linear change of brightness that clips at white. Only verified pairs are joined.

Sources: the motion test is tangent distance (Simard, LeCun and Denker, "Efficient Pattern Recognition Using a New
Transformation Distance", 1993); the alignment is Lucas and Kanade's (1981) in the notation of Baker and Matthews
("Lucas-Kanade 20 Years On", 2004), with gain and offset in the same step.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float32, UInt8
from mien.data.disjoint_sets import DisjointSets
from mien.data.fingerprint import BITS, COSINES, SIDE, Fingerprint, Fingerprints, low_frequencies
from mien.io.spooled import SpooledRows
from mien.runtime.cores import available_cores
from mien.runtime.threads import map_in_order

Ints = npt.NDArray[np.intp]

# The thresholds were set on photos of 22 to 350 pixels, 30 000 faces of 48 pixels and drawn faces, by planting
# copies (benchmarks/near_duplicates.py) and by looking at every kind of pair near the threshold.
MAX_HAMMING = 18  # bits; 99.5 % of copies with up to 5 % off each side lie within
MIN_LOW_CORRELATION = 0.7  # cosine of the low frequencies
MIN_IN_PLANE = 0.88  # the fraction of them that a small motion explains; passes a tenth of what a cosine would
MIN_TONE = 0.92  # 48-pixel faces of different people reach 0.92 once in 30 000 images
MIN_DETAIL = 0.92  # drawn faces of one silhouette reach a tone of 0.96, but a detail of 0.916
FLAT_STD = 4.0  # grey levels; below it noise decides, so only equal thumbs match
CLIPPED = 250.0  # grey level; a brighter thumbnail pixel may be an average of clipped white

TILE_ROWS, TILE_COLUMNS = 256, 8192  # images by images, which a thread compares in one go
STRIP = 8  # rows of a tile at a time: 0.6 MB, which stay in the cache of a core
GATE_BATCH, ALIGN_BATCH = 1 << 14, 1 << 11  # pairs at a time
BLOCK = 1 << 10  # images at a time


def near_duplicate_groups(
    prints: Sequence[Fingerprint] | Fingerprints, on_progress: Callable[[float], None] | None = None
) -> list[list[int]]:
    """Return groups of indices into `prints` that show the same image.

    Finds copies after recompression, resizing, up to about 5 % cropped off each side, brightening or darkening (0.7 to
    1.4 times), a mild change of contrast, and loss of colour; not after mirroring or turning. Nearly flat images match
    only if their thumbnails are equal. Time grows with the square of the number of different images. Memory grows by
    some tens of bytes an image: what else is compared, 2 KB an image, lies in temporary files if there are many.

    Args:
        prints: one per image; their order changes only the indices.
        on_progress: called with the fraction done, rising to 1.0.

    Returns:
        Sorted groups of two or more, in order of their first index.

    Raises:
        InputError: a thumbnail is not uint8 (32, 32).

    Examples:
        >>> from mien.data.fingerprint import fingerprint
        >>> stripes = np.tile(np.arange(0, 256, 8, np.uint8), (32, 1))
        >>> near_duplicate_groups([fingerprint(stripes), fingerprint(stripes.T), fingerprint(stripes)])
        [[0, 2]]
    """
    found = prints if isinstance(prints, Fingerprints) else Fingerprints(prints)
    if not len(found):
        return []
    # Equal thumbnails count once; sorting them makes the result independent of the order of the input.
    _, different, places = np.unique(found.digests, return_index=True, return_inverse=True)
    sets = DisjointSets(len(different))
    _join_near(found, different, sets, on_progress)

    roots = sets.roots(places)
    shared = np.bincount(roots, minlength=len(different)) > 1
    groups: dict[int, list[int]] = {}
    for index in np.flatnonzero(shared[roots]).tolist():
        groups.setdefault(int(roots[index]), []).append(index)
    return list(groups.values())


def _join_near(
    prints: Fingerprints, different: Ints, sets: DisjointSets, on_progress: Callable[[float], None] | None
) -> None:
    """Join every verified pair of the prints that differ; `sets` numbers these, and `different` says which they are."""
    kept, low, planes = _compared(prints.thumbs, different)
    hashes = prints.hashes[different[kept]]
    for share, left, right in _close_hashes(hashes):
        for start in range(0, len(left), GATE_BATCH):
            i, j = left[start : start + GATE_BATCH], right[start : start + GATE_BATCH]
            apart = sets.roots(kept[i]) != sets.roots(kept[j])
            i, j = i[apart], j[apart]
            near = np.einsum("nk,nk->n", low[i], low[j]) >= MIN_LOW_CORRELATION
            i, j = i[near], j[near]
            alike = np.maximum(_in_plane(low[i], planes[j]), _in_plane(low[j], planes[i])) >= MIN_IN_PLANE
            _join_verified(prints.thumbs, different, kept[i[alike]], kept[j[alike]], sets)
        if on_progress:
            on_progress(share)
    if on_progress:
        on_progress(1.0)


def _compared(thumbs: UInt8, different: Ints) -> tuple[Ints, Float32, npt.NDArray[np.float16]]:
    """Return which thumbnails are not flat, (K,), their low frequencies (K, 64) and their tangent planes (K, 5, 64)."""
    textured: list[Ints] = []
    low, planes = SpooledRows((BITS,), np.dtype(np.float32)), SpooledRows((5, BITS), np.dtype(np.float16))
    for start in range(0, len(different), BLOCK):
        block = thumbs[different[start : start + BLOCK]]
        inside = np.flatnonzero(block.std(axis=(1, 2)) >= FLAT_STD)
        block = block[inside]
        frequencies = low_frequencies(block)
        low.append(frequencies / (np.linalg.norm(frequencies, axis=1, keepdims=True) + np.float32(1e-9)))
        planes.append(_tangent_planes(block).astype(np.float16))
        textured.append(start + inside)
    return np.concatenate(textured), low.array(), planes.array()


def _join_verified(thumbs: UInt8, different: Ints, left: Ints, right: Ints, sets: DisjointSets) -> None:
    while True:
        # Pairs that are already joined are skipped: a thousand copies of one image cost about a thousand
        # alignments, not half a million.
        apart = sets.roots(left) != sets.roots(right)
        left, right = left[apart], right[apart]
        if not len(left):
            return
        i, j = left[:ALIGN_BATCH], right[:ALIGN_BATCH]
        a, b = (thumbs[different[side]].astype(np.float32) for side in (i, j))
        # Both ways: the whole image explains a crop better, and the unclipped image a clipped one.
        same = _same_image(a, b) | _same_image(b, a)
        for one, other in zip(i[same].tolist(), j[same].tolist(), strict=True):
            sets.join(one, other)
        left, right = left[ALIGN_BATCH:], right[ALIGN_BATCH:]


# --- candidates


def _tangent_planes(thumbs: UInt8) -> Float32:
    """Return an orthonormal basis (N, 5, 64) of each image's low frequencies and their change under four motions.

    The squared part of another image's unit vector in this plane says how well a small scaling and shift per axis
    could explain it.
    """
    vectors = [low_frequencies(thumbs)]
    for motion in ([[0.03, 0]], [[0, 0.03]]):
        step = np.array(motion, np.float32)
        moved = COSINES @ (_sampling(step, SIDE)[0][0] - _sampling(-step, SIDE)[0][0])
        vectors += [low_frequencies(thumbs, columns=moved), low_frequencies(thumbs, rows=moved)]
    stacked = np.stack(vectors, axis=2)
    stacked /= np.linalg.norm(stacked, axis=1, keepdims=True) + 1e-9
    return np.ascontiguousarray(np.linalg.qr(stacked)[0].transpose(0, 2, 1), dtype=np.float32)


def _in_plane(unit: Float32, planes: npt.NDArray[np.float16]) -> Float32:
    """Return the squared part of each unit vector (N, 64) in its plane (N, 5, 64): float32 (N,), [0, 1]."""
    return np.asarray(np.square(np.einsum("nk,ntk->nt", unit, planes.astype(np.float32))).sum(axis=1), dtype=np.float32)


def _close_hashes(hashes: npt.NDArray[np.uint64]) -> Iterator[tuple[float, Ints, Ints]]:
    """Yield pairs i < j within MAX_HAMMING bits, tile by tile, with the fraction of pairs compared so far."""
    n, buffers = len(hashes), threading.local()

    def compare(corner: tuple[int, int]) -> tuple[float, Ints, Ints]:
        top, start = corner
        if not hasattr(buffers, "found"):
            # Made once in a thread: this is all that grows with the square of the number of images.
            buffers.found = [np.empty((STRIP, TILE_COLUMNS), kind) for kind in (np.uint64, np.uint8, np.bool_)]
        columns, near = hashes[None, start : start + TILE_COLUMNS], list[Ints]()
        for strip in range(top, min(top + TILE_ROWS, n), STRIP):
            rows = hashes[strip : strip + STRIP, None]
            differing, distances, close = (buffer[: len(rows), : columns.shape[1]] for buffer in buffers.found)
            np.bitwise_xor(rows, columns, out=differing)
            np.bitwise_count(differing, out=distances)
            np.less_equal(distances, MAX_HAMMING, out=close)
            near.append(np.flatnonzero(close) + (strip - top) * columns.shape[1])
        places = np.divmod(np.concatenate(near), columns.shape[1])
        i, j = places[0] + top, places[1] + start
        upper = i < j
        return 1.0 - (1.0 - top / n) ** 2, i[upper], j[upper]

    corners = ((top, start) for top in range(0, n, TILE_ROWS) for start in range(top, n, TILE_COLUMNS))
    with closing(map_in_order(compare, corners, available_cores())) as compared:
        yield from compared


# --- verification


def _same_image(a: Float32, b: Float32) -> Bool:
    tone, detail = _agreement(a, b)
    return (tone >= MIN_TONE) & (detail >= MIN_DETAIL)


def _agreement(a: Float32, b: Float32) -> tuple[Float32, Float32]:
    """Return how well `a`, once aligned, explains `b`, both float32 (N, 32, 32): tone and detail, (N,), at most 1.

    tone: the fraction of the grey variance of `b` that is explained; a shared silhouette can bring it near 1.
    detail: the cosine between their two-pixel differences, which distinguishes faces of one silhouette.
    """
    across, down = _align(_halved(a), _halved(b))
    warped, inside = _warp(a, across, down)
    clear = inside & (warped < CLIPPED) & (b < CLIPPED)
    # A nearly white image has too few other pixels to fit a line to: there, white counts like grey.
    enough = clear.mean(axis=(1, 2), keepdims=True) >= 0.25
    gain, offset = _brightness_line(warped, b, np.where(enough, clear, inside))
    predicted = gain * warped + offset
    # How bright a clipped pixel was is unknown, so it may be darker than `b`.
    predicted = np.where(enough & (warped >= CLIPPED), np.maximum(predicted, b), np.minimum(predicted, 255.0))
    weight = inside.astype(np.float32)
    mean = (b * weight).sum(axis=(1, 2), keepdims=True) / weight.sum(axis=(1, 2), keepdims=True)
    unexplained = (np.square(predicted - b) * weight).sum(axis=(1, 2))
    total = (np.square(b - mean) * weight).sum(axis=(1, 2))
    tone = 1.0 - unexplained / np.maximum(total, 1e-6)
    plausible = (gain[:, 0, 0] > 0.3) & (gain[:, 0, 0] < 3.0)
    return np.where(plausible, tone, 0.0).astype(np.float32), _detail(predicted, b, inside)


def _detail(a: Float32, b: Float32, inside: Bool) -> Float32:
    """Return the cosine between the two-pixel differences of `a` and `b` in x and y, (N, 32, 32) → (N,)."""
    ab, aa, bb = (np.zeros(len(a), np.float32) for _ in range(3))
    for near, far in ((np.s_[:, 2:], np.s_[:, :-2]), (np.s_[:, :, 2:], np.s_[:, :, :-2])):
        both = inside[near] & inside[far]
        slope_a, slope_b = (a[near] - a[far]) * both, (b[near] - b[far]) * both
        ab += (slope_a * slope_b).sum(axis=(1, 2))
        aa += np.square(slope_a).sum(axis=(1, 2))
        bb += np.square(slope_b).sum(axis=(1, 2))
    return np.asarray(ab / np.sqrt(np.maximum(aa * bb, 1e-6)), dtype=np.float32)


def _halved(thumbs: Float32) -> Float32:
    half = SIDE // 2
    return np.asarray(thumbs.reshape(-1, half, 2, half, 2).mean(axis=(2, 4)), dtype=np.float32)


def _brightness_line(x: Float32, y: Float32, use: Bool) -> tuple[Float32, Float32]:
    """Return least-squares gain and offset of y ≈ gain x + offset over the pixels in `use`, each (N, 1, 1)."""
    weight = use.astype(np.float32)
    count = np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1.0)
    mean_x = (x * weight).sum(axis=(1, 2), keepdims=True) / count
    mean_y = (y * weight).sum(axis=(1, 2), keepdims=True) / count
    covariance = ((x - mean_x) * (y - mean_y) * weight).sum(axis=(1, 2), keepdims=True)
    variance = (np.square(x - mean_x) * weight).sum(axis=(1, 2), keepdims=True)
    gain = covariance / np.maximum(variance, 1e-6)
    return gain, mean_y - gain * mean_x


def _align(a: Float32, b: Float32, steps: int = 4) -> tuple[Float32, Float32]:
    """Return the scale change and shift per axis that bring `a` onto `b`, both float32 (N, S, S).

    Returns (across, down), each float32 (N, 2): (scale - 1, shift in half-widths). Gauss-Newton on
    b ≈ gain a(x + scale x + shift) + offset, limited to the effect of crops of 5 % off each side.
    """
    n, side = len(a), a.shape[1]
    place = _places(side)
    across, down = np.zeros((n, 2), np.float32), np.zeros((n, 2), np.float32)
    limit = np.array([0.15, 0.12], np.float32)
    for _ in range(steps):
        warped, inside = _warp(a, across, down)
        slope_x = np.gradient(warped, axis=2) * (side / 2)
        slope_y = np.gradient(warped, axis=1) * (side / 2)
        parts = [slope_x * place, slope_x, slope_y * place[:, None], slope_y, warped, np.ones_like(warped)]
        jacobian = np.stack(parts, axis=1).reshape(n, 6, -1)
        weighted = jacobian * inside.reshape(n, 1, -1)
        normal = (weighted @ jacobian.transpose(0, 2, 1)).astype(np.float64)
        # A little damping on the four motions: stripes do not show how far they moved along themselves.
        damping = np.trace(normal, axis1=1, axis2=2)[:, None] * np.array([1.0, 1, 1, 1, 0, 0]) * 2e-5 + 1e-3
        normal += damping[:, :, None] * np.eye(6)
        moved = np.linalg.solve(normal, (weighted @ b.reshape(n, -1, 1)).astype(np.float64))[:, :, 0]
        step = np.clip(moved[:, :4] / np.maximum(moved[:, 4:5], 0.2), -0.1, 0.1).astype(np.float32)
        across = np.clip(across + step[:, :2], -limit, limit)
        down = np.clip(down + step[:, 2:], -limit, limit)
    return across, down


def _warp(images: Float32, across: Float32, down: Float32) -> tuple[Float32, Bool]:
    """Return each image sampled at its scaled and shifted pixels, and which samples are inside it."""
    side = images.shape[1]
    columns, inside_x = _sampling(across, side)
    rows, inside_y = _sampling(down, side)
    warped = np.asarray(rows @ images @ columns.transpose(0, 2, 1), dtype=np.float32)
    return warped, inside_y[:, :, None] & inside_x[:, None, :]


def _sampling(motion: Float32, side: int) -> tuple[Float32, Bool]:
    """Return bilinear weights (N, side, side), target by source pixel, and which targets are inside, (N, side)."""
    centre, half = (side - 1) / 2, side / 2
    source = (_places(side) * (1 + motion[:, :1]) + motion[:, 1:]) * half + centre
    inside = (source >= -0.25) & (source <= side - 0.75)
    source = np.clip(source, 0, side - 1)
    weights = np.maximum(0, 1 - np.abs(source[:, :, None] - np.arange(side)))
    return np.asarray(weights, dtype=np.float32), np.asarray(inside)


def _places(side: int) -> Float32:
    """Return pixel centres in half-widths from the middle, float32 (side,)."""
    return ((np.arange(side) - (side - 1) / 2) / (side / 2)).astype(np.float32)

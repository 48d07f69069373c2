"""Show images that a person should look at, each beside a heatmap of the evidence for its answer."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from mien.arrays import Float32, Int64, UInt8
from mien.evaluation.scoring import Predictions
from mien.report.document import Block, Gallery, GalleryImage, Note, Section
from mien.viz.mosaic import png_bytes
from mien.viz.overlay import overlay

#: Maps crops uint8 (N, S, S, C) and answers int64 (N,), indices of classes, to heatmaps (N, S, S) in [0, 1].
Heatmaps = Callable[[UInt8, Int64], Float32]

#: Images of each kind.
SHOWN = {"errors": 12, "uncertain": 8, "right": 8}
#: Largest side of a shown image, in pixels; it keeps a report of large crops small.
MAX_SIDE = 112


def gallery_section(predictions: Predictions, heatmaps: Heatmaps | None = None, method: str = "") -> Section | None:
    """Show the most confident errors, the least confident answers and random right ones; None without crops.

    Args:
        predictions: predictions with crops.
        heatmaps: computes the heatmaps beside them.
        method: the method of the heatmaps, in words.
    """
    if predictions.crops is None:
        return None
    groups = choose_images(predictions, predictions.seed)
    wrong = int((~predictions.is_right).sum())
    conclusion = (
        f"{wrong:,} of {len(predictions.names):,} answers are wrong. Look at the most confident first: is the answer "
        "wrong, or the label?"
        if wrong
        else "No answer is wrong. The least confident ones come closest."
    )
    kind = "right answers" if predictions.is_right[groups["uncertain"]].all() else "of the other answers"
    captions = {
        "errors": "Most confident errors: the highest probabilities against the label.",
        "uncertain": f"The least confident {kind}: leave images like these to a person.",
        "right": "Right answers, drawn at random.",
    }
    parts: list[Block] = [
        Gallery(_images(predictions, predictions.crops, groups[kind], heatmaps), caption)
        for kind, caption in captions.items()
        if len(groups[kind])
    ]
    if heatmaps is not None:
        said = "Left the input of the network, right the evidence for the answer: yellow much, violet little"
        parts.append(Note(f"{said} ({f'{method}; ' if method else ''}each scaled to its own maximum)."))
    return Section("gallery", "Images to look at", conclusion, tuple(parts))


def choose_images(predictions: Predictions, seed: int = 0) -> dict[str, Int64]:
    """Return the indices of the images to show, int64 (M,), by kind: `errors`, `uncertain` and `right`."""
    wrong = np.flatnonzero(~predictions.is_right)
    errors = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][: SHOWN["errors"]]
    two = np.sort(predictions.probabilities, axis=1)[:, -2:]
    rest = np.setdiff1d(np.arange(len(predictions.names)), errors)
    uncertain = rest[np.argsort((two[:, 1] - two[:, 0])[rest], kind="stable")][: SHOWN["uncertain"]]
    right = np.setdiff1d(np.flatnonzero(predictions.is_right), uncertain)
    drawn = np.sort(np.random.default_rng(seed).permutation(right)[: SHOWN["right"]])
    return {"errors": errors, "uncertain": uncertain, "right": drawn}


def _images(
    predictions: Predictions, inputs: UInt8, indices: Int64, heatmaps: Heatmaps | None
) -> tuple[GalleryImage, ...]:
    crops = inputs[indices]
    maps = heatmaps(crops, predictions.answers[indices]) if heatmaps else [None] * len(crops)
    return tuple(
        GalleryImage(_png(crop, heat), _caption(predictions, int(index)))
        for crop, heat, index in zip(crops, maps, indices, strict=True)
    )


def _caption(predictions: Predictions, index: int) -> str:
    truth, answer = predictions.classes[predictions.truth[index]], predictions.classes[predictions.answers[index]]
    sure = predictions.confidence[index]
    said = f"{answer} {sure:.3f}" if sure < 0.9995 else f"{answer} over 0.999"
    first = f"{said}, as labelled" if truth == answer else f"{said}, labelled {truth}"
    return f"{first}\n{predictions.names[index]}"


def _png(crop: UInt8, heat: Float32 | None) -> bytes:
    """Return a crop, uint8 (S, S, C), as PNG; to its right the same with its heatmap, if there is one."""
    rgb = np.repeat(crop, 3, axis=2) if crop.shape[2] == 1 else crop
    size = len(rgb)
    factor = max(1, MAX_SIDE // size)
    side = size * factor if size <= MAX_SIDE else MAX_SIDE
    image = Image.fromarray(rgb).resize((side, side), Image.Resampling.BICUBIC)
    if heat is not None:
        corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float64)
        seen = overlay(np.asarray(image), heat, corners, 0.6)
        image = Image.fromarray(np.hstack([np.asarray(image), seen]))
    elif crop.shape[2] == 1:
        image = image.convert("L")
    return png_bytes(image)

"""The gallery of a report: pictures that a person should look at, each beside what spoke for its answer."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from mien.arrays import Float32, Int64, UInt8
from mien.evaluation.scoring import Predictions
from mien.report.document import Block, Gallery, Note, Picture, Section
from mien.viz.mosaic import png_bytes
from mien.viz.overlay import overlay

#: UInt8 uint8 (N, S, S, C) and answers int64 (N,), as numbers of the data's classes, to heatmaps (N, S, S) in [0, 1].
Heats = Callable[[UInt8, Int64], Float32]

#: Pictures of each kind.
SHOWN = {"errors": 12, "uncertain": 8, "right": 8}
#: A picture is shown with so many pixels on a side at most, which keeps a report of large crops small.
LARGEST = 112


def gallery_section(scored: Predictions, heats: Heats | None = None, how: str = "") -> Section | None:
    """Return the most confident errors, the least certain and random right answers; None where no crops were kept.

    `heats` draws the heatmaps beside them; `how` says in words by what method.
    """
    if scored.crops is None:
        return None
    groups = choose(scored, scored.seed)
    wrong = int((~scored.is_right).sum())
    conclusion = (
        f"{wrong:,} of {len(scored.names):,} answers are wrong. Look at the surest of them first: is it the answer, or "
        "the label?"
        if wrong
        else "No answer is wrong; the least certain ones come closest."
    )
    captions = {
        "errors": "Most confident errors: what the model is surest of, against the label.",
        "uncertain": "Least certain: two answers are about equally probable. These are the ones to leave to a person.",
        "right": "Right answers, drawn at random: what an ordinary picture looks like.",
    }
    parts: list[Block] = [
        Gallery(_pictures(scored, scored.crops, groups[kind], heats), caption)
        for kind, caption in captions.items()
        if len(groups[kind])
    ]
    if heats is not None:
        said = "Left what the network saw, right what in it spoke for the answer: yellow much, violet little"
        parts.append(Note(f"{said} ({f'{how}; ' if how else ''}each scaled to its own strongest place)."))
    return Section("gallery", "Pictures to look at", conclusion, tuple(parts))


def choose(scored: Predictions, seed: int = 0) -> dict[str, Int64]:
    """Return indices (M,) of each kind, as many as SHOWN says at most: `errors`, surest first, `uncertain`, `right`."""
    wrong = np.flatnonzero(~scored.is_right)
    errors = wrong[np.argsort(-scored.confidence[wrong], kind="stable")][: SHOWN["errors"]]
    two = np.sort(scored.probabilities, axis=1)[:, -2:]
    rest = np.setdiff1d(np.arange(len(scored.names)), errors)
    uncertain = rest[np.argsort((two[:, 1] - two[:, 0])[rest], kind="stable")][: SHOWN["uncertain"]]
    right = np.setdiff1d(np.flatnonzero(scored.is_right), uncertain)
    drawn = np.sort(np.random.default_rng(seed).permutation(right)[: SHOWN["right"]])
    return {"errors": errors, "uncertain": uncertain, "right": drawn}


def _pictures(scored: Predictions, seen: UInt8, indices: Int64, heats: Heats | None) -> tuple[Picture, ...]:
    crops = seen[indices]
    maps = heats(crops, scored.answers[indices]) if heats else [None] * len(crops)
    return tuple(
        Picture(_png(crop, heat), _caption(scored, int(index)))
        for crop, heat, index in zip(crops, maps, indices, strict=True)
    )


def _caption(scored: Predictions, index: int) -> str:
    truth, answer = scored.classes[scored.truth[index]], scored.classes[scored.answers[index]]
    sure = scored.confidence[index]
    said = f"{answer} {sure:.3f}" if sure < 0.9995 else f"{answer} over 0.999"
    first = f"{said}, as labelled" if truth == answer else f"{said}, labelled {truth}"
    return f"{first}\n{scored.names[index]}"


def _png(crop: UInt8, heat: Float32 | None) -> bytes:
    """One crop, uint8 (S, S, C), as PNG; with a heatmap, the crop with it laid on stands to its right."""
    rgb = np.repeat(crop, 3, axis=2) if crop.shape[2] == 1 else crop
    size = len(rgb)
    factor = max(1, LARGEST // size)
    side = size * factor if size <= LARGEST else LARGEST
    image = Image.fromarray(rgb).resize((side, side), Image.Resampling.BICUBIC)
    if heat is not None:
        corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float64)
        seen = overlay(np.asarray(image), heat, corners, 0.6)
        image = Image.fromarray(np.hstack([np.asarray(image), seen]))
    elif crop.shape[2] == 1:
        image = image.convert("L")
    return png_bytes(image)

"""Predict many images on a Ray cluster into a folder of Parquet parts; the same call makes the missing parts."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from mien.inference.bundle import Bundle
from mien.inference.jobs.batch import Progress, row_identity
from mien.inference.jobs.ray import PartsJob, require_ray, write_parts
from mien.inference.reader import Reader
from mien.inference.reader_options import Faces
from mien.inference.thresholds import Threshold
from mien.io.inputs import Inputs
from mien.io.parquet_parts import Changed, ParquetParts, begin_parts, locked_folder


def predict_to_parts(
    bundle: Bundle, inputs: Inputs, folder: Path, *, threshold: Threshold | None = None, faces: Faces = "all",
    detect: bool | None = None, mirror: bool | None = None, workers: int | None = None,
    on_progress: Progress | None = None, on_changed: Callable[[Changed], None] | None = None,
) -> Counter[str]:  # fmt: skip
    """Predict `inputs` on all machines of a Ray cluster, with the same rows as `BatchJob`.

    Args:
        bundle: the model.
        inputs: the images.
        folder: where the parts go, on storage that all machines share; an interrupted one is completed.
        threshold: as in `Reader`.
        faces: as in `Reader`.
        detect: as in `Reader`.
        mirror: as in `Reader`.
        workers: cores to use; None for all of the cluster.
        on_progress: called after each part.
        on_changed: called with the images that have changed since an earlier call wrote their parts, before these
            are written again.

    Returns:
        Images by status, of the whole folder.

    Raises:
        MissingExtraError: without Ray.
        OutputError: the folder belongs to another job, or cannot be written.
        KeyboardInterrupt: interrupted; the message says how to continue.
    """
    require_ray()
    reader = Reader(bundle, 1, threshold, faces=faces, detect=detect, device="cpu", mirror=mirror)
    options = {
        "threshold": reader.rule.to_dict(), "detect": reader.detect, "mirror": reader.mirror, "faces": faces,
    }  # fmt: skip
    work = PartsJob(ParquetParts(folder.absolute(), 0), Path.cwd(), bundle, threshold, faces, detect, mirror)
    with locked_folder(folder):
        parts, starts, changed = begin_parts(work.parts.folder, inputs, row_identity(bundle.config, options))
        if changed and on_changed:
            on_changed(changed)
        missing = {number: start for number, start in enumerate(starts) if not parts.path(number).exists()}
        counts = sum((parts.counted(number) for number in range(len(parts)) if number not in missing), Counter[str]())
        parts.remove_leftovers()
        report = on_progress or (lambda done, total: None)
        try:
            counts = _fill(replace(work, parts=parts), missing, counts, workers, report)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"interrupted; {parts.kept()}") from None
        parts.remove_leftovers()
    return counts


def _fill(
    work: PartsJob, missing: Mapping[int, int], counts: Counter[str], workers: int | None, report: Progress
) -> Counter[str]:
    """Write the missing parts; returns `counts` with theirs added."""
    report(counts.total(), work.parts.count)
    if missing:
        with closing(write_parts(work, missing, workers)) as found:
            for one in found:
                counts += one
                report(counts.total(), work.parts.count)
    return counts

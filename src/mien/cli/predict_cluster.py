"""`mien predict --engine ray`: the same rows as on one machine, as a folder of Parquet parts."""

import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mien.cli.predict_job import identity
from mien.cli.progress import counting_bar
from mien.errors import ConfigError
from mien.inference.bundle import load_bundle
from mien.inference.ray import Work, read_parts, require_ray
from mien.inference.reader import Faces, Reader
from mien.io.inputs import STDIN, Inputs, is_video
from mien.io.parquet_parts import Parts, begin, locked

#: Seconds over which the rate is taken: pictures come in whole parts, and seldom.
_RATE_OVER = 600.0


def predict_on_ray(
    names: tuple[str, ...], target: str | None, refused: Mapping[str, object], *, model: str | None,
    threshold: float | None, faces: Faces, detect: bool | None, threads: int | None,
) -> Counter[str]:  # fmt: skip
    """Fill the folder `target` with the parts that are missing; returns how many pictures have which status.

    `refused` are options that were given, perhaps, and that this engine does not know.
    """
    folder = _folder(names, target, refused)
    require_ray()
    inputs = Inputs(names, sys.stdin.buffer if STDIN in names else None, without=folder)
    bundle = load_bundle(model)
    reader = Reader(bundle, 1, threshold, faces=faces, detect=detect)
    options = {"threshold": reader.threshold, "detect": reader.detect, "faces": faces}
    work = Work(Parts(folder.absolute(), 0), Path.cwd(), bundle, threshold, faces, detect)
    with locked(folder):
        parts, starts = begin(work.parts.folder, inputs, identity(bundle.config, options))
        return _fill(replace(work, parts=parts), starts, threads)


def _fill(work: Work, starts: list[int], threads: int | None) -> Counter[str]:
    parts = work.parts
    missing = {number: start for number, start in enumerate(starts) if not parts.path(number).exists()}
    counts: Counter[str] = Counter()
    for number in range(len(parts)):
        if number not in missing:
            counts += parts.counted(number)
    parts.sweep()
    try:
        with counting_bar("reading pictures", parts.count, counts.total(), _RATE_OVER) as advance:
            if missing:
                with closing(read_parts(work, missing, threads)) as found:
                    for one in found:
                        counts += one
                        advance(one.total())
    except KeyboardInterrupt:
        kept = sum(parts.path(number).exists() for number in range(len(parts)))
        raise click.Abort(
            f"interrupted; {kept} of {len(parts)} parts are kept in {parts.folder}, the same command goes on from there"
        ) from None
    parts.sweep()
    return counts


def _folder(names: tuple[str, ...], target: str | None, refused: Mapping[str, Any]) -> Path:
    """Check the options and return the folder to write."""
    for name, value in refused.items():
        if value is not None:
            raise ConfigError(f"--{name}: is not for --engine ray, which writes --parquet DIR")
    if target is None or target == "-":
        raise ConfigError("--engine ray: give --parquet DIR, a folder for the parts of the result")
    if not names:
        raise ConfigError("nothing to read; name pictures or a folder")
    for name in names:
        if is_video(name):
            raise ConfigError(f"{name}: a film is read on one machine; leave out --engine ray")
        if name != STDIN and Path(name).absolute() == Path(target).absolute():
            raise ConfigError(f"--parquet {target}: is one of the inputs; give another folder")
    return Path(target)

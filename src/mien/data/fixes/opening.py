"""Begin to go through a dataset: read it, audit it once, and find what was decided before."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mien.arguments import path_argument
from mien.data.audit import Audit
from mien.data.check import check_images, open_model
from mien.data.dataset import Manifest, read_manifest
from mien.data.fixes.decisions import Fixes
from mien.data.fixes.session import FixSession
from mien.data.fixes.store import FixesFile, fixes_path
from mien.data.fixes.unsorted import is_unsorted, read_unsorted_manifest
from mien.errors import ConfigError
from mien.inference.reader import Reader
from mien.io.targets import require_writable
from mien.runtime.providers import Device, require_device
from mien.text import pluralize


def open_session(
    data: str | Path,
    *,
    classes: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    who: str = "",
    detect: bool | None = None,
    model: str | Path | Reader | None = None,
    device: Device = "auto",
    mirror: bool | None = None,
    seed: int = 0,
    on_message: Callable[[str], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> FixSession:
    """Audit a dataset, and return a session in which a person decides about its images. Nothing of it is changed.

    Args:
        data: a folder, CSV or zip as for `mien.check`, or a folder or zip of images that nobody sorted into classes.
        classes: the classes to look at. Of an unsorted folder: those to label.
        rename: maps class names of the data to the names to use.
        out: the file of decisions. Default: `mien-fixes.csv` in the folder, or `NAME.mien-fixes.csv` beside the zip or
            CSV.
        who: a name of the person, which tells the decisions of several people apart.
        detect: as in `mien.check`, like `model`, `device` and `mirror`.
        seed: of the images that are drawn by chance.
        on_message: called with a sentence: what was guessed, or was decided before.
        on_progress: called with the fraction done, in [0, 1].

    Raises:
        DataError: no image is found, or no labels and no classes; or the file of decisions cannot be read.
        ConfigError: an option does not fit.
        OutputError: the file of decisions cannot be written.
    """
    place = path_argument("data", data, "a folder, CSV or zip")
    require_device(device)
    opened = open_model(model, device, mirror)
    path = fixes_path(place) if out is None else path_argument("out", out, "a CSV")
    file = FixesFile(path)
    labelled = Fixes(path, file.found.fixes)
    known = sorted({fix.label for fix in labelled if fix.label}) if labelled.labels_unsorted else None
    unsorted = is_unsorted(place, classes or known)
    if unsorted:
        classes = classes or known
    if unsorted and rename:
        raise ConfigError("`rename=`: there are no classes to rename; the images have no labels yet")
    if unsorted and len(set(classes or ())) < 2:
        raise ConfigError("`classes=`: name at least two, such as `classes=['happy', 'sad']`")
    manifest: Manifest = (
        read_unsorted_manifest(place, classes or ())
        if unsorted else read_manifest(place, classes, rename, fixes=False)
    )  # fmt: skip
    require_writable(path)
    manifest.say_notes(on_message)
    if on_message:
        on_message(f"reading {pluralize(len(manifest.samples), 'image')} of {place} ...")
    found: Audit = check_images(
        manifest, detect, opened, device, mirror, always=unsorted, on_message=on_message, on_progress=on_progress
    )
    flags = [*(["--classes", ",".join(classes)] if classes else [])]
    for old, new in (rename or {}).items():
        flags += ["--map", f"{old}={new}"]
    session = FixSession(found, file, who, manifest.classes, unsorted, flags, seed)
    if on_message:
        for sentence in _known(session):
            on_message(sentence)
    return session


def _known(session: FixSession) -> list[str]:
    """Say what was decided before, and what of it is asked again."""
    progress = session.progress()
    said = [f"{session.store}: {progress.sentence}"] if progress.decided else []
    if progress.conflicts:
        said.append(f"people disagree about {progress.conflicts} of the images; these come first")
    if progress.changed:
        said.append(f"{progress.changed} of the files have changed since they were decided; they are asked again")
    if session.fixes.cut_short:
        said.append(f"{session.store}: a last row that was cut short is dropped")
    if session.fixes.bad_rows:
        first = session.fixes.bad_rows[0]
        said.append(f"{session.store}: line {first.line} and perhaps others cannot be read ({first.reason})")
    return said

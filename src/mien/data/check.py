"""Check a labelled dataset in one call: `mien.check`, and what `mien check` runs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mien.arguments import path_argument
from mien.data.audit import Audit, audit
from mien.data.dataset import read_manifest
from mien.data.face_audit import audit_faces
from mien.errors import ConfigError
from mien.inference.reader import Reader, load

#: Fraction of the progress that files take if faces are checked, too.
_FILES = 0.3


def check(
    data: str | Path,
    *,
    classes: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    faces: bool = False,
    model: str | Path | Reader | None = None,
    strict_extensions: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> Audit:
    """List all issues of a labelled dataset, worst first. Nothing is written or changed.

    `mien.data.clean.write_clean` writes a cleaned copy, `mien.data.contact_sheet.contact_sheet` draws the files.

    Args:
        data: a folder of class folders (or of train/validation/test folders with these), a CSV, or a zip of either.
        classes: check only these classes. Default: all.
        rename: maps class names of the data to the names to use.
        faces: also find images without a face, with several, with one that is too small or cut off, drawings, and
            images whose label is probably wrong.
        model: with `faces`, what checks the labels: a shipped model, a bundle or run folder, or a reader. It should not
            have been trained on these images. Default: the shipped model.
        strict_extensions: report files that do not end in .jpg, .jpeg, .png or .bmp as errors.
        on_progress: called with the fraction done, in [0, 1].

    Returns:
        An `Audit`: `issues`, `counts` (by severity), `usable` (what training would use), `left_out`, `to_dict()`.

    Raises:
        DataError: nothing labelled is found, or a named class is absent.
        ConfigError: `model` is given without `faces`.
        BundleError: `model` cannot be loaded.

    Examples:
        >>> import mien
        >>> [issue.title for issue in mien.check("data").issues]
        ['very few images']
    """
    if model is not None and not faces:
        raise ConfigError("model: checks the labels of faces; add `faces=True`")
    report = on_progress or (lambda fraction: None)
    end = _FILES if faces else 1.0
    reader = None
    if faces:
        reader = model if isinstance(model, Reader) else load(model, faces="largest")
    manifest = read_manifest(path_argument("data", data, "a labelled folder, CSV or zip"), classes, rename)
    found = audit(manifest, strict_extensions=strict_extensions, on_progress=lambda fraction: report(end * fraction))
    if reader is not None:
        found = audit_faces(found, reader, lambda fraction: report(end + (1 - end) * fraction))
    return found

"""Check a labelled dataset in one call: `mien.check`, and what `mien check` runs."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mien.arguments import path_argument
from mien.data.audit import Audit, audit
from mien.data.dataset import Manifest, read_manifest
from mien.data.detection import choose_detection
from mien.data.face_audit import audit_faces, audit_whole
from mien.errors import ConfigError
from mien.inference.placement import refuse_device
from mien.inference.reader import Reader, load
from mien.runtime.providers import Device, require_device
from mien.text import pluralize

#: Fractions of the progress at which the files are checked, and at which the sample is looked at.
_FILES, _SAMPLE = 0.3, 0.35
#: Say how long the faces take if it is more than this, in seconds.
_LONG = 60.0
#: How much longer an image takes than one of the sample, which is not asked for drawings, other faces and its label.
_BESIDE = 1.5


def check(
    data: str | Path,
    *,
    classes: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    detect: bool | None = None,
    quick: bool = False,
    model: str | Path | Reader | None = None,
    device: Device = "auto",
    mirror: bool | None = None,
    strict_extensions: bool = False,
    fixes: bool | str | Path = True,
    on_message: Callable[[str], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Audit:
    """List all issues of a labelled dataset, worst first. Nothing is written or changed.

    In photographs, faces are looked for: images without a face, with several, with one that is too small or cut off,
    drawings, and labels that are probably wrong. In crops of faces, only the labels are checked. Other images are
    checked as files.

    `mien.data.clean.write_clean` writes a cleaned copy, `mien.data.contact_sheet.contact_sheet` draws the files.

    Args:
        data: a folder of class folders (or of train/validation/test folders with these), a CSV, or a zip of either.
        classes: check only these classes. Default: all.
        rename: maps class names of the data to the names to use.
        detect: look for faces (True), or take images whole (False). Default: decided by a sample of the images.
        quick: check the files alone: what they are, their copies, the sizes of the classes.
        model: checks the labels: a shipped model, a bundle or run folder, or a reader. It should not have been trained
            on these images. Default: the shipped model, for photographs and crops of faces.
        device: where the model runs, as in `Reader`.
        mirror: average each crop with its mirror image, as in `Reader`.
        strict_extensions: report files that do not end in .jpg, .jpeg, .png or .bmp as errors.
        fixes: use the decisions that people made with `mien fix`: those in the data's own `mien-fixes.csv` (True), none
            (False), or those in this file. Files that they left out are not checked.
        on_message: called with a sentence: what was guessed about the layout, which device was chosen, or that faces
            will take minutes.
        on_progress: called with the fraction done, in [0, 1].

    Returns:
        An `Audit`: `issues`, `counts` (by severity), `usable` (what training would use), `left_out`, `detection`,
        `labels` (whether they could be checked), `ranked` (the images in the order in which a look at them pays most),
        `to_dict()`.

    Raises:
        DataError: nothing labelled is found, or a named class is absent.
        ConfigError: `quick` is given with `detect` or `model`, or the device cannot be used.
        BundleError: `model` cannot be loaded.

    Examples:
        >>> import mien
        >>> [issue.title for issue in mien.check("data").issues]
        ['very few images']
    """
    for name, given in (("model", model), ("detect", detect)):
        if quick and given is not None:
            raise ConfigError(f"{name}: `quick=True` checks the files alone; leave out one of them")
    require_device(device)
    opened = open_model(model, device, mirror)
    manifest = read_manifest(path_argument("data", data, "a labelled folder, CSV or zip"), classes, rename, fixes)
    manifest.say_notes(on_message)
    if not quick:
        return check_images(
            manifest, detect, opened, device, mirror, strict_extensions=strict_extensions,
            shorter="; `quick=True` checks the files alone", on_message=on_message, on_progress=on_progress,
        )  # fmt: skip
    return audit(manifest, strict_extensions=strict_extensions, on_progress=on_progress)


def open_model(model: str | Path | Reader | None, device: Device, mirror: bool | None) -> Reader | None:
    """Return the model that checks labels; None if none is named, so that the shipped one is opened when needed."""
    if isinstance(model, Reader):
        refuse_device(device)
        return model.variant(mirror=mirror)
    return None if model is None else load(model, faces="largest", device=device, mirror=mirror)


def check_images(
    manifest: Manifest,
    detect: bool | None,
    model: Reader | None,
    device: Device,
    mirror: bool | None,
    *,
    strict_extensions: bool = False,
    always: bool = False,
    shorter: str = "",
    on_message: Callable[[str], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Audit:
    """Audit the files of a dataset, then what its images show; see `check`.

    Args:
        manifest: the dataset; its images need no labels.
        detect: as in `check`, like `device`, `mirror`, `strict_extensions`, `on_message` and `on_progress`.
        model: looks at the images; None opens the shipped one if they show faces.
        always: ask the model about every image of a face, even if it does not know the classes of the data, or there
            are no labels.
        shorter: what takes less time, said after how long the faces take.
    """
    report = on_progress or (lambda fraction: None)
    found = audit(manifest, strict_extensions=strict_extensions, on_progress=lambda fraction: report(_FILES * fraction))
    began = time.perf_counter()
    choice = choose_detection(
        found.usable, detect, on_progress=lambda fraction: report(_FILES + (_SAMPLE - _FILES) * fraction)
    )
    found = replace(found, detection=choice)
    if choice.detect and choice.sampled and on_message:
        _announce(
            len(found.usable.samples), _BESIDE * (time.perf_counter() - began) / choice.sampled, shorter, on_message
        )
    needed = choice.detect or choice.kind == "crops"
    reader = load(faces="largest", device=device, mirror=mirror) if model is None and needed else model
    if reader is not None:
        if reader.device_note and on_message:
            on_message(reader.device_note)
        look = audit_faces if choice.detect else audit_whole
        found = look(found, reader, lambda fraction: report(_SAMPLE + (1 - _SAMPLE) * fraction), always=always)
    report(1.0)
    return found


def _announce(images: int, seconds_each: float, shorter: str, say: Callable[[str], None]) -> None:
    """Say how long the faces will take, if that is long."""
    seconds = images * seconds_each
    if seconds > _LONG:
        minutes = pluralize(round(seconds / 60), "minute")
        say(f"looking for faces in {images:,} images takes about {minutes}{shorter}")

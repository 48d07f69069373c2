"""Every exception mien raises on purpose, in one tree.

::

    MienError
    ├── InputError (also ValueError)     what was given is wrong: a picture, a dataset, an option
    │   ├── ImageError                   one picture cannot be read
    │   ├── DataError                    a labelled source cannot be used
    │   └── ConfigError                  a setting is unknown or out of range
    ├── OutputError (also OSError)       a result cannot be written, or already exists
    ├── BundleError                      a model folder is missing a part, damaged or not ours
    ├── FinderError                      the face finder's weights are missing or damaged
    ├── TrainingError                    training cannot go on, or a run cannot be resumed
    ├── ExportError                      the exported network does not agree with the trained one
    └── MissingExtraError (also ImportError)   an optional part of mien is not installed

A message is one line that names the file, what is wrong and the fix.
"""


class MienError(Exception):
    """Root of everything that mien raises on purpose."""


class InputError(MienError, ValueError):
    """What was given cannot be used."""


class ImageError(InputError):
    """One picture cannot be read; `reason` is the sentence without the file name."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class DataError(InputError):
    """A labelled source cannot be used."""


class ConfigError(InputError):
    """A setting is unknown or out of range."""


class OutputError(MienError, OSError):
    """A result cannot be written, or its place is already taken."""


class BundleError(MienError):
    """A model folder is missing a part, damaged or not ours."""


class DetectorError(MienError):
    """The face finder's weights are missing or damaged."""


class TrainingError(MienError):
    """Training cannot go on, or a run cannot be resumed."""


class ExportError(MienError):
    """The exported network does not agree with the trained one, or cannot be exported."""


class MissingExtraError(MienError, ImportError):
    """An optional part of mien is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part of mien: pip install 'mien[{extra}]'")
        self.extra = extra

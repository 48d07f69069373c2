"""Every exception mien raises on purpose, in one tree.

::

    MienError
    ├── InputError (also ValueError)     an image, a dataset or an option cannot be used
    │   ├── ImageError                   one image cannot be read
    │   ├── DataError                    labelled data cannot be used
    │   └── ConfigError                  a setting is unknown or out of range
    ├── OutputError (also OSError)       a result cannot be written, or already exists
    ├── BundleError                      a model folder is missing a file, damaged or not written by mien
    ├── DetectorError                    the face detector's weights are missing or damaged
    ├── TrainingError                    training cannot continue, or a run cannot be resumed
    ├── ExportError                      the exported network does not agree with the trained one
    └── MissingExtraError (also ImportError)   an optional part of mien is not installed

A message is one line that names the file, what is wrong and the fix. It names options as Python does, in backticks:
"give `epochs=`". The command and the server translate that (`mien.arguments`). ModelNameWarning is no error.
"""

from typing import Literal

from mien.text import one_line

#: Why an image cannot be read. `damaged`: cut short, or its decoder fails; `too-large`: bytes of the file;
#: `too-many-pixels`, `too-much-memory`: what it would be once decoded; `too-slow`: how long that takes;
#: `unreadable`: anything else.
ImageErrorCode = Literal[
    "missing", "denied", "not-a-file", "too-large", "empty", "not-an-image", "damaged", "too-many-pixels",
    "too-much-memory", "too-slow", "unsupported", "no-face", "unreadable",
]  # fmt: skip


class MienError(Exception):
    r"""Root of every exception that mien raises on purpose.

    Examples:
        >>> print(MienError("a\x1b[2J.jpg: is empty"))
        a\x1b[2J.jpg: is empty
    """

    def __str__(self) -> str:
        """Return the message on one line that a terminal does not obey, whatever name is in it."""
        return one_line(super().__str__())


class InputError(MienError, ValueError):
    """An image, a dataset or an option cannot be used."""


class ImageError(InputError):
    """One image cannot be read.

    Args:
        source: the name of the image.
        reason: the rest of the sentence: what is wrong.
        code: the kind of error, for programs.

    Examples:
        >>> error = ImageError("me.jpg", "no such file", "missing")
        >>> str(error), error.code
        ('me.jpg: no such file', 'missing')
    """

    def __init__(self, source: str, reason: str, code: ImageErrorCode = "unreadable") -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason
        self.code = code

    def renamed(self, source: str) -> "ImageError":
        """Return the same error for an image of another name, without a traceback."""
        return ImageError(source, self.reason, self.code)


class DataError(InputError):
    """Labelled data cannot be used."""


class ConfigError(InputError):
    """A setting is unknown or out of range."""


class OutputError(MienError, OSError):
    """A result cannot be written, or its name is already taken.

    `problem` is the message without `kept`, which says what remains of the result.

    Examples:
        >>> error = OutputError("rows.csv: cannot be written (disk full)", kept="nothing was kept")
        >>> str(error)
        'rows.csv: cannot be written (disk full); nothing was kept'
    """

    def __init__(self, problem: str, kept: str | None = None) -> None:
        super().__init__(problem if kept is None else f"{problem}; {kept}")
        self.problem = problem
        self.kept = kept


class BundleError(MienError):
    """A model folder is missing a file, damaged or not written by mien."""


class DetectorError(MienError):
    """The face detector's weights are missing or damaged."""


class TrainingError(MienError):
    """Raised if training cannot continue, or a run cannot be resumed."""


class ExportError(MienError):
    """The exported network does not agree with the trained one, or cannot be exported."""


class ModelNameWarning(UserWarning):
    """A name is that of a shipped model and of a folder; the text says which was taken."""


class MissingExtraError(MienError, ImportError):
    """An optional part of mien is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part of mien: pip install 'mien[{extra}]'")
        self.extra = extra

"""mien reads the expression on a face: happy, sad, or the classes of your own folders.

::

    import mien

    reader = mien.load()                       # the shipped model; or name a run or a bundle
    result = reader.predict("photo.jpg")       # path, bytes or uint8 RGB array
    print(result.answer, result.probability)

Importing mien loads no training framework, opens no file and changes no global state.
"""

from mien.errors import (
    BundleError,
    ConfigError,
    DataError,
    DetectorError,
    ExportError,
    ImageError,
    InputError,
    MienError,
    MissingExtraError,
    OutputError,
    TrainingError,
)
from mien.inference.reader import Reader, load
from mien.results import Box, Face, FrameResult, ImageResult
from mien.version import __version__

__all__ = [
    "Box",
    "BundleError",
    "ConfigError",
    "DataError",
    "DetectorError",
    "ExportError",
    "Face",
    "FrameResult",
    "ImageError",
    "ImageResult",
    "InputError",
    "MienError",
    "MissingExtraError",
    "OutputError",
    "Reader",
    "TrainingError",
    "__version__",
    "load",
]

"""mien reads the expression on a face: happy, sad, or the classes of your own folders.

::

    import mien

    reader = mien.load()                       # the shipped model; or name a run or a bundle
    result = reader.predict("photo.jpg")       # path, bytes, open file, Pillow image or uint8 RGB array
    print(result.answer, result.probability)

The other functions do what the verbs of the command do: `mien.check("my_faces")`. They are loaded when first used.
`mien.fixes.load("my_faces")` returns what people decided with `mien fix`.
Importing mien loads no training framework, opens no file and changes no global state.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import mien.runtime.interrupt as _interrupt  # noqa: F401  # first: makes Ctrl-C one line during the imports below
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

if TYPE_CHECKING:
    from mien.data import fixes
    from mien.data.check import check
    from mien.report.comparison import compare
    from mien.report.evaluation import evaluate
    from mien.training.explain import explain, explain_dataset
    from mien.training.show import show
    from mien.training.train import train

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
    "check",
    "compare",
    "evaluate",
    "explain",
    "explain_dataset",
    "fixes",
    "load",
    "show",
    "train",
]

#: Functions by name, each with the module that it is loaded from when first used.
_FUNCTIONS = {
    "check": "mien.data.check",
    "compare": "mien.report.comparison",
    "evaluate": "mien.report.evaluation",
    "explain": "mien.training.explain",
    "explain_dataset": "mien.training.explain",
    "show": "mien.training.show",
    "train": "mien.training.train",
}


def _explain_with(image: Any, **options: Any) -> Any:
    return import_module("mien.training.explain").explain(image, **options)


Reader.explain_with = _explain_with


if not TYPE_CHECKING:  # type checkers see the imports above, so that a misspelt name is an error

    def __getattr__(name: str) -> Any:
        if name == "fixes":  # a module, whose functions read as `mien.fixes.load`
            return import_module("mien.data.fixes")
        if name not in _FUNCTIONS:
            raise AttributeError(f"module 'mien' has no attribute '{name}'")
        function = getattr(import_module(_FUNCTIONS[name]), name)
        globals()[name] = function
        return function


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})

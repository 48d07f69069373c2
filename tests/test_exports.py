"""The public names are pinned, typed and versioned; ruff checks that each has a docstring."""

from importlib import import_module, metadata
from pathlib import Path

import pytest

import mien

PACKAGE = Path(mien.__file__).parent


def test_the_public_names_are_these() -> None:
    assert mien.__all__ == [
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
    assert all(hasattr(mien, name) for name in mien.__all__)


def test_functions_are_loaded_when_first_used() -> None:
    assert set(mien._FUNCTIONS) <= set(mien.__all__) <= set(dir(mien))
    assert {name for name in dir(mien) if not name.startswith("_")} == set(mien.__all__) - {"__version__"}
    for name, module in mien._FUNCTIONS.items():
        assert getattr(mien, name) is getattr(import_module(module), name)
    with pytest.raises(AttributeError, match="module 'mien' has no attribute 'chek'"):
        getattr(mien, "chek")  # noqa: B009


def test_every_error_is_a_mien_error() -> None:
    errors = [getattr(mien, name) for name in mien.__all__ if name.endswith("Error")]
    assert len(errors) == 11
    assert all(issubclass(error, mien.MienError) for error in errors)
    assert issubclass(mien.InputError, ValueError)
    assert issubclass(mien.OutputError, OSError)
    assert issubclass(mien.MissingExtraError, ImportError)


def test_the_version_is_one() -> None:
    assert mien.__version__ == metadata.version("mien")


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()

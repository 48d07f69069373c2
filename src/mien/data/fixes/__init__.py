"""Decisions of people about the images of a dataset: `mien.fixes.load(DATA)`, and what `mien fix` works with.

Examples:
    >>> import mien
    >>> mien.fixes.Fix("0" * 64, "sad/a.jpg", "keep", "sad").sentence
    'kept as sad'
"""

from mien.data.fixes.decisions import Fixes, load
from mien.data.fixes.records import Fix

__all__ = ["Fix", "Fixes", "load"]

"""The version of mien."""

__version__ = "0.2.0"

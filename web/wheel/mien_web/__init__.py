"""The web page of mien and its JavaScript library, built: what `mien export --page` copies. Needs no node."""

from pathlib import Path

#: The folder of the page, without a model and without the face detector: mien adds both.
SITE = Path(__file__).parent / "site"

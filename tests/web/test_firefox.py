"""Firefox gives the same rows as Python, on the files of `test_parity.py`, but for one that was cut short."""

from collections.abc import Callable
from pathlib import Path

import pytest
from firefox import FirefoxTab, open_firefox
from pictures import pictures
from rows import check_row
from static_site import StaticSite

import mien

__all__ = ["open_firefox"]  # a fixture

#: Firefox decodes what is there of a file that was cut short; docs/web.md says so.
READ_IN_PART = {"half a JPEG"}


@pytest.mark.slow
def test_every_picture_gets_the_same_row(
    open_firefox: Callable[[str], FirefoxTab], site: StaticSite, site_folder: Path
) -> None:  # fmt: skip
    tab = open_firefox(site.url)
    assert tab.run("(bundle) => page.load(bundle)", "models/mien/")["name"] == "mien"
    reader = mien.load("mien", threads=1)
    different = {}
    for number, (name, data) in enumerate(pictures()):
        (site_folder / f"firefox-{number}").write_bytes(data)
        row = tab.run("([url, name]) => page.predict(url, name)", [f"firefox-{number}", name])
        try:
            check_row(row, {**reader.predict(data).to_dict(), "source": name})
        except AssertionError as error:
            different[name] = str(error)
    assert different.keys() == READ_IN_PART, different

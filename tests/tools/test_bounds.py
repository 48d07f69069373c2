"""The bounds of pyproject.toml: each has a lowest version that `make test-lowest` tries, and fits the lock."""

import json
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import mien

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
#: Those of others.
REQUIREMENTS = [row for row in map(Requirement, LINES) if row.name not in ("mien", "mien-web")]


def pins(name: str) -> dict[str, list[Version]]:
    """Return the versions that a file of `requirements/` pins for each package; markers may choose between them."""
    found: dict[str, list[Version]] = {}
    for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            row = Requirement(line)
            (exact,) = row.specifier
            found.setdefault(canonicalize_name(row.name), []).append(Version(exact.version))
    return found


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: row.name)
def test_the_lowest_version_allowed_is_the_one_that_is_tried(row: Requirement) -> None:
    (bound,) = [Version(one.version) for one in row.specifier if one.operator == ">="]
    assert min(pins("lowest.txt")[canonicalize_name(row.name)]) == bound, "run make lock, or state the bound that holds"


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: row.name)
def test_the_locked_version_is_allowed(row: Requirement) -> None:
    for version in pins("lock.txt").get(canonicalize_name(row.name), []):
        assert row.specifier.contains(version)


def test_every_requirement_is_locked_for_this_kind_of_machine() -> None:
    here = {canonicalize_name(row.name) for row in REQUIREMENTS if row.marker is None}
    assert here - pins("lock.txt").keys() == set()


@pytest.mark.parametrize("name", ["uvicorn", "keras", "starlette", "optuna"])
def test_a_library_whose_undocumented_parts_we_use_has_an_upper_bound(name: str) -> None:
    (row,) = [row for row in REQUIREMENTS if row.name == name]
    assert any(one.operator == "<" for one in row.specifier)


def test_the_page_and_the_library_of_the_browser_have_the_version_of_mien() -> None:
    assert PROJECT["optional-dependencies"]["page"] == [f"mien-web=={mien.__version__}"]
    for name in ("package.json", "package-lock.json"):
        assert json.loads((ROOT / "web" / name).read_text(encoding="utf-8"))["version"] == mien.__version__

"""The page of dependencies says what pyproject.toml says, and a licence and a reason for each."""

from importlib import util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dependencies() -> Any:
    found = util.spec_from_file_location("dependencies", ROOT / "tools" / "dependencies.py")
    assert found is not None
    assert found.loader is not None
    module = util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_page_is_what_pyproject_and_the_metadata_say(dependencies: Any) -> None:
    page = dependencies.PAGE.read_text(encoding="utf-8")
    assert dependencies.render(page) == page, "run python tools/dependencies.py"


def test_a_package_that_is_not_installed_keeps_its_licence(dependencies: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = dependencies.PAGE.read_text(encoding="utf-8")
    monkeypatch.setattr(dependencies, "licence", lambda _: None)
    assert dependencies.render(page) == page
    assert "not stated" not in page
    assert "not stated" in dependencies.render("")


def test_every_reason_is_of_a_requirement(dependencies: Any) -> None:
    names = {dependencies.canonicalize_name(row.name) for rows in dependencies.project().values() for row in rows}
    assert names - {"mien"} <= dependencies.WHY.keys()


@pytest.mark.parametrize(("name", "words"), [("pillow", "MIT-CMU"), ("rich", "MIT License"), ("no-such-package", None)])
def test_a_licence_is_read_from_the_metadata(dependencies: Any, name: str, words: str | None) -> None:
    assert dependencies.licence(name) == words

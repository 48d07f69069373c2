"""Every example in a docstring runs, in a folder that holds the files it names, such as `photo.jpg`."""

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
from workplace import furnish

import mien

PACKAGE = Path(mien.__file__).parent
#: Modules whose source has an example; the others need not be imported.
WITH_EXAMPLES = [
    path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
#: A line that is long or differs between machines may be cut with `...`.
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

#: All public names but the errors, whose raising shows them.
PUBLIC = [name for name in mien.__all__ if not name.endswith("Error") and name != "__version__"]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestFinder(exclude_empty=True).find(import_module(name))
    furnish(tmp_path, "".join(example.source for test in examples for example in test.examples))
    runner, report = doctest.DocTestRunner(optionflags=FLAGS), list[str]()
    for test in examples:
        runner.run(test, out=report.append)
    assert runner.tries > 0, "an example that is not found is not run"
    assert runner.failures == 0, "".join(report)


def test_examples_stand_in_a_section_that_the_site_knows() -> None:
    """Google style has `Examples:` only; below `Example:` the lines would run together as prose."""
    found = [
        path.name for path in PACKAGE.rglob("*.py") if re.search(r"^\s+Example\b.*:$", path.read_text("utf-8"), re.M)
    ]
    assert not found


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name: str) -> None:
    """The name is in it: `load` and `mien.load(...)` both show how it is called, `mien.fixes.load` a module."""
    (found,) = doctest.DocTestFinder(recurse=False).find(getattr(mien, name), name)
    assert any(re.search(rf"{name}[.(]", example.source) for example in found.examples), inspect.getdoc(
        getattr(mien, name)
    )

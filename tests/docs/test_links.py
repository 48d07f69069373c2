"""Relative links and images of the pages exist, and the bundle page names every key of the config."""

import json
import re
from pathlib import Path

import pytest

from mien.inference.bundle_config import BundleConfig
from mien.labels import EXPRESSIONS

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
#: `[words](target)`, `![words](target)`, `[word]: target`, and the HTML of an image or a link.
_TARGET = re.compile(r"\]\(\s*<?([^)\s>]+)|^\[[^\]]+\]:\s*(\S+)|(?:src|href)=\"([^\"]+)\"", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z]+:|#")


def targets(text: str) -> list[str]:
    """Return the relative paths that a page links to or shows, without `#` and what follows it."""
    found = ["".join(match.groups("")) for match in _TARGET.finditer(_CODE.sub("", text))]
    return [target.split("#")[0] for target in found if not _ELSEWHERE.match(target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_exists(page: Path) -> None:
    missing = [to for to in targets(page.read_text(encoding="utf-8")) if not (page.parent / to).exists()]
    assert missing == []


def test_links_of_every_kind_are_found() -> None:
    text = (
        "[a](a.md#part) ![b](images/b.png 'title') [c](https://c) [d](#d) [![e](e.png)](f/)\n"
        '[g]: g.md\n<img src="h.png"> `[i](i.md)`\n```sh\n[j](j.md)\n```\n'
    )
    assert targets(text) == ["a.md", "images/b.png", "e.png", "f/", "g.md", "h.png"]


def test_the_pages_have_links() -> None:
    assert {"README.md", "MODEL_CARD.md", "CHANGELOG.md", "CONTRIBUTING.md"} <= {page.name for page in PAGES}
    assert "docs/images/astronaut.png" in targets((ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_page_of_the_bundle_names_every_key_of_its_config_and_no_other() -> None:
    full = BundleConfig(
        "b",
        EXPRESSIONS,
        48,
        1,
        "0" * 64,
        answer_from={"sad": 0.5},
        answer_over={"sad": {"fear": 2.0}},
        content="photos",
        resize="cv2-area",
    )
    config = json.loads(full.to_json())
    inner = config.pop("input")
    _, table = (ROOT / "docs" / "reference" / "bundle.md").read_text(encoding="utf-8").split("| key of `config.json` |")
    firsts = [row.split("|")[1] for row in table.split("\n\n")[0].splitlines()[2:]]
    assert sorted(re.findall(r"`([^`]+)`", "".join(firsts))) == sorted([*config, *(f"input.{key}" for key in inner)])

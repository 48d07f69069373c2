"""A folder that nobody sorted: labels from the beginning, proposals as soon as a few of each are labelled, grids."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fix_tab import SIZE, save

from mien.data.fixes.opening import open_session
from mien.data.synthetic.faces import draw_face

#: The names of the classes are none that the model knows.
NAMES = {"happy": "glad", "sad": "blue"}
KEYS = {"glad": "1", "blue": "2"}


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A folder of 40 drawn faces without class folders; their names tell the truth."""
    for number in range(20):
        for start, kind in enumerate(NAMES, 40):  # other seeds, so that no two are of one face
            save(tmp_path / "flat" / f"{kind}-{number}.png", draw_face(kind, 100 * start + number, SIZE))
    return tmp_path / "flat"


@pytest.fixture
def served(flat: Path, drawn_bundle: Path, serve: Callable[..., Any]) -> Any:
    return serve(open_session(flat, classes=list(NAMES.values()), model=drawn_bundle, detect=False))


def truth_of(name: str) -> str:
    return NAMES[name.partition("-")[0]]


def label(page: Any, count: int) -> None:
    """Label so many pictures rightly, each by its key."""
    for _ in range(count):
        done = int(page.tab.text_content("#progress-text").split()[0])
        page.press(KEYS[truth_of(page.name)])
        page.wait_for("#progress-text", f"{done + 1} decided")


def test_labels_are_given_by_key_and_then_proposed(served: Any, browser: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, served.url)
    page.tab.locator(".stage[data-state=shown]").wait_for()
    first = page.name
    page.wait_for("#reason", "No label yet")
    page.wait_for("#progress-text", "0 decided, 40 left")
    page.wait_for("#estimate", "40 images without a label")
    assert page.tab.locator("#actions button:visible").all_text_contents() == [
        "1glad", "2blue", "XLeave out neutral face, neither, unusable", "LLater",
    ]  # fmt: skip
    assert page.tab.is_hidden("#model"), "nothing is proposed yet"
    page.check_accessible()
    page.press("k")  # there is no label to keep
    label(page, 1)
    assert [(row["path"], row["decision"], row["label"], row["was"]) for row in served.rows] == [
        (first, "relabel", truth_of(first), "")
    ]
    page.press("u")
    page.wait_until_shown(first)
    while page.tab.is_hidden("#model"):
        label(page, 1)
    given = [served.session.decision(name).label for name in served.session.order if served.session.decision(name)]
    assert min(given.count(one) for one in KEYS) >= 5
    assert sorted(page.tab.locator("#bars .name").all_text_contents()) == ["blue", "glad"]
    primary = page.tab.locator("#actions button.primary")
    assert primary.count() == 1, "the proposal is the button that stands out"
    page.check_accessible()
    page.tab.reload()
    page.wait_for("#progress-text", f"{len(given)} decided")
    label(page, 1)


def test_a_grid_of_the_same_proposal_is_labelled_by_one_key(
    served: Any, browser: Any, visit: Callable[..., Any]
) -> None:
    page = visit(browser, served.url)
    page.tab.locator(".stage[data-state=shown]").wait_for()
    while page.tab.is_hidden("#model"):
        label(page, 1)
    done = int(page.tab.text_content("#progress-text").split()[0])
    page.tab.set_viewport_size({"width": 1280, "height": 2000})  # all are in view
    page.press("b")
    page.tab.locator(".tile img[src]").nth(5).wait_for()
    page.wait_for("#many-title", "images labelled nothing yet that look ")
    proposed = page.tab.text_content("#many-title").rsplit(" ", 1)[1]
    names = [tile.get_attribute("title") for tile in page.tab.locator(".tile").all()]
    odd = [name for name in names if truth_of(name) != proposed]
    for name in odd:
        page.tab.click(f".tile[title='{name}']")
    page.check_accessible()
    page.tab.locator(".tile img[src]").nth(len(names) - 1).wait_for()
    page.press("k")  # there is no label to keep
    page.press(KEYS[proposed])
    page.wait_for("#progress-text", f"{done + len(names) - len(odd)} decided")
    assert {row["label"] for row in served.rows if row["path"] in names} == {proposed}


def test_there_is_nothing_to_compare_a_training_with(served: Any, browser: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, served.url)
    page.tab.locator(".stage[data-state=shown]").wait_for()
    page.tab.click("#enough-open")
    page.tab.locator("#train").wait_for()
    assert page.tab.is_hidden("#compare-field")
    page.check_accessible()

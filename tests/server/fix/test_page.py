"""Every key and button of the page, in Chromium: what is shown, and what is stored before it goes on."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fix_tab import save
from PIL import Image

from mien.data.fixes.opening import open_session
from mien.data.synthetic.faces import draw_face

FIRST = "happy/wrong-"


@pytest.fixture
def page(served: Any, browser: Any, visit: Callable[..., Any]) -> Any:
    """The page, with its first picture: a sad face under `happy`."""
    opened = visit(browser, served.url)
    opened.tab.locator(".stage[data-state=shown]").wait_for()
    assert opened.name.startswith(FIRST)
    return opened


def stored(served: Any) -> list[tuple[str, str, str]]:
    return [(row["path"], row["decision"], row["label"]) for row in served.rows]


def test_the_picture_its_reason_and_the_models_answer_are_shown(page: Any) -> None:
    page.wait_for("#reason", "Label probably wrong")
    page.wait_for("#why", "labelled happy, looks sad")
    assert page.tab.locator("#bars .name").all_text_contents() == ["sad", "happy"]
    assert page.tab.get_attribute(".stage img", "alt").startswith(f"{page.name}, labelled happy. Label probably wrong")
    assert page.tab.locator(".face-box").count() == 0, "these images are not searched for faces"
    assert page.tab.text_content("#labelled") == "labelled happy"
    buttons = page.tab.locator("#actions button").all_text_contents()
    assert buttons == ["K1Keep happy", "2It is sad", "XLeave out neutral face, neither, unusable", "LLater"]
    assert page.tab.get_attribute("#actions button[data-key=k]", "aria-keyshortcuts") == "k 1"
    assert page.tab.locator("#actions button.primary").count() == 0, "the model doubts the label: the eye decides"
    page.wait_for("#progress-text", "0 decided, 35 left (")
    page.wait_for(
        "#estimate", "doubtful images to look at; images picked at random, which come in between and after, tell"
    )


@pytest.mark.parametrize(
    ("key", "decision", "label"),
    [("k", "keep", "happy"), ("1", "keep", "happy"), ("2", "relabel", "sad"), ("x", "leave-out", "")],
)
def test_a_key_stores_a_decision_and_shows_the_next_picture(
    page: Any, served: Any, key: str, decision: str, label: str
) -> None:
    first = page.name
    page.press(key)
    page.wait_for("#progress-text", "1 decided, 34 left")
    assert stored(served) == [(first, decision, label)]
    assert page.name != first
    page.wait_until_shown(page.name)


def test_buttons_do_the_same(page: Any, served: Any) -> None:
    first = page.name
    page.tab.get_by_role("button", name="It is sad").click()
    page.wait_for("#progress-text", "1 decided")
    assert stored(served) == [(first, "relabel", "sad")]


def test_undo_takes_the_last_decision_back(page: Any, served: Any) -> None:
    first = page.name
    page.press("x")
    page.wait_for("#progress-text", "1 decided")
    page.press("u")
    page.wait_for("#progress-text", "0 decided")
    page.wait_until_shown(first)
    page.wait_for("#said", f"Undone: {first} is undecided again; it was left out.")
    assert [row[1] for row in stored(served)] == ["leave-out", "undo"]
    assert not page.tab.get_by_role("button", name="Undo").is_visible(), "nothing is left to undo"


def test_later_puts_a_picture_at_the_end(page: Any, served: Any) -> None:
    first = page.name
    page.press("l")
    page.wait_until_not(first)
    assert stored(served) == []
    page.wait_for("#said", f"{first} comes again after the others.")
    left = [item["name"] for item in served.app.state.mien.desk.state()["queue"]]
    assert first not in left
    page.press("u")
    page.wait_for("#said", f"Undone: {first} is back; it was put off.")
    page.wait_until_shown(first)
    assert stored(served) == []


def test_it_is_not_enough_while_doubtful_pictures_wait(page: Any) -> None:
    page.tab.click("#enough-open")
    page.wait_for("#enough-title", "Not enough yet")
    page.wait_for("#train-what", "It takes minutes for some hundred pictures.")
    assert page.tab.locator("#enough button.primary").all_text_contents() == ["Go on looking"]
    page.check_accessible()


def test_keys_can_be_turned_off_and_stay_off(page: Any, served: Any) -> None:
    page.tab.click("#enough-open")
    page.press("Escape")
    page.tab.locator("#enough").wait_for(state="hidden")
    assert page.tab.evaluate("document.activeElement.id") == "enough-open"
    page.tab.click("#help-open")
    page.wait_for("#help-keys", "leave it out: a neutral face")
    page.tab.uncheck("#keys-on")
    page.tab.click("#help-close")
    page.press("x")
    page.tab.reload()
    page.tab.locator(".stage[data-state=shown]").wait_for()
    page.press("x")
    page.tab.get_by_role("button", name="Keep happy").click()
    page.wait_for("#progress-text", "1 decided")
    assert [row[1] for row in stored(served)] == ["keep"]


def test_a_key_with_ctrl_is_the_browsers(page: Any, served: Any) -> None:
    page.press("Control+k")
    page.press("2")
    page.wait_for("#progress-text", "1 decided")
    assert [row[1] for row in stored(served)] == ["relabel"]


def test_near_copies_stand_side_by_side(page: Any, served: Any) -> None:
    while not page.tab.locator(".copy").count():
        done = int(page.tab.text_content("#progress-text").split()[0])
        page.press("k")
        page.wait_for("#progress-text", f"{done + 1} decided")
    page.tab.locator(".copy .stage[data-state=shown]").nth(1).wait_for()
    names = page.tab.locator(".copy figcaption").all_text_contents()
    assert sorted(name.split()[2] for name in names) == ["sad/twin-small.png", "sad/twin.png"]
    assert page.tab.locator("#title").bounding_box()["width"] <= 1, "each copy has its own name"
    assert page.tab.locator("#actions button").all_text_contents()[:4] == [
        "O0Keep the marked one as sad the other left out", "K2Keep both as sad", "1Both are happy 2 relabelled",
        "XLeave both out neutral face, neither, unusable",
    ], "what keeps one copy comes first"  # fmt: skip
    marked = page.tab.locator(".copy[data-current] figcaption")
    first = marked.text_content()
    page.press("c")
    assert marked.text_content() != first
    assert page.tab.locator(".copy button").all_text_contents().count("Marked") == 1
    assert marked.get_by_role("button", name="Marked").is_visible()
    kept = marked.text_content().split()[2]
    before = len(served.rows)
    page.press("z")
    page.wait_for("#said", "Z does nothing here.")
    page.press("0")  # looks like the letter
    page.wait_for("#progress-text", f"{before + 2} decided")
    assert page.tab.is_hidden("#said")
    assert sorted((path == kept, decision) for path, decision, _ in stored(served)[before:]) == [
        (False, "leave-out"), (True, "keep"),
    ]  # fmt: skip
    page.press("u")
    page.wait_for("#progress-text", f"{before} decided")


def test_one_picture_under_two_labels_has_no_button_that_stands_out(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], data: Path, drawn_bundle: Path
) -> None:
    """To keep both would keep a mistake."""
    with Image.open(data / "sad" / "twin.png") as twin:
        save(data / "happy" / "twin-again.png", twin.resize((80, 80)))
    served = serve(open_session(data, model=drawn_bundle, detect=False))
    page = visit(browser, served.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.wait_for("#reason", "Same image under two labels")
    assert str(page.tab.text_content("#why")).startswith("labelled happy and sad, looks sad (")
    page.tab.locator(".copy .stage[data-state=shown]").nth(2).wait_for()
    answers = [text.split("model: ")[1].split() for text in page.tab.locator(".copy .answer").all_text_contents()]
    assert [label for label, _ in answers] == ["sad"] * 3, "whose label is right, a person sees beside each"
    page.wait_for("#model-title", "The model's answer to the marked one")
    page.wait_for("#bars", "sad")
    assert page.tab.locator("#actions button.primary").count() == 0
    names = [button.inner_text().replace("\n", " ") for button in page.tab.locator("#actions button").all()]
    assert names[:2] == ["All 3 are happy 1 kept, 2 relabelled", "All 3 are sad 2 kept, 1 relabelled"]
    assert names[4] == "Keep all 3 labels differ: 1 happy, 2 sad", "after all that leaves one label"
    assert "the other 2 left out" in names[2]
    assert page.tab.evaluate("document.documentElement.scrollWidth") == 390
    page.check_accessible()
    page.tab.get_by_role("button", name="All 3 are sad").tap()
    page.wait_for("#progress-text", "3 decided")
    assert sorted(stored(served)) == [
        ("happy/twin-again.png", "relabel", "sad"),
        ("sad/twin-small.png", "keep", "sad"), ("sad/twin.png", "keep", "sad"),
    ]  # fmt: skip


def test_keep_stands_out_where_nothing_is_in_doubt(page: Any) -> None:
    while page.tab.text_content("#reason") != "The model agrees with the label":
        name = page.name
        page.press("l")
        page.wait_until_not(name)
    assert page.tab.locator("#actions button.primary").all_text_contents() == [
        f"K{'1' if page.name.startswith('happy') else '2'}Keep {page.name.split('/')[0]}"
    ]


def test_one_of_several_faces_is_chosen(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], tmp_path: Path, two_people: Any
) -> None:
    save(tmp_path / "data" / "happy" / "two.png", two_people(0))
    save(tmp_path / "data" / "sad" / "one.png", two_people(0, None, False))
    served = serve(open_session(tmp_path / "data", detect=True))
    page = visit(browser, served.url)
    page.tab.locator(".stage[data-state=shown]").first.wait_for()
    if page.name != "happy/two.png":
        page.press("l")
    page.wait_until_shown("happy/two.png")
    boxes = page.tab.locator("button.face-box")
    assert boxes.count() == 2
    answer, probability = served.session.item("happy/two.png").probabilities[0]
    assert boxes.first.text_content() == f"1 model: {answer} {probability:.2f}"
    assert page.tab.text_content("#labelled") == "labelled happy"
    page.wait_for("#faces-hint", "2 faces: the label is for face 1.")
    page.check_accessible()
    page.press("f")
    page.wait_for("#faces-hint", "2 faces: the label is for face 2.")
    boxes.first.click()
    page.wait_for("#faces-hint", "face 1.")
    page.press("f")
    page.press("k")
    page.wait_for("#progress-text", "1 decided")
    (row,) = served.rows
    second = served.session.item("happy/two.png").faces[1]
    assert [int(number) for number in row["face"].split()] == [
        second.x, second.y, second.width, second.height,
    ]  # fmt: skip


def test_when_all_is_decided_the_page_says_so(page: Any, served: Any) -> None:
    while not page.tab.is_visible("#done"):
        done = int(page.tab.text_content("#progress-text").split()[0])
        page.press("k")
        page.wait_until_more_than(done)
    page.wait_for("#progress-text", "35 decided, 0 left")
    page.check_accessible()
    page.wait_for("#done", "Every picture has a decision")
    assert page.tab.is_hidden("#many-open")
    page.press("b")
    page.wait_for("#said", "B does nothing here.")
    page.tab.get_by_role("button", name="Go on to the training").click()
    page.tab.locator("#train").wait_for()
    page.wait_for("#enough-title", "Enough for now")
    assert page.tab.locator("#enough button.primary").all_text_contents() == ["Train"]
    assert not page.tab.get_by_role("button", name="Go on").is_visible(), "nothing is left to look at"
    assert not page.tab.is_visible("#train-meanwhile")
    page.check_accessible()
    page.tab.click("#enough-close")
    page.tab.get_by_role("button", name="Go on to the training").wait_for()
    page.press("u")
    page.tab.locator("#single").wait_for()


def test_the_picture_is_drawn_as_large_as_the_window_allows(page: Any) -> None:
    width = page.tab.locator(".stage").bounding_box()["width"]
    assert width >= 340
    assert np.isclose(page.tab.locator(".stage img").bounding_box()["width"], width)


def test_a_phone_shows_a_whole_portrait_above_the_decisions(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], data: Path, drawn_bundle: Path
) -> None:
    shutil.rmtree(data)
    for number in range(3):
        tall = Image.new("RGB", (240, 384), (90, 90, 90))
        tall.paste(Image.fromarray(draw_face("sad", number, 240)), (0, 72))
        save(data / "happy" / f"{number}.png", tall)
        save(data / "sad" / f"{number}.png", draw_face("happy", 50 + number, 240))
    served = serve(open_session(data, model=drawn_bundle, detect=False))
    page = visit(browser, served.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.tab.locator(".stage[data-state=shown]").first.wait_for()
    while not page.name.startswith("happy"):
        name = page.name
        page.tab.get_by_role("button", name="Later").tap()
        page.wait_until_not(name)
    for _ in range(2):  # also with a message above
        name = page.name
        page.wait_until_shown(name)
        picture = page.tab.locator(".stage img").bounding_box()
        assert picture["height"] > 300
        assert picture["y"] + picture["height"] <= page.tab.locator("#actions").bounding_box()["y"]
        page.tab.get_by_role("button", name="Leave out").tap()
        page.wait_until_not(name)
        page.tab.get_by_role("button", name="Undo").tap()
        page.wait_for("#said", "Undone")
        page.wait_until_shown(name)
    assert page.tab.evaluate("document.documentElement.scrollWidth") == 390

"""The truth is the server's file: reload, two tabs, two people, files that go, and a server that is killed."""

import json
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fix_tab import read_rows

from mien.cli.output.fix_tables import to_jsonl
from mien.data.fixes.opening import open_session
from mien.data.fixes.records import FILE_NAME
from mien.data.fixes.session import Choice
from mien.data.fixes.store import FixesFile


def first_shown(page: Any) -> str:
    page.tab.locator(".stage[data-state=shown]").first.wait_for()
    return str(page.name)


def test_a_reload_goes_on_where_one_was(serve: Callable[..., Any], browser: Any, visit: Callable[..., Any]) -> None:
    served = serve()
    page = visit(browser, served.url)
    first = first_shown(page)
    page.press("2")
    page.wait_for("#progress-text", "1 decided")
    second = page.name
    page.tab.reload()
    page.wait_until_shown(second)
    page.wait_for("#progress-text", "1 decided")
    page.press("u")
    page.wait_until_shown(first)


def test_two_tabs_agree_and_nothing_is_applied_twice(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any]
) -> None:
    served = serve()
    one, two = visit(browser, served.url), visit(browser, served.url)
    first = first_shown(one)
    assert first_shown(two) == first
    one.press("2")
    one.wait_for("#progress-text", "1 decided")
    two.press("x")  # on the picture that the other tab has decided
    two.wait_for("#alert", f"{first}: was decided meanwhile (relabelled happy to sad), so nothing was stored.")
    two.check_accessible()
    two.wait_until_shown(one.name)
    assert [(row["path"], row["decision"]) for row in served.rows] == [(first, "relabel")]
    two.press("k")
    two.wait_for("#progress-text", "2 decided")
    assert two.tab.is_hidden("#alert")


def test_a_request_that_is_sent_again_is_applied_once(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any]
) -> None:
    served = serve()
    page = visit(browser, served.url)
    first = first_shown(page)
    lost: list[Any] = []

    def lose_the_answer(route: Any) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.fetch())
        route.abort()

    page.tab.route("**/v1/fix/decisions", lose_the_answer)
    page.press("2")
    page.wait_for("#progress-text", "1 decided")
    assert page.tab.is_hidden("#alert")
    assert [(row["path"], row["decision"]) for row in served.rows] == [(first, "relabel")]
    page.allow_errors("ERR_")


def test_two_people_who_disagree_are_both_shown(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], session_of: Callable[..., Any]
) -> None:
    name = "happy/wrong-1.png"
    session_of("ann").decide(name, "keep")
    session_of("ben").decide(name, "relabel", "sad")
    served = serve(session_of("cleo"))
    page = visit(browser, served.url)
    page.wait_until_shown(name)
    page.wait_for("#reason", "Two people disagree")
    people = page.tab.locator("#people li").all_text_contents()
    assert [re.sub(r" \(.*", "", text) for text in people] == ["ann: kept as happy", "ben: relabelled happy to sad"]
    page.check_accessible()
    page.press("2")
    page.wait_until_not(name)
    assert served.session.disagreement(name) == ()
    assert served.session.decision(name).label == "sad"


@pytest.mark.parametrize("joined", [False, True], ids=["merged", "one-behind-the-other"])
def test_two_files_that_disagree_are_settled_in_the_page(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], session_of: Callable[..., Any], tmp_path: Path,
    joined: bool,
) -> None:  # fmt: skip
    """Neither of the two gave a name."""
    first, second, third = "happy/wrong-1.png", "happy/wrong-2.png", "sad/sad-0.png"
    other = tmp_path / "ben" / FILE_NAME
    session_of("").decide_many([Choice(first, "leave-out"), Choice(second, "relabel", "sad"), Choice(third, "keep")])
    other.parent.mkdir()
    (tmp_path / FILE_NAME).rename(other)
    session_of("").decide_many([Choice(first, "relabel", "sad"), Choice(second, "keep")])
    if joined:
        (tmp_path / FILE_NAME).write_bytes((tmp_path / FILE_NAME).read_bytes() + other.read_bytes())
    else:
        assert len(FixesFile(tmp_path / FILE_NAME).merge(other).fixes) == 3
    served = serve(session_of(""))
    page = visit(browser, served.url)
    name = "file 2" if joined else "ben"
    page.wait_for("#reason", "Two people disagree")
    page.wait_for("#progress-text", "1 decided")
    said = {
        first: {"somebody: relabelled happy to sad", f"{name}: left out"},
        second: {"somebody: kept as happy", f"{name}: relabelled happy to sad"},
    }
    while said:
        conflict = page.name
        page.wait_until_shown(conflict)
        people = page.tab.locator("#people li").all_text_contents()
        assert {re.sub(r" \(.*", "", text) for text in people} == said.pop(conflict)
        page.press("2")
        page.wait_until_not(conflict)
    assert page.tab.is_hidden("#people")
    assert served.session.progress().conflicts == 0
    assert [served.session.decision(one).label for one in (first, second, third)] == ["sad", "sad", "sad"]
    assert [row["settles"] for row in served.rows[-2:]] == ["yes", "yes"]


def test_the_page_shows_what_the_list_names(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], session_of: Callable[..., Any]
) -> None:
    listed = [json.loads(line) for line in to_jsonl(session_of()).splitlines()]
    page = visit(browser, serve().url)
    for row in [row for row in listed if not row["group"]][:3]:
        page.wait_until_shown(row["file"])
        page.wait_for("#why", row["reason"])
        page.press("l")
        page.wait_until_not(row["file"])


def test_a_file_that_has_gone_or_changed_is_skipped_with_a_sentence(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], data: Path, drawn_bundle: Path
) -> None:
    served = serve(open_session(data, model=drawn_bundle, detect=False))
    first, second, third = (item["name"] for item in served.app.state.mien.desk.state()["queue"][:3])
    (data / first).unlink()
    (data / second).write_bytes((data / third).read_bytes())
    page = visit(browser, served.url)
    page.wait_until_shown(third)
    page.wait_for("#alert", "It is skipped")
    page.press("k")
    page.wait_for("#progress-text", "1 decided")
    assert [row["path"] for row in served.rows] == [third]
    page.allow_errors("422")


def test_a_file_that_changes_while_it_is_on_screen_is_not_decided(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], data: Path, drawn_bundle: Path
) -> None:
    served = serve(open_session(data, model=drawn_bundle, detect=False))
    page = visit(browser, served.url)
    first = first_shown(page)
    (data / first).write_bytes((data / "sad" / "sad-0.png").read_bytes())
    page.press("2")
    page.wait_for("#alert", first)
    page.wait_until_not(first)
    assert served.rows == []


def test_a_killed_server_loses_nothing_and_a_new_address_goes_on(
    command: Any, browser: Any, visit: Callable[..., Any], data: Path
) -> None:
    page = visit(browser, command.start())
    first = first_shown(page)
    page.press("2")
    page.wait_for("#progress-text", "1 decided")
    second = page.name
    command.end(signal.SIGKILL)
    page.press("x")
    page.wait_for("#banner", "mien fix does not answer. All that you decided before this picture is stored.")
    assert page.name == second, "the picture is not decided"
    page.check_accessible()
    assert [(row["path"], row["decision"]) for row in read_rows(data / "mien-fixes.csv")] == [(first, "relabel")]
    old = command.url
    command.start()
    assert command.url != old, "each start has a secret of its own"
    page.wait_for("#banner", "This address is of an earlier start of mien fix.")
    page.check_accessible()
    page.tab.goto(command.url)  # the same page, with another fragment
    page.wait_until_shown(second)
    page.wait_for("#progress-text", "1 decided")
    page.press("k")
    page.wait_for("#progress-text", "2 decided")
    assert [row["path"] for row in read_rows(data / "mien-fixes.csv")] == [first, second]
    page.allow_errors("ERR_", "401")


def relabel_all_but_one_of_a_grid(page: Any) -> None:
    """Mark the first of six pictures in a grid, and decide about the others."""
    first_shown(page)
    page.press("b")
    page.tab.locator(".tile img[src]").nth(5).wait_for()
    page.tab.locator(".tile").first.click()
    page.press("2")
    page.wait_for("#progress-text", "5 decided")


def test_a_server_that_is_killed_behind_a_grid_keeps_the_grid_whole(
    command: Any, browser: Any, visit: Callable[..., Any], data: Path
) -> None:
    page = visit(browser, command.start())
    relabel_all_but_one_of_a_grid(page)
    first_shown(page)  # the marked one
    command.end(signal.SIGKILL)
    page.press("x")
    page.wait_for("#banner", "mien fix does not answer. All that you decided before this picture is stored.")
    rows = read_rows(data / "mien-fixes.csv")
    assert [(row["decision"], row["label"]) for row in rows] == [("relabel", "sad")] * 5
    page.tab.goto(command.start())
    page.wait_for("#progress-text", "5 decided")
    first_shown(page)
    page.press("u")  # the file tells which rows are of one grid, but not what was marked
    page.wait_for("#said", "Undone: 5 pictures are undecided again; they were relabelled happy to sad.")
    page.wait_for("#said", "The grid is back; marks are forgotten")
    page.wait_for("#progress-text", "0 decided")
    page.tab.locator(".tile img[src]").nth(4).wait_for()
    assert [row["decision"] for row in read_rows(data / "mien-fixes.csv")[5:]] == ["undo"] * 5
    page.allow_errors("ERR_", "401")


def test_another_file_of_the_same_bytes_is_named_below_the_picture(
    command: Any, browser: Any, visit: Callable[..., Any], data: Path
) -> None:
    for path in sorted((data / "happy").iterdir()):  # whichever comes first
        shutil.copy(path, path.with_name(f"again-{path.name}"))
    page = visit(browser, command.start())
    first_shown(page)
    while page.tab.is_hidden("#same"):
        done = int(page.tab.text_content("#progress-text").split()[0])
        page.press("x")
        page.tab.wait_for_function("n => parseInt(document.querySelector('#progress-text').textContent) > n", arg=done)
    assert "One decision counts for all." in page.tab.text_content("#same")
    assert page.tab.locator("#same").bounding_box()["width"] > 100, "it can be read"


def test_ctrl_c_says_how_many_marked_pictures_wait(command: Any, browser: Any, visit: Callable[..., Any]) -> None:
    page = visit(browser, command.start())
    relabel_all_but_one_of_a_grid(page)
    page.allow_errors("503", "ERR_")  # the page still fetches the next pictures
    said = command.end(signal.SIGINT)
    assert "1 picture that was marked in a grid has no decision yet" in said

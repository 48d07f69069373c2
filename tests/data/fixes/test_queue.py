"""The reasons for a look at an image: all of them, the most telling first, with what the model says of its label."""

from mien.data.dataset import Sample
from mien.data.fixes.queue import Findings, Item, answered, rank
from mien.data.issue_collector import make_issue
from mien.data.look import Look

DRAWN, BOTH, SURE, FACELESS = "happy/drawn.png", "happy/both.png", "sad/sure.png", "sad/noise.png"
LOOKS = "looks drawn ({:.2f})"


def items() -> dict[str, Item]:
    issues = [
        make_issue(
            "not-a-photograph", [DRAWN, BOTH], [], {}, notes={DRAWN: LOOKS.format(0.87), BOTH: LOOKS.format(0.9)}
        ),
        make_issue("label-issue", [BOTH], [], {}, notes={BOTH: "labelled happy, looks sad (0.97)"}),
        make_issue("no-face", [FACELESS], [], {}),
    ]  # fmt: skip
    shares = {DRAWN: (0.07, 0.93), BOTH: (0.03, 0.97), SURE: (0.02, 0.98)}
    names = [DRAWN, BOTH, SURE, FACELESS]
    found = Findings(
        ("happy", "sad"), [Sample(name, name.partition("/")[0], None) for name in names], issues,
        {FACELESS: "no-face"}, {name: Look((), (), share) for name, share in shares.items()},
        {name: name for name in names},
    )  # fmt: skip
    return {item.name: item for item in rank(found)}


def test_a_drawing_does_not_hide_that_its_label_is_doubted() -> None:
    drawn = items()[DRAWN]
    assert (drawn.kind, drawn.suggestion) == ("not-a-photograph", "sad")
    assert drawn.reason == drawn.detail == "looks drawn (0.87); labelled happy, looks sad (0.93)"


def test_a_wrong_label_does_not_hide_that_it_looks_drawn() -> None:
    both = items()[BOTH]
    assert both.kind == "label-issue"
    assert both.reason == both.detail == "labelled happy, looks sad (0.97); looks drawn (0.90)"


def test_a_reason_without_a_note_is_called_by_its_kind_and_a_title_is_not_said_twice() -> None:
    noise = items()[FACELESS]
    assert (noise.reason, noise.detail) == ("no face found; labelled sad", "labelled sad")
    assert items()[SURE].reason == "labelled sad, and the model says so too (0.98)"


def test_an_answer_that_is_hardly_more_than_a_toss_of_a_coin_is_called_unsure() -> None:
    sure = items()[SURE]
    agreed, otherwise = (answered(sure, {"sad": share, "happy": 1 - share}) for share in (0.52, 0.48))
    assert agreed.reason == "labelled sad; model not sure (sad 0.52)"
    assert otherwise.reason == "labelled sad; model not sure (happy 0.52)"
    assert answered(sure, {"sad": 0.61, "happy": 0.39}).reason == "labelled sad, and the model says so too (0.61)"
    assert answered(sure, {"sad": 0.39, "happy": 0.61}).reason == "labelled sad, looks happy (0.61)"


def test_what_was_seen_stays_when_another_model_answers() -> None:
    doubted = answered(items()[DRAWN], {"happy": 0.01, "sad": 0.99}, label_issue=True)
    assert (doubted.kind, doubted.reason) == ("label-issue", "labelled happy, looks sad (0.99); looks drawn (0.87)")
    agreed = answered(doubted, {"happy": 0.95, "sad": 0.05})
    assert (agreed.kind, agreed.reason) == (
        "not-a-photograph",
        "looks drawn (0.87); labelled happy, and the model says so too (0.95)",
    )

"""What README, model card and pages say was measured is what the benchmarks recorded."""

import json
import re
from pathlib import Path

import pytest

import measured
from measured import PAGES, QUOTE, ROOT, number, quoted, record, results, results_page, updated

FOUND = results()

#: Code of a page, in which figures are settings or examples.
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_NUMBER = r"\d(?:[\d.,\s]*\d)?\s?"
#: What a page may say only between the comments of a quote: a rate, milliseconds, megabytes, a ratio of speeds, how
#: long something takes. Limits and settings are written in seconds and MiB.
CLAIM = re.compile(
    rf"{_NUMBER}(?:images|photos|crops|faces|files|frames|rows|requests|[kMG]i?B)/s"
    rf"|{_NUMBER}(?:ms|[MG]B)\b|{_NUMBER}times (?:as (?:fast|long|much)|faster|slower)"
    rf"|(?:takes?|took|lasts?|starts in)(?: about| only)? {_NUMBER}(?:s|seconds|min|minutes|h|hours)\b"
)
#: Figures that nobody measures, and why.
NOT_MEASURED = {
    "128 GB": "a machine that is assumed", "takes 0.4 s": "follows from the time constant",
    "5.4 MB": "the first load of the page: tests/web/test_docs.py compares it with the files",
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_quote_is_the_recorded_figure(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert updated(text, FOUND) == text, "run python benchmarks/measured.py"


def claims(text: str) -> list[str]:
    """Return what a page says was measured without quoting a result."""
    found = CLAIM.findall(CODE.sub("", QUOTE.sub("", text)))
    return [claim for claim in (" ".join(one.split()) for one in found) if claim not in NOT_MEASURED]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_measured_figure_is_a_quote(page: Path) -> None:
    """Let a benchmark record the figure and quote it, see benchmarks/README.md; or leave it out."""
    assert claims(page.read_text(encoding="utf-8")) == []


def test_claims_are_found() -> None:
    text = (
        "It reads 6 560 crops/s, 33 images/s, in 4.8\xa0ms; 3.5 MB, 2.7 times as long, takes about 20 minutes.\n"
        "Bodies have 32 MiB, a request 30 s, `32 MB` in code, <!-- measured: a / b -->5 ms<!-- end -->.\n"
    )
    wanted = ["6 560 crops/s", "33 images/s", "4.8 ms", "3.5 MB", "2.7 times as long", "takes about 20 minutes"]
    assert claims(text) == wanted


def test_there_are_quotes() -> None:
    assert {path.name for path in PAGES if QUOTE.search(path.read_text(encoding="utf-8"))} >= {
        "README.md", "MODEL_CARD.md"
    }  # fmt: skip


def test_no_quote_inside_a_line_begins_one() -> None:
    """Markdown takes a line that begins with a comment for HTML, and ends the paragraph there."""
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            assert not line.lstrip().startswith("<!-- measured: ") or line.startswith("<!-- measured: table "), (
                page.name,
                line,
            )


def test_every_result_is_on_the_page_of_measurements() -> None:
    text = results_page(FOUND)
    for name, result in FOUND.items():
        assert f"\n## {name}\n" in text
        assert (ROOT / "benchmarks" / f"{name}.py").exists()
        for what, figure in result["figures"].items():
            assert f"| {what} | {number(figure['value'])} {figure['unit']} |" in text


def test_a_benchmark_records_only_if_it_is_asked_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(measured, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(measured, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["benchmarks/near.py", "--data", "/data/faces/fer2013"])
    monkeypatch.setenv("MIEN_DATA", "/data/faces/")
    monkeypatch.delenv("MIEN_RECORD", raising=False)
    rows: list[measured.Row] = [
        ("cold start", "s", [0.3, 0.2, 0.25123]),
        ("graph", "MB", 3.52),
        ("faces", "", "3 [2, 4]"),
    ]
    record("near", rows)
    assert not (tmp_path / "results").exists()
    monkeypatch.setenv("MIEN_RECORD", "1")
    record("near", rows)
    found = json.loads((tmp_path / "results" / "near.json").read_text())
    assert found["command"] == "python benchmarks/near.py --data $MIEN_DATA/fer2013"
    assert found["figures"]["cold start"] == {"unit": "s", "value": 0.2512, "minimum": 0.2, "maximum": 0.3, "runs": 3}
    assert [quoted(f"near / {what}", {"near": found}) for what, _, _ in rows] == ["0.251 s", "3.52 MB", "3 [2, 4]"]
    text = "It takes <!-- measured: near / cold start -->9 s<!-- end -->."
    assert updated(text, {"near": found}) == "It takes <!-- measured: near / cold start -->0.251 s<!-- end -->."
    with pytest.raises(KeyError):
        updated("<!-- measured: near / warm start -->1 s<!-- end -->", {"near": found})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (6557.0, "6 560"),
        (0.2714, "0.271"),
        (12.0, "12"),
        (0.000123, "0.000123"),
        (1234567, "1 230 000"),
        ("1 [0]", "1 [0]"),
    ],
)
def test_numbers_have_three_significant_digits(value: float | str, text: str) -> None:
    assert number(value) == text

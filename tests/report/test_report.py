"""A report is one well-formed page that loads nothing, says every figure, and escapes every word it was given."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mien
from mien.data.audit import audit
from mien.data.dataset import read_manifest
from mien.evaluation.provenance import with_groups
from mien.evaluation.scoring import Predictions, score
from mien.metrics.calibration import area_under_risk_coverage
from mien.metrics.classification import classification_metrics
from mien.report.document import Gallery, Note, Section, Table
from mien.report.html import page
from mien.report.report import Evaluation, write_report
from mien.report.sections.performance import MOST_CURVES, confusion_section, curves_section
from mien.report.sections.provenance import data_section, training_section
from mien.viz.charts import Chart

MakeBundle = Callable[..., Path]
SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
VOID = {"meta", "img", "br", "hr", "link", "input"}
CHROMIUM = Path("/usr/bin/chromium")


class Page(HTMLParser):
    """Reads a page strictly: every element is closed, in order; ids are unique and links inside it lead somewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        links = {value[1:] for _, attributes in self.tags if (value := attributes.get("href") or "").startswith("#")}
        assert links <= set(ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)

    def loaded(self) -> list[str]:
        """Whatever the page would fetch from elsewhere."""
        found = [
            value
            for _, attributes in self.tags
            for name, value in attributes.items()
            if name in ("src", "href", "srcset", "xlink:href", "data", "action", "poster") and value
        ]
        return [value for value in found if not value.startswith(("#", "data:image/png;base64,"))]


def made_up(n: int = 60, classes: tuple[str, ...] = ("happy", "sad"), seed: int = 0, size: int = 16) -> Predictions:
    """Scores of a model that is right more often than not, with what it saw."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(classes), n)
    shares = rng.dirichlet(np.ones(len(classes)), n) + np.eye(len(classes))[truth] * 0.4
    shares /= shares.sum(axis=1, keepdims=True)
    names = tuple(f"{classes[code]}/{index}.png" for index, code in enumerate(truth))
    crops = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return Predictions(classes, names, truth, shares.argmax(axis=1), shares, crops=crops)


def written(scored: Predictions, folder: Path, reader: mien.Reader | None = None, **more: Any) -> tuple[Page, str]:
    write_report(Evaluation(scored, "a test", {"model": "linear", "seed": 7}, reader, **more), folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return Page(text), text


@pytest.fixture(scope="module", params=[("happy", "sad"), SEVEN], ids=["two", "seven"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictions, Path, Page]:
    """Answers, the folder of their report, and its page."""
    scored, folder = made_up(300, request.param, seed=3), tmp_path_factory.mktemp("report")
    return scored, folder, written(scored, folder)[0]


def test_a_report_is_one_page_that_loads_nothing(report: tuple[Predictions, Path, Page]) -> None:
    _, folder, found = report
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert found.loaded() == []
    assert found.count("script") == 0
    assert not re.search(r"https?:|@import|url\((?!#)", text)
    assert "default-src 'none'" in text
    assert len(text) < 5_000_000


def test_every_number_of_metrics_json_is_shown(report: tuple[Predictions, Path, Page]) -> None:
    scored, folder, found = report
    figures = json.loads((folder / "metrics.json").read_text())
    per_class = [row[name] for row in figures["per_class"].values() for name in row if isinstance(row[name], dict)]
    overall = [value for value in figures.values() if isinstance(value, dict) and {"value", "low"} <= value.keys()]
    assert len(overall) == 9
    assert len(per_class) == 5 * len(scored.classes)
    for figure in (*overall, *per_class):
        for number in figure.values():
            assert f"{number:.3f}" in found.text
    for row in figures["confusion"]:
        for count in row:
            assert f" {count:,} " in found.text
    for row in (figures["thresholds"] or {"rows": []})["rows"]:
        assert f"{row['cost']:.2f}" in found.text
    assert scored.is_right.mean() == pytest.approx(figures["accuracy"]["value"])
    assert f"linear is right on {100 * scored.is_right.mean():.1f} % of 300 images" in found.text


def test_names_are_words_and_never_markup(tmp_path: Path) -> None:
    nasty = ("<img src=x>.png", "a&b;\"'<script>alert(1)</script>.png", "</style></svg>.png", "caf\udce9.png", "喜.png")
    classes = ("<b>happy</b>", "$sad$ & <i>")
    base = made_up(5, classes)
    truth, answers = np.array([0, 1, 0, 1, 0]), np.array([1, 0, 1, 1, 0])
    scored = Predictions(
        classes, nasty, truth, answers, base.probabilities, skipped=(("<u>.png", "is <empty>"),),
        no_face=("<p>.png",), crops=base.crops,
    )  # fmt: skip
    found, text = written(scored, tmp_path)
    assert [tag for tag, _ in found.tags if tag in ("script", "b", "i", "u", "a&b")] == []
    assert [one for one in found.tags if one[0] == "img" and not (one[1]["src"] or "").startswith("data:")] == []
    for word in (*classes, nasty[0], nasty[1], nasty[2], nasty[4], "<u>.png is <empty>"):
        assert word in found.text.replace("\u200b", "")
    assert "alert(1)</script>" not in text


def test_a_page_can_be_read_aloud(report: tuple[Predictions, Path, Page]) -> None:
    scored, folder, found = report
    text = (folder / "report.html").read_text(encoding="utf-8")
    headings = [tag for tag, _ in found.tags if tag in ("h1", "h2", "h3")]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert all(attributes.get("alt") for tag, attributes in found.tags if tag == "img")
    drawn = [attributes for tag, attributes in found.tags if tag == "svg"]
    assert len(drawn) == (6 if len(scored.classes) == 2 else 5)
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in drawn)
    assert found.count("table") == text.count("<thead>")
    assert all(attributes["scope"] in ("col", "row") for tag, attributes in found.tags if tag == "th")
    assert '<html lang="en">' in text


DEGENERATE = {
    "one image": ([0], [0], [[0.9, 0.1]]),
    "all right": ([0, 1] * 10, [0, 1] * 10, [[0.99, 0.01], [0.02, 0.98]] * 10),
    "all wrong": ([0, 1] * 10, [1, 0] * 10, [[0.01, 0.99], [0.98, 0.02]] * 10),
    "one class": ([0] * 12, [0] * 12, [[0.8, 0.2]] * 12),
    "one answer": ([0, 1] * 6, [0] * 12, [[0.5, 0.5]] * 12),
    "certain": ([0, 1] * 6, [0, 1] * 6, [[1.0, 0.0], [0.0, 1.0]] * 6),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_answers_still_make_a_page(tmp_path: Path, case: str) -> None:
    truth, answers, shares = DEGENERATE[case]
    names = tuple(f"{number}.png" for number in range(len(truth)))
    crops = np.zeros((len(truth), 16, 16, 1), np.uint8)
    scored = Predictions(("happy", "sad"), names, np.array(truth), np.array(answers), np.array(shares), crops=crops)
    found, text = written(scored, tmp_path)
    assert "NaN" not in (tmp_path / "metrics.json").read_text()
    assert not re.search(r"\bnan\b", found.text)
    assert "Traceback" not in text
    assert ("No mistake was made" in found.text) == (truth == answers and case != "all wrong")
    if case == "one class":
        assert "All images are labelled happy" in found.text
        assert "undefined" in found.text


def test_a_class_that_is_never_answered_or_never_occurs(tmp_path: Path) -> None:
    base = made_up(40, SEVEN)
    truth = np.where(base.truth == 2, 0, base.truth)
    answers = np.where(base.answers == 4, 0, base.answers)
    found, _ = written(Predictions(SEVEN, base.names, truth, answers, base.probabilities), tmp_path)
    assert "undefined" in found.text
    assert not re.search(r"\bnan\b", found.text)


def test_a_heatmap_stands_beside_the_crop_whether_the_model_has_maps_or_not(
    make_bundle: MakeBundle, faces: Path, tmp_path: Path
) -> None:
    for maps, how in ((False, "a patch covers each place"), (True, "class activation map")):
        reader = mien.load(make_bundle(size=16, maps=maps), threads=1)
        scored = score(reader, read_manifest(faces))
        folder = tmp_path / str(maps)
        folder.mkdir()
        found, _ = written(scored, folder, reader)
        sizes = {(one["width"], one["height"]) for tag, one in found.tags if tag == "img"}
        assert sizes == {("224", "112")}
        assert "right the evidence for the answer" in found.text and how in found.text
        assert ("class activation map" in found.text) == maps


def test_the_area_under_risk_and_coverage_has_its_interval(report: tuple[Predictions, Path, Page]) -> None:
    scored, folder, found = report
    area = json.loads((folder / "metrics.json").read_text())["risk_coverage"]["area"]
    assert area == area_under_risk_coverage(scored.confidence, scored.is_right).to_dict()
    assert area["low"] < area["value"] < area["high"]
    assert f"The area under the curve is {area['value']:.3f} [{area['low']:.3f}, {area['high']:.3f}]" in found.text


def test_no_crops_no_gallery(tmp_path: Path) -> None:
    base = made_up(30)
    found, _ = written(Predictions(base.classes, base.names, base.truth, base.answers, base.probabilities), tmp_path)
    assert found.count("img") == 0


# Where it comes from


def test_data_issues_and_label_issues_are_named(make_bundle: MakeBundle, faces: Path, tmp_path: Path) -> None:
    import shutil

    data = Path(shutil.copytree(faces, tmp_path / "data"))
    first = sorted((data / "happy").iterdir())[0]
    shutil.copy(first, data / "sad" / "copy.png")
    (data / "sad" / "page.jpg").write_text("<html>")
    manifest = read_manifest(data)
    reader = mien.load(make_bundle(), threads=1)
    found = audit(manifest)
    scored = with_groups(score(reader, manifest), manifest, found.copies)
    assert scored.groups is not None
    same = [scored.names.index(name) for name in (f"happy/{first.name}", "sad/copy.png")]
    assert scored.groups[same[0]] == scored.groups[same[1]]
    assert len(set(scored.groups.tolist())) == len(scored.names) - sum(len(group) - 1 for group in found.copies)
    folder = tmp_path / "out"
    folder.mkdir()
    read, _ = written(scored, folder, reader, audit=found, audited="all of data")
    for word in (
        "same image under two labels",
        "web page under an image name",
        "sad/page.jpg",
        "Labels were not judged: the model agrees with",  # it answers at random
    ):
        assert word in read.text
    assert (scored.sha256 or "?") in read.text


def test_labels_are_in_doubt_only_if_the_model_can_judge_them() -> None:
    good = made_up(60)
    section = data_section(good, None, "the data")
    assert re.match(
        r"The model agrees with \d\d of 60 labels \(.* by chance 5\d %\); \d+ are in doubt", section.conclusion
    )
    assert any(isinstance(part, Table) for part in section.parts)
    few = data_section(made_up(8, seed=1), None, "the data")
    assert few.conclusion.startswith("Labels were not judged: the model agrees with ")
    assert "doubt" not in few.conclusion and not any(isinstance(part, Table) for part in few.parts)


def test_the_data_have_a_hash_of_their_own(make_bundle: MakeBundle, faces: Path, tmp_path: Path) -> None:
    import shutil

    reader = mien.load(make_bundle(), threads=1)
    before = score(reader, read_manifest(faces)).sha256
    data = Path(shutil.copytree(faces, tmp_path / "data"))
    assert score(reader, read_manifest(data)).sha256 == before
    one = sorted((data / "sad").iterdir())[0]
    one.write_bytes(one.read_bytes() + b"\0")
    assert score(reader, read_manifest(data)).sha256 != before


def test_a_history_becomes_two_curves(tmp_path: Path) -> None:
    assert training_section(tmp_path) is None
    head = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,images_per_second,input_share\n"
    (tmp_path / "history.csv").write_text(head)
    assert training_section(tmp_path) is None
    rows = ["1,0.7,0.5,0.8,0.4,0.1,1,1,0\n", "2,0.5,0.7,0.6,0.65,0.1,1,1,0\n", "3,0.4,0.8,0.7,0.6,0.1,1,1,0\n"]
    (tmp_path / "history.csv").write_text(head + "".join(rows))
    found = training_section(tmp_path)
    assert found is not None
    assert "Epoch 2 of 3 was kept, with a validation accuracy of 0.650" in found.conclusion
    assert [part.name for part in found.parts if isinstance(part, Chart)] == ["training-loss", "training-accuracy"]
    assert "easier" not in found.conclusion  # nobody knows how many images these accuracies are of
    for count, easier in ((47, False), (4700, True)):
        counts = {"train": {"happy": count, "sad": count}, "validation": {"happy": count // 2, "sad": count // 2}}
        (tmp_path / "run.json").write_text(json.dumps({"counts": counts}))
        said = training_section(tmp_path)
        assert said is not None
        assert ("Training images were easier, by 5.0 points [3." in said.conclusion) == easier
        assert ("easier" in said.conclusion) == easier
    (tmp_path / "history.csv").write_text("epoch,loss\n1,2\n")
    assert training_section(tmp_path) is None


def test_a_section_stands_in_the_page() -> None:
    parts = (Table(("a", "b"), (("x", "1.5"),), "what to conclude"), Note("careful", "warning"), Gallery(()))
    text = page("t", "k", "v", "d", [], [Section("mine", "A title", "One thing.", parts)])
    for word in ("A title", "One thing.", "what to conclude", "careful", "1.5"):
        assert word in Page(text).text
    assert 'class="warning"' in text


def test_only_what_is_wide_scrolls_and_its_caption_does_not() -> None:
    table = Table(("group", *"abcde"), (("left", "0.95 [0.88, 0.98]", *"1234"),), "a caption")
    text = page("t", "k", "v", "d", [], [Section("s", "Title", "conclusion", (table,))])
    scrolled = text[text.index('<div class="scroll"') :]
    assert "<figcaption>a caption</figcaption>" in text and "figcaption" not in scrolled
    assert "0.95 [0.88,\u00a00.98]" in text


def test_mistakes_of_equal_frequency_are_named_together() -> None:
    truth, answers = np.array([0] * 9 + [1] * 9), np.array([0] * 8 + [1] * 9 + [0])
    even = classification_metrics(truth, np.eye(2)[answers], ("happy", "sad"))
    said = confusion_section(even).conclusion
    assert said == "The most frequent mistakes: happy taken for sad and sad taken for happy, each 1 of 2 mistakes."
    answers[0] = 1
    uneven = classification_metrics(truth, np.eye(2)[answers], ("happy", "sad"))
    assert confusion_section(uneven).conclusion == "The most frequent mistake: happy taken for sad, 2 of 3 mistakes."


def test_curves_of_two_classes_have_their_areas_in_the_captions(report: tuple[Predictions, Path, Page]) -> None:
    scored, _, found = report
    row = scored.metrics.per_class[scored.classes[1]].metrics
    for said in (f"the area under it is {row['roc_auc']}", f"its average is {row['average_precision']}"):
        assert (said in found.text) == (len(scored.classes) == 2)


def test_a_page_of_nothing_is_a_page() -> None:
    assert Page(page("t", "k", "v", "d", [], [])).text == "t k v d"


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs /usr/bin/chromium (apt-get install chromium)")
def test_a_browser_asks_for_nothing_and_shows_both_colour_schemes(report: tuple[Predictions, Path, Page]) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    address = (report[1] / "report.html").as_uri()
    papers = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for scheme, width in (("light", 1200), ("dark", 390)):
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
            tab = context.new_page()
            asked: list[str] = []
            complaints: list[str] = []
            tab.on("request", lambda request, asked=asked: asked.append(request.url))
            tab.on("console", lambda message, complaints=complaints: complaints.append(message.text))
            tab.goto(address)
            papers.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert [url for url in asked if not url.startswith("data:")] == [address]
            assert complaints == []
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            assert tab.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
            context.close()
        browser.close()
    assert papers == ["rgb(255, 255, 255)", "rgb(20, 23, 28)"]


def test_only_a_model_that_takes_a_threshold_is_advised_to_be_given_one(
    make_bundle: MakeBundle, tmp_path: Path
) -> None:
    advice = "--choose-threshold"
    bundle, scored = make_bundle(), made_up()
    own = mien.load(bundle, threads=1)
    cases = {
        "none": (None, None),
        "shipped": (Path("mien"), None),
        "own": (bundle, own),
        "unfinished": (tmp_path, None),
    }
    said = {}
    for name, (run, reader) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        said[name] = advice in written(scored, folder, reader, run=run)[1]
    takes = len(own.config.labels) == 2 and own.config.answer_from is None
    assert said == {"none": False, "shipped": False, "own": takes, "unfinished": True}


def test_curves_are_few_and_of_the_classes_that_are_told_least_well() -> None:
    classes = tuple(f"class {number:02}" for number in range(MOST_CURVES + 5))
    predictions = made_up(300, classes)
    metrics = predictions.metrics
    section = curves_section(predictions, metrics)
    areas = {name: row.metrics["roc_auc"].value for name, row in metrics.per_class.items()}
    worst = sorted(sorted(areas, key=lambda name: areas[name])[:MOST_CURVES])
    for chart in section.parts:
        assert isinstance(chart, Chart)
        assert re.findall(r"class \d\d", chart.svg.partition(">")[2]) == worst
        assert f"of the {MOST_CURVES} classes with the smallest areas, of {len(classes)}" in chart.caption

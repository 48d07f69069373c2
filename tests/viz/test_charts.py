"""A chart is one drawing in two forms: a PNG, and an SVG that can stand among others in a page."""

import io
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.viz import charts
from mien.viz.charts import ACCENT, CATEGORIES, INK, Axes, chart, plain

NASTY = ("<script>alert(1)</script>", "$x$ & $\\y$", '"quoted"', "_hidden", "#0072b2", 'id="x"', "喜")


def draw(axis: Axes) -> None:
    axis.plot([0, 1], [0, 1], color=ACCENT, marker="o")
    axis.bar([0, 1], [1, 2], color=CATEGORIES[1])
    axis.set_title("url(#title)")
    axis.set_xticks(range(len(NASTY)), [plain(name) for name in NASTY])


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter("text")]


def test_one_drawing_is_a_png_and_an_element() -> None:
    found = chart("one", draw, caption="c", alt='an "alt" <text>', width=4, height=3)
    with Image.open(io.BytesIO(found.png)) as image:
        assert (image.format, image.size) == ("PNG", (480, 360))
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    root = ET.fromstring(found.svg)
    assert root.attrib == {"role": "img", "aria-label": 'an "alt" <text>', "viewBox": "0 0 288 216"}
    assert "http" not in found.svg
    assert "<style" not in found.svg


def test_texts_stay_what_they_were() -> None:
    found = {text.strip("\u200b") for text in texts(chart("one", draw, caption="c", alt="a").svg)}
    assert {*NASTY, "url(#title)"} <= found


def test_colours_follow_the_page_and_nothing_else_does() -> None:
    svg = chart("one", draw, caption="c", alt="a").svg
    styles = " ".join(re.findall(r'style="([^"]*)"', svg))
    assert f"var(--c0, {ACCENT})" in styles
    assert f"var(--c1, {CATEGORIES[1]})" in styles
    assert f"var(--ink, {INK})" in styles
    assert not re.findall(r"(?<!, )#[0-9a-f]{6}", styles)
    assert "font-family" not in styles


def ids(svg: str) -> set[str]:
    return {element.attrib["id"] for element in ET.fromstring(svg).iter() if "id" in element.attrib}


def test_no_two_charts_share_an_id() -> None:
    one, two = (chart(name, draw, caption="c", alt="a").svg for name in ("one", "two"))
    assert len(ids(one)) > 20
    assert not ids(one) & ids(two)
    uses = {element.attrib["href"][1:] for element in ET.fromstring(one).iter("use")}
    clips = {path[5:-1] for element in ET.fromstring(one).iter() if (path := element.attrib.get("clip-path"))}
    assert uses
    assert clips
    assert uses | clips <= ids(one)


def test_the_same_drawing_gives_the_same_bytes() -> None:
    one, two = (chart("one", draw, caption="c", alt="a") for _ in range(2))
    assert (one.svg, one.png) == (two.svg, two.png)


@pytest.mark.parametrize("name", list(charts.VARIABLES))
def test_every_colour_has_a_variable_of_its_own(name: str) -> None:
    assert re.fullmatch("#[0-9a-f]{6}", name)
    assert list(charts.VARIABLES.values()).count(charts.VARIABLES[name]) == 1


def test_without_matplotlib_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    code = """
        import sys
        sys.modules["matplotlib"] = None
        import numpy as np
        import mien, mien.report.report, mien.evaluation.scoring, mien.viz.grids
        try:
            mien.viz.grids.confusion_matrix(np.eye(2, dtype=int), ("a", "b"), name="c", caption="", alt="")
        except mien.MissingExtraError as error:
            assert isinstance(error, ImportError)
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout == "drawing plots needs an optional part of mien: pip install 'mien[report]'\n"
    assert list(tmp_path.iterdir()) == []


def test_only_viz_draws_on_axes() -> None:
    package = Path(charts.__file__).parents[1]
    texts = {path: path.read_text("utf-8") for path in package.rglob("*.py") if path.parent.name != "viz"}
    assert len(texts) > 100
    assert [
        path.name for path, text in texts.items() if re.search(r"import .*\bAxes\b|\bchart\(|\.set_xlabel\(", text)
    ] == []


def test_the_words_of_a_chart_keep_all_their_digits() -> None:
    found = chart("digits", draw, caption="", alt="accuracy 0.12345 [0.10005, 0.20009], colour #0072b2")
    assert ET.fromstring(found.svg).get("aria-label") == "accuracy 0.12345 [0.10005, 0.20009], colour #0072b2"

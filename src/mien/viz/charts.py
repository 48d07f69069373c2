"""Make charts: colours, text and the `Chart` itself. What is drawn stands in the modules named by what they draw."""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from mien.errors import MissingExtraError
from mien.io.atomic import new_file
from mien.io.targets import SOFTWARE
from mien.text import html_text, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any

__all__ = [
    "ACCENT", "CATEGORIES", "FAINT", "INK", "MUTED", "PAPER", "SETTINGS", "STYLES", "Axes", "Chart", "Words", "chart",
    "line_style", "plain", "require_matplotlib",
]  # fmt: skip

#: The colours of a chart. In the SVG each becomes a CSS variable that the page sets for light and for dark. Use no
#: others. `INK` is for text, `MUTED` for what matters less, `FAINT` for grid lines, `PAPER` is the background.
INK, MUTED, FAINT, PAPER = "#1b1f24", "#5c6470", "#d5dae1", "#fefefe"
#: The colour of the data if there is one series; the first of the categories.
ACCENT = "#0072b2"
#: Okabe and Ito's palette, told apart with every common kind of colour blindness.
CATEGORIES = (ACCENT, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1b1f25")
#: Line styles that go with the colours, for charts of more lines than colours or without colour.
STYLES = ("-", "--", ":", "-.")

#: The CSS variable of each colour.
VARIABLES = {
    INK: "--ink", MUTED: "--muted", FAINT: "--faint", PAPER: "--paper",
    **{colour: f"--c{number}" for number, colour in enumerate(CATEGORIES)},
}  # fmt: skip

SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: it is searched, selected and read aloud
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


class Words(TypedDict):
    """The text that goes with a chart.

    `name` is the name of its file: letters, digits and hyphens, unique in a report. `caption` says what to conclude
    from it. `alt` says what it shows, for those who cannot see it.
    """

    name: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Chart:
    """A drawing in two forms: `svg`, an inline `<svg>` whose colours are CSS variables, and `png`, a light PNG file.

    `name`, `caption` and `alt` are as in `Words`.
    """

    name: str
    svg: str
    png: bytes
    caption: str
    alt: str

    def save(self, path: Path) -> None:
        """Write the PNG, whole or not at all; OutputError if it cannot be written."""
        with new_file(path) as part:
            part.write_bytes(self.png)


def require_matplotlib() -> None:
    """Raise MissingExtraError if charts cannot be drawn; call it before long work starts."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("drawing plots", "report") from error


def chart(
    name: str,
    draw: Callable[[Axes], None] | Sequence[Callable[[Axes], None]],
    *,
    caption: str,
    alt: str,
    width: float = 6.4,
    height: float = 3.6,
    columns: int = 1,
    title: str = "",
) -> Chart:
    """Draw a chart of one panel or of several.

    Class names and other texts from outside go through `plain`.

    Args:
        name: as in `Words`, like `caption` and `alt`.
        draw: draws on empty axes; several draw one panel each, row by row.
        caption: what to conclude.
        alt: what is shown.
        width: width of a panel in inches.
        height: height of a panel in inches.
        columns: panels in a row.
        title: stands above all panels.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_matplotlib()
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    draws = [draw] if callable(draw) else list(draw)
    rows = -(-len(draws) // columns)
    size = (width * min(columns, len(draws)), height * rows)
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in scripts the font does not have
        figure: Any = Figure(figsize=size, dpi=120, facecolor="white", layout="constrained")
        pixels: Any = FigureCanvasAgg(figure)
        for number, one in enumerate(draws, 1):
            one(figure.add_subplot(rows, min(columns, len(draws)), number))
        if title:
            figure.suptitle(plain(title), x=0.01, horizontalalignment="left", fontsize=SETTINGS["axes.titlesize"])
        png, svg = io.BytesIO(), io.StringIO()
        pixels.print_png(png, metadata=SOFTWARE)  # what savefig would do, less a second drawing for the layout
        figure.set_layout_engine("none")  # everything has its place now
        for each in (figure, *figure.axes):
            each.patch.set_facecolor("none")
        lines: Any = FigureCanvasSVG(figure)
        lines.print_svg(svg, metadata={"Date": None})
    return Chart(name, _inline(svg.getvalue(), name, alt), png.getvalue(), caption, alt)


def plain(text: str, longest: int = 80) -> str:
    """Return a text as a short, literal matplotlib label on one line.

    Without this, matplotlib may parse it as a formula, hide it if it starts with `_`, or fail at bytes of a file name
    that are not UTF-8.

    Examples:
        >>> plain("a" * 10, longest=4)
        'aaa…'
    """
    line = one_line(text)
    short = line if len(line) <= longest else f"{line[: longest - 1]}…"
    escaped = short.replace("$", r"\$")
    return f"\u200b{escaped}" if escaped.startswith("_") else escaped


def line_style(number: int) -> dict[str, Any]:
    """Return the look of a line by its number: told apart by colour and, beyond the third, by dashes too."""
    return {"color": CATEGORIES[number % len(CATEGORIES)], "linestyle": STYLES[number // 3 % len(STYLES)]}


def _inline(svg: str, name: str, alt: str) -> str:
    """Turn matplotlib's SVG file into an element that can stand among others in a page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', svg)
    opening = f'<svg role="img" aria-label="{html_text(alt)}" {box.group() if box else ""}>'
    svg = svg[svg.index(">") + 1 :]
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]+>", lambda tag: _own(tag.group(), name), svg)
    return opening + re.sub(r">\s+<", "><", svg).strip()


def _own(tag: str, name: str) -> str:
    """Give a tag the chart's own ids and the page's font and colours; drop needless digits."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace("xlink:href=", "href=")
    tag = tag.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    tag = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r"(\.\d\d)\d+", r"\1", tag)
    return re.sub(r"#[0-9a-f]{6}\b", _variable, tag)


def _variable(match: re.Match[str]) -> str:
    colour = match.group()
    return f"var({VARIABLES[colour]}, {colour})" if colour in VARIABLES else colour

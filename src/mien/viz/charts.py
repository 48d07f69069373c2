"""Charts of a report, each drawn once and had twice: as an inline SVG that follows the page's colours, and as a PNG."""

import html
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:
    Axes = Any

__all__ = [
    "ACCENT", "CATEGORIES", "FAINT", "INK", "MUTED", "PAPER", "SETTINGS", "STYLES", "Axes", "Chart", "chart", "plain",
    "require_matplotlib",
]  # fmt: skip

#: The colours of a chart. In the SVG each becomes a CSS variable that the page sets for light and for dark, so use
#: these and no others; `INK` writes, `MUTED` draws what stands back, `FAINT` grid lines, `PAPER` is the page itself.
INK, MUTED, FAINT, PAPER = "#1b1f24", "#5c6470", "#d5dae1", "#fefefe"
#: What a chart is about, where there is only one thing; the first of the categories.
ACCENT = "#0072b2"
#: Okabe and Ito's palette, told apart with every common kind of colour blindness.
CATEGORIES = (ACCENT, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1b1f25")
#: The line styles to go with the colours where there are more lines than colours, or no colours at all.
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


@dataclass(frozen=True)
class Chart:
    """A drawing, made by `chart`.

    `name` names its file and is unique in a report; `svg` is an inline `<svg>` whose colours are CSS variables, so
    that it is light or dark as the page is; `png` is the same drawing as a file, light. `caption` says what to
    conclude from it, `alt` what it shows, for those who cannot see it.
    """

    name: str
    svg: str
    png: bytes
    caption: str
    alt: str


def require_matplotlib() -> None:
    """Raise MissingExtraError where charts cannot be drawn, before long work starts."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("drawing plots", "report") from error


def chart(
    name: str, draw: Callable[[Axes], None], *, caption: str, alt: str, width: float = 6.4, height: float = 3.6
) -> Chart:
    """Let `draw` draw on empty axes of `width` x `height` inches, and return the drawing as SVG and as PNG.

    `name` is of letters, digits and hyphens, and unique in a report. Class names and other texts that come from
    outside go through `plain`. Raises MissingExtraError where matplotlib is not installed.
    """
    require_matplotlib()
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in scripts the font does not have
        figure: Any = Figure(figsize=(width, height), dpi=120, facecolor="white", layout="constrained")
        pixels: Any = FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        png, svg = io.BytesIO(), io.StringIO()
        pixels.print_png(png)  # what savefig would do, less a second drawing for the layout
        figure.set_layout_engine("none")  # everything has its place now
        for each in (figure, *figure.axes, *(inset for axis in figure.axes for inset in axis.child_axes)):
            each.patch.set_facecolor("none")
        lines: Any = FigureCanvasSVG(figure)
        lines.print_svg(svg, metadata={"Date": None})
    return Chart(name, _inline(svg.getvalue(), name, alt), png.getvalue(), caption, alt)


def plain(text: str, longest: int = 80) -> str:
    """Shorten, and keep matplotlib from reading formulas, or a leading underscore as "not in the legend"."""
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    escaped = short.replace("$", r"\$")
    return f"\u200b{escaped}" if escaped.startswith("_") else escaped


def _inline(svg: str, name: str, alt: str) -> str:
    """Make of matplotlib's SVG file an element to stand among others in a page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', svg)
    opening = f'<svg role="img" aria-label="{html.escape(alt)}" {box.group() if box else ""}>'
    svg = opening + svg[svg.index(">") + 1 :]
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]+>", lambda tag: _own(tag.group(), name), svg)
    return re.sub(r">\s+<", "><", svg).strip()


def _own(tag: str, name: str) -> str:
    """One tag with the chart's own ids, the page's font and colours, and no needless digits."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', tag).replace("url(#", f"url(#{name}-")
    tag = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r"(\.\d\d)\d+", r"\1", tag)
    return re.sub(r"#[0-9a-f]{6}\b", _variable, tag)


def _variable(match: re.Match[str]) -> str:
    colour = match.group()
    return f"var({VARIABLES[colour]}, {colour})" if colour in VARIABLES else colour

"""The curves of a faithfulness measurement, drawn (`pip install 'mien[report]'`)."""

import numpy as np

from mien.explanation.faithfulness import BASELINES, STEPS, Faithfulness
from mien.report.document import Section, Table
from mien.viz.charts import ACCENT, CATEGORIES, MUTED, STYLES, Axes, Chart, chart, plain

_DONE = {"deletion": "taken away", "insertion": "given back"}


def faithfulness_chart(found: Faithfulness, curve: str) -> Chart:
    """Draw the mean `deletion` or `insertion` curve of the method and of its baselines."""
    share = np.linspace(0, 1, STEPS)

    def draw(axes: Axes) -> None:
        for name, colour, style in zip(BASELINES, (MUTED, CATEGORIES[4], CATEGORIES[1]), STYLES[1:], strict=True):
            axes.plot(share, found.curves[curve][name], style, color=colour, label=name)
        axes.plot(share, found.curves[curve][found.method], color=ACCENT, linewidth=2.6, label=plain(found.method))
        axes.set(xlabel=f"share of pixels {_DONE[curve]}", ylabel="probability of the label", xlim=(0, 1), ylim=(0, 1))
        axes.grid(axis="y")
        axes.legend()

    difference = found.differences[curve]["patches"]
    said = "beats" if difference.beats else "does not beat"
    caption = f"{curve.capitalize()}: {found.method} {said} random patches, by {difference} in area."
    alt = f"Probability of the label as pixels are {_DONE[curve]}, for {found.method}, {', '.join(BASELINES)}."
    return chart(curve, draw, caption=caption, alt=alt)


def faithfulness_section(found: Faithfulness) -> Section:
    """Return the section of a report: both curves, and the areas with the paired differences."""
    rows = tuple(
        (curve, f"{found.areas[curve][found.method].mean():.3f}", *map(str, found.differences[curve].values()))
        for curve in found.curves
    )
    table = Table(
        ("curve", f"area, {found.method}", *(f"better than {name} by" for name in BASELINES)), rows,
        "Areas under the curves; in brackets 95 % intervals of the paired difference.",
    )  # fmt: skip
    charts = tuple(faithfulness_chart(found, curve) for curve in found.curves)
    return Section("faithfulness", "Whether the heatmaps can be trusted", found.conclusion, (*charts, table))

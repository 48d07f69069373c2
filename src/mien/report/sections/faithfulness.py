"""Show how faithful heatmaps are: deletion and insertion curves, and areas under them."""

import numpy as np

from mien.explanation.faithfulness import BASELINES, STEPS, Faithfulness
from mien.report.document import Section, Table
from mien.viz.charts import Chart
from mien.viz.curves import probability_curves

_DONE = {"deletion": "deleted", "insertion": "inserted"}
_PROBABILITY = "The curves show the mean probability of the label that the model predicts for the whole image"
_BASELINES = (
    "Baselines: random removes single pixels in random order, patches removes random patches as smooth as heatmaps, "
    "centre begins in the middle of the image."
)


def faithfulness_chart(found: Faithfulness, curve: str) -> Chart:
    """Draw the mean `deletion` or `insertion` curve of the method and of its baselines."""
    difference = found.differences[curve]["patches"]
    said = "significantly better than" if difference.better else "not significantly better than"
    caption = (
        f"{curve.capitalize()}: {found.method} is {said} patches (difference in area {difference}). {_PROBABILITY}; "
        f"pixels are {_DONE[curve]} most important first."
    )
    alt = (
        f"Probability of the predicted label as pixels are {_DONE[curve]}, for {found.method}, {', '.join(BASELINES)}."
    )
    return probability_curves(
        np.linspace(0, 1, STEPS), {name: found.curves[curve][name] for name in (*BASELINES, found.method)},
        f"share of pixels {_DONE[curve]}", "mean probability of the predicted label",
        name=curve, caption=caption, alt=alt,
    )  # fmt: skip


def faithfulness_section(found: Faithfulness) -> Section:
    """Show both curves, and the areas under them with the paired differences."""
    rows = tuple(
        (curve, f"{found.areas[curve][found.method].mean():.3f}", *map(str, found.differences[curve].values()))
        for curve in found.curves
    )
    table = Table(
        ("curve", f"area, {found.method}", *(f"better than {name} by" for name in BASELINES)), rows,
        f"Areas under the curves; in brackets 95 % intervals of the paired difference. {_BASELINES}",
    )  # fmt: skip
    charts = tuple(faithfulness_chart(found, curve) for curve in found.curves)
    return Section("faithfulness", "Faithfulness of the heatmaps", found.conclusion, (*charts, table))

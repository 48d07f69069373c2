"""Show the cost of each decision threshold."""

from pathlib import Path

from mien.evaluation.thresholds import Thresholds
from mien.metrics.formatting import format_value
from mien.report.document import Note, Section, Table
from mien.viz.charts import plain
from mien.viz.curves import Mark, cost_curve


def thresholds_section(found: Thresholds, bundle: Path | None = None, writable: bool = True) -> Section:
    """Show the cost of each threshold.

    Args:
        found: the costs.
        bundle: the bundle that the cheapest threshold is written into.
        writable: whether `--choose-threshold` could write it into this model.
    """
    name, other = found.positive, found.other
    now, best = found.present, found.cheapest
    rows = tuple(
        (
            f"{point.threshold:g}{_mark(found, point.threshold)}", f"{point.wrong[name]:,}", f"{point.wrong[other]:,}",
            *map(format_value, (point.recall[name], point.recall[other], point.accuracy)), f"{point.cost:.2f}",
        )
        for point in found.points
    )  # fmt: skip
    columns = (
        f"threshold of {name}", f"wrongly {name}", f"wrongly {other}", f"recall {name}", f"recall {other}", "accuracy",
        "cost per 100",
    )  # fmt: skip
    drawn = cost_curve(
        found.grid, found.curve,
        (
            Mark(now.threshold, now.cost, f"in use: {now.threshold:g}"),
            Mark(best.threshold, best.cost, f"cheapest: {best.threshold:g}"),
        ),
        f"threshold of {plain(name, 20)}", "cost per 100 images", name="thresholds",
        caption="Cost per 100 images at each threshold. In a flat valley the choice matters little.",
        alt=f"Cost by threshold: {now.cost:.2f} at {now.threshold:g}, the present one; least {best.cost:.2f}.",
    )  # fmt: skip
    writing = "; --choose-threshold writes the cheapest into the model" if writable else ""
    note = (
        f"The cheapest threshold was chosen on these images, so its cost here is optimistic: measure it on others. "
        f"Say with --cost {name}=5 what a wrong {name} costs{writing}."
        if bundle is None
        else f"{best.threshold:g} now stands in {bundle}. Measure it on other images: it was chosen on these."
    )
    return Section(
        "thresholds", "Decision threshold", _conclusion(found), (drawn, Table(columns, rows), Note(note))
    )  # fmt: skip


def _conclusion(found: Thresholds) -> str:
    name, other, now, best = found.positive, found.other, found.present, found.cheapest
    prices = f"if a wrong {name} costs {found.costs[name]:g} and a wrong {other} {found.costs[other]:g}"
    if best.threshold == now.threshold:
        return f"The threshold in use, {now.threshold:g}, is the cheapest on these images {prices}."
    saved = f"{now.cost - best.cost:.2f} per 100 images (95 % interval {found.saved[0]:.2f} to {found.saved[1]:.2f})"
    if found.saved[0] <= 0:
        return (
            f"No threshold is shown to be cheaper than the one in use, {now.threshold:g}, {prices}. The cheapest on "
            f"these images, {best.threshold:g}, would have saved {saved}."
        )
    return (
        f"A threshold of {best.threshold:g} instead of {now.threshold:g} would have saved {saved}, from "
        f"{now.cost:.2f} to {best.cost:.2f}, {prices}. It was chosen on these images, so expect less on others."
    )


def _mark(found: Thresholds, threshold: float) -> str:
    names = {"in use": found.present.threshold, "cheapest": found.cheapest.threshold}
    said = [name for name, value in names.items() if value == threshold]
    return f" ({', '.join(said)})" if said else ""

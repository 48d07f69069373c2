"""Show what each decision threshold costs."""

from pathlib import Path

from mien.evaluation.thresholds import Thresholds
from mien.metrics.formatting import format_value
from mien.report.document import Note, Section, Table
from mien.viz.charts import plain
from mien.viz.curves import Mark, cost_curve


def thresholds_section(found: Thresholds, written: Path | None = None) -> Section:
    """Say what each threshold costs; `written` is the bundle that the cheapest was written into."""
    name, other = found.positive, found.other
    now, best = found.present, found.cheapest
    prices = f"a wrong {name} costs {found.costs[name]:g} and a wrong {other} {found.costs[other]:g}"
    if best.threshold == now.threshold:
        conclusion = f"The threshold in use, {now.threshold:g}, is the cheapest on these pictures, where {prices}."
    else:
        conclusion = (
            f"Answering {name} from {best.threshold:g} on in place of {now.threshold:g} would take the cost from "
            f"{now.cost:.2f} to {best.cost:.2f} per 100 pictures, where {prices}; "
            + (
                "that may be luck."
                if found.saved[0] <= 0
                else "more than luck, though it was chosen on these pictures."
            )
        )
    marks = {now.threshold: " (in use)", best.threshold: " (cheapest)"}
    if now.threshold == best.threshold:
        marks = {now.threshold: " (in use, cheapest)"}
    rows = tuple(
        (
            f"{row.threshold:g}{marks.get(row.threshold, '')}", f"{row.wrong[name]:,}", f"{row.wrong[other]:,}",
            *map(format_value, (row.recall[name], row.recall[other], row.accuracy)), f"{row.cost:.2f}",
        )
        for row in found.rows
    )  # fmt: skip
    columns = (
        f"{name} from", f"wrongly {name}", f"wrongly {other}", f"recall {name}", f"recall {other}", "accuracy",
        "cost per 100",
    )  # fmt: skip
    drawn = cost_curve(
        found.grid, found.curve,
        (
            Mark(now.threshold, now.cost, f"in use: {now.threshold:g}"),
            Mark(best.threshold, best.cost, f"cheapest: {best.threshold:g}"),
        ),
        f"answer {plain(name, 20)} from this probability on", "cost per 100 pictures", name="thresholds",
        caption="Cost per 100 pictures at each threshold. A flat valley says that the choice matters little.",
        alt=f"Cost by threshold: {now.cost:.2f} at {now.threshold:g}, the present; least {best.cost:.2f}.",
    )  # fmt: skip
    note = Note(
        f"Chosen on these pictures, a threshold flatters itself on them: measure it on others. {_how(found)}"
        if written is None
        else f"{best.threshold:g} now stands in {written}. Measure it on other pictures: it was chosen on these."
    )
    return Section("thresholds", "Where to draw the line", conclusion, (drawn, Table(columns, rows), note))


def _how(found: Thresholds) -> str:
    return (
        f"--cost {found.positive}=5 says what a wrong {found.positive} costs, --choose-threshold writes the cheapest."
    )

"""Show how much accuracy is left under each perturbation: curves, limits and losses."""

from mien.evaluation.robustness import FALL, NEAR_CHANCE, Robustness, Tolerance
from mien.metrics.formatting import format_percent, format_points
from mien.report.document import Note, Section, Table
from mien.text import join_words
from mien.viz.charts import Chart
from mien.viz.intervals import BandPanel, band_panels


def robustness_section(found: Robustness) -> Section:
    """Return the report's section: what to conclude, the curves, and two tables."""
    untested = Note(
        f"What is changed is what the network sees, {found.n:,} of {found.of:,} crops. Whether a face that is turned, "
        "dark or small is still found in its picture is not in these figures."
    )
    parts: list[Chart | Note | Table] = [_curves(found), _limits(found), _losses(found), untested]
    if found.unchanged.value <= 1 / found.classes + NEAR_CHANCE:
        text = f"The model is hardly better than chance on these pictures ({found.unchanged}): changes cannot cost it"
        parts.insert(0, Note(f"{text} much, and these figures do not say that it is robust.", "warning"))
    return Section("robustness", "Robustness", _conclusion(found), tuple(parts))


def _conclusion(found: Robustness) -> str:
    reached = [kind for kind in found.kinds if kind.limit is not None]
    kept = [kind.change.name.lower() for kind in found.kinds if kind.limit is None]
    start = f"Of {found.n} pictures {format_percent(found.unchanged.value)} are read rightly as they are"
    if not reached:
        return f"{start}, and no change that was tried costs 5 points."
    said = join_words([kind.change.phrase.format(_number(kind.limit or 0.0)) for kind in reached])
    rest = f"; within the range tried it never does by {join_words(kept)}" if kept else ""
    return f"{start}; that falls by 5 points at {said}{rest}."


def _curves(found: Robustness) -> Chart:
    panels = [
        BandPanel(
            kind.change.name, kind.change.unit, (kind.change.neutral, *kind.change.strengths),
            (found.unchanged, *kind.accuracy), kind.limit,
        )
        for kind in found.kinds
    ]  # fmt: skip
    return band_panels(
        panels,
        reference=found.unchanged.value,
        lower=found.unchanged.value - FALL,
        name="robustness",
        caption="Share of right answers at rising strength, with 95 % intervals. The thin line is the accuracy of the "
        "same pictures unchanged, the dashed one 5 points below it; the circle is where the curve crosses that.",
        alt=_conclusion(found),
    )


def _limits(found: Robustness) -> Table:
    rows = [
        (
            kind.change.name,
            kind.change.unit,
            f"{kind.change.strengths[0]:g} to {kind.change.strengths[-1]:g}",
            "not within the range" if kind.limit is None else _number(kind.limit),
            _range(kind),
            format_points(kind.lost[-1]),
        )
        for kind in found.kinds
    ]
    return Table(
        ("Change", "Counted in", "Tried", "5 points lost at", "95 % range of that", "Points at the strongest"),
        tuple(rows),
        "The strength at which accuracy has fallen by 5 points, between the strengths tried by straight lines.",
    )


def _range(kind: Tolerance) -> str:
    if kind.earliest is None:
        return "beyond the range"
    return f"{_number(kind.earliest)} to " + ("beyond the range" if kind.latest is None else _number(kind.latest))


def _losses(found: Robustness) -> Table:
    rows = [
        (
            kind.change.name,
            *(
                f"{strength:g}: {format_points(lost)}"
                for strength, lost in zip(kind.change.strengths, kind.lost, strict=True)
            ),
        )
        for kind in found.kinds
    ]
    return Table(
        ("Change", "weakest", "", "", "", "strongest"),
        tuple(rows),
        f"Points of accuracy, changed less unchanged, on the same {found.n} pictures, with 95 % intervals of the "
        "paired difference (Newcombe 1998); where an interval holds 0, it may be luck. Pictures count as independent "
        "here, so that copies, or many of one person, make all intervals of this section too narrow.",
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"

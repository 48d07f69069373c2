"""Show the accuracy under each perturbation: curves, limits and differences."""

from mien.evaluation.robustness import DROP, NEAR_CHANCE, Robustness, Tolerance
from mien.metrics.formatting import format_percent, format_percent_interval, format_points
from mien.report.document import Block, Note, Section, Table
from mien.text import join_words
from mien.viz.charts import Chart
from mien.viz.intervals import BandPanel, band_panels


def robustness_section(found: Robustness) -> Section:
    """Show the curves, the strength that costs 5 points, and the differences at every strength."""
    perturbed = f"Perturbed is the input of the network, {found.n:,} of {found.available:,} crops."
    if found.detected:
        perturbed += (
            " Whether the detector still finds a face that is rotated, dark or small in its image was not measured."
        )
    parts: list[Block] = [_curves(found), _limits(found), _differences(found), Note(perturbed)]
    if found.unchanged.value <= 1 / found.n_classes + NEAR_CHANCE:
        text = f"The model is hardly better than chance on these images ({found.unchanged}), so perturbations cannot"
        parts.insert(0, Note(f"{text} cost it much. This does not mean that it is robust.", "warning"))
    return Section("robustness", "Robustness", _conclusion(found), tuple(parts))


def _conclusion(found: Robustness) -> str:
    reached = [one for one in found.tolerances if one.limit is not None and _lost(one)]
    kept = [one.perturbation.name.lower() for one in found.tolerances if one not in reached]
    unchanged = f"{format_percent(found.unchanged.value)} ({format_percent_interval(found.unchanged)})"
    start = f"Accuracy on {found.n} unperturbed images is {unchanged}"
    if not reached:
        return f"{start}, and no perturbation is shown to cost 5 points within the range tried."
    said = join_words(
        [f"{one.perturbation.phrase.format(_number(one.limit or 0.0))} ({_range(one)})" for one in reached]
    )
    rest = f" No such drop is shown within the range tried for {join_words(kept)}." if kept else ""
    return f"{start}. It drops by 5 points at {said}.{rest}"


def _lost(one: Tolerance) -> bool:
    """Return whether accuracy is significantly lower at some strength."""
    return any(difference.high < 0 for difference in one.differences)


def _curves(found: Robustness) -> Chart:
    panels = [
        BandPanel(
            one.perturbation.name, one.perturbation.unit, (one.perturbation.neutral, *one.perturbation.strengths),
            (found.unchanged, *one.accuracy), one.limit,
        )
        for one in found.tolerances
    ]  # fmt: skip
    return band_panels(
        panels,
        reference=found.unchanged.value,
        lower=found.unchanged.value - DROP,
        ylabel="accuracy",
        title="Accuracy under perturbations, with 95 % intervals",
        name="robustness",
        caption="Accuracy at rising strength, with 95 % intervals. The thin line is the accuracy on the same images "
        "unperturbed, the dashed one 5 points below it; the circle is where the curve crosses that.",
        alt=_conclusion(found),
    )


def _limits(found: Robustness) -> Table:
    rows = [
        (
            one.perturbation.name,
            one.perturbation.unit,
            f"{one.perturbation.strengths[0]:g} to {one.perturbation.strengths[-1]:g}",
            "not within the range" if one.limit is None else _number(one.limit),
            _range(one),
            format_points(one.differences[-1]),
        )
        for one in found.tolerances
    ]
    return Table(
        ("perturbation", "unit", "tried", "5 points lost at", "95 % range of that", "points at the strongest"),
        tuple(rows),
        "The strength at which accuracy has dropped by 5 points, interpolated linearly between the strengths tried.",
    )


def _range(one: Tolerance) -> str:
    if one.earliest is None:
        return "beyond the range"
    return f"{_number(one.earliest)} to " + ("beyond the range" if one.latest is None else _number(one.latest))


def _differences(found: Robustness) -> Table:
    rows = [
        (
            one.perturbation.name,
            *(
                f"{strength:g}: {format_points(difference)}"
                for strength, difference in zip(one.perturbation.strengths, one.differences, strict=True)
            ),
        )
        for one in found.tolerances
    ]
    return Table(
        ("perturbation", "weakest", "", "", "", "strongest"),
        tuple(rows),
        f"Points of accuracy, perturbed less unperturbed, on the same {found.n} images, with 95 % intervals of the "
        "paired difference (Newcombe 1998). A difference whose interval contains 0 is not significant. Images are "
        "taken as independent here, so near-duplicates, or many of one person, make the intervals too narrow.",
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"

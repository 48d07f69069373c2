"""Draw estimates with their confidence intervals: a dot and whiskers for each row, or a band over strengths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Unpack

from mien.metrics.estimates import Estimate
from mien.viz.charts import ACCENT, FAINT, INK, MUTED, Axes, Chart, Words, chart, plain


@dataclass(frozen=True)
class IntervalRow:
    """One row of `interval_chart`.

    `muted` draws it grey, `hollow` with an open dot. `runs` are single values behind the estimate, drawn as grey dots
    around its mark.
    """

    name: str
    estimate: Estimate
    muted: bool = False
    hollow: bool = False
    runs: tuple[float, ...] = ()


def interval_chart(
    rows: Sequence[IntervalRow | str], xlabel: str, *, reference: float | None = None,
    limits: tuple[float, float] | None = None, percent: bool = False, title: str = "", width: float = 6.4,
    **words: Unpack[Words],
) -> Chart:  # fmt: skip
    """Draw a dot with its interval for each row, the first above.

    Args:
        rows: estimates; a text among them is a heading.
        xlabel: what is measured.
        reference: where a vertical dashed line stands.
        limits: ends of the x axis.
        percent: draw 100 times every value. `reference` and `limits` are not yet multiplied.
        title: stands above the chart.
        width: width in inches; the height follows from the number of rows.
        words: name, caption and alt of the chart.
    """
    scale = 100 if percent else 1
    headed = any(isinstance(row, str) for row in rows)

    def draw(axis: Axes) -> None:
        if reference is not None:
            axis.axvline(scale * reference, color=MUTED, linewidth=0.8, linestyle="--")
        for lane, row in enumerate(rows):
            if isinstance(row, str):
                axis.text(
                    0, lane, plain(row), transform=axis.get_yaxis_transform(), va="center", fontweight="bold",
                    color=INK, fontsize=9,
                )  # fmt: skip
            else:
                _draw_row(axis, lane, row, scale)
        named = [(lane, plain(row.name, 40)) for lane, row in enumerate(rows) if isinstance(row, IntervalRow)]
        axis.set_yticks([lane for lane, _ in named], [name for _, name in named], fontsize=8 if headed else None)
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.set_xlabel(plain(xlabel))
        axis.grid(axis="x")
        if limits is not None:
            axis.set_xlim(scale * limits[0], scale * limits[1])
        if headed:
            axis.tick_params(axis="y", length=0)
            axis.spines["left"].set_visible(False)
        if title:
            axis.set_title(plain(title))

    return chart(draw=draw, width=width, height=1.1 + (0.2 if headed else 0.34) * len(rows), **words)


def _draw_row(axis: Axes, lane: int, row: IntervalRow, scale: float) -> None:
    found, colour = row.estimate, MUTED if row.muted else ACCENT
    axis.plot([scale * found.low, scale * found.high], [lane, lane], color=colour)
    if row.runs:
        axis.plot([scale * run for run in row.runs], [lane] * len(row.runs), "o", color=MUTED, markersize=4, alpha=0.7)
        axis.plot([scale * found.value], [lane], "|", color=colour, markersize=16, markeredgewidth=2.5)
    else:
        fill = "none" if row.hollow else "full"
        axis.plot([scale * found.value], [lane], "o", color=colour, markersize=5, fillstyle=fill)


@dataclass(frozen=True)
class BandPanel:
    """One panel of `band_panels`: estimates at `places`; `crossing` is where the curve meets the lower line."""

    title: str
    xlabel: str
    places: Sequence[float]
    estimates: Sequence[Estimate]
    crossing: float | None = None


def band_panels(
    panels: Sequence[BandPanel], *, reference: float, lower: float, ylabel: str = "", title: str = "",
    **words: Unpack[Words],
) -> Chart:  # fmt: skip
    """Draw small panels, three in a row, each a curve of shares in its 95 % band.

    Args:
        panels: curves; one whose places fall is drawn from right to left.
        reference: share at which a thin line stands in every panel.
        lower: share at which a dashed line stands.
        ylabel: what the shares are; stands at the first panel of each row.
        title: stands above all panels.
        words: name, caption and alt of the chart.
    """
    bottom = max(0.0, min(one.low for panel in panels for one in panel.estimates) - 0.03)

    def drawing(panel: BandPanel, first: bool) -> Callable[[Axes], None]:
        def draw(axis: Axes) -> None:
            axis.axhline(reference, color=FAINT, linewidth=1)
            axis.axhline(lower, color=MUTED, linewidth=0.8, linestyle="--")
            lows, highs = [one.low for one in panel.estimates], [one.high for one in panel.estimates]
            axis.fill_between(panel.places, lows, highs, color=ACCENT, alpha=0.18, linewidth=0)
            values = [one.value for one in panel.estimates]
            axis.plot(panel.places, values, color=ACCENT, marker="o", markersize=3, linewidth=1.4)
            if panel.crossing is not None:
                axis.plot([panel.crossing], [lower], "o", markersize=7, color=MUTED, fillstyle="none")
            if panel.places[-1] < panel.places[0]:
                axis.invert_xaxis()
            axis.set_title(plain(panel.title), fontsize=9.5)
            axis.set_xlabel(plain(panel.xlabel), fontsize=8, color=MUTED)
            if first and ylabel:
                axis.set_ylabel(plain(ylabel), fontsize=8, color=MUTED)
            axis.set_ylim(bottom, 1.0)
            axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            axis.tick_params(labelsize=8)

        return draw

    draws = [drawing(panel, place % 3 == 0) for place, panel in enumerate(panels)]
    return chart(draw=draws, width=6.4 / 3, height=1.75, columns=3, title=title, **words)

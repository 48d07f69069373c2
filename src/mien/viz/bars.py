"""Draw bars: shares by name, and the answers of each person over time."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from mien.viz.annotate import answer_colours
from mien.viz.charts import ACCENT, FAINT, MUTED, Axes, Chart, Words, chart, plain
from mien.viz.timeline import Stretch


def bar_chart(values: Mapping[str, float], xlabel: str, **words: Unpack[Words]) -> Chart:
    """Draw a horizontal bar for each name, the largest above."""
    rows = sorted(values.items(), key=lambda row: row[1])

    def draw(axis: Axes) -> None:
        axis.barh([plain(name, 30) for name, _ in rows], [value for _, value in rows], color=ACCENT)
        axis.set_xlabel(plain(xlabel))
        axis.grid(axis="x", color=FAINT)

    return chart(draw=draw, height=1.2 + 0.3 * len(rows), **words)


def timeline_chart(
    people: Mapping[str, Sequence[Stretch]], answers: Sequence[str], title: str, cuts: Sequence[float] = (),
    **words: Unpack[Words],
) -> Chart:  # fmt: skip
    """Draw the answers of each person over time, one lane each; the higher a bar, the more probable its answer.

    Args:
        people: maps the name of each person to what `mien.viz.timeline.Timeline.stretches` returns.
        answers: all that the model may answer.
        title: stands above the chart.
        cuts: times in seconds, drawn as dashed lines.
        words: name, caption and alt of the chart.
    """
    colours = answer_colours(answers)

    def draw(axis: Axes) -> None:
        from matplotlib.artist import Artist
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        for lane, (name, stretches) in enumerate(reversed(list(people.items()))):
            axis.axhline(lane, color=FAINT, linewidth=0.6, zorder=0)
            for answer in answers:
                chosen = [stretch for stretch in stretches if stretch.answer == answer]
                axis.bar(
                    [stretch.start for stretch in chosen], [0.8 * stretch.probability for stretch in chosen],
                    [stretch.end - stretch.start for stretch in chosen], lane, align="edge", color=colours[answer],
                )  # fmt: skip
            axis.text(-0.01, lane + 0.4, plain(name, 20), transform=axis.get_yaxis_transform(), ha="right", va="center")
        for cut in cuts:
            axis.axvline(cut, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        marks: list[Artist] = [Patch(color=colours[answer], label=plain(answer, 20)) for answer in answers]
        if cuts:
            marks.append(Line2D([], [], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="cut"))
        axis.legend(handles=marks, frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncol=8)
        axis.set_ylim(-0.1, max(len(people), 1))
        axis.set_yticks([])
        axis.set_xlim(left=0)
        axis.set_xlabel("seconds; the height of a bar is the mean probability of its answer")
        axis.spines["left"].set_visible(False)
        axis.set_title(plain(title), loc="left")

    return chart(draw=draw, width=10, height=1.7 + 0.5 * max(len(people), 1), **words)

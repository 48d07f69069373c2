"""`mien explain DATA --summary` and `--faithfulness`: where a model looks, and whether its heatmaps show that."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from mien.arrays import Int64, UInt8
from mien.cli.explain_model import Opened
from mien.cli.progress import progress_bar
from mien.cli.terminal import console, one_line
from mien.data.dataset import read_manifest
from mien.evaluation.held_out import held_out
from mien.explanation.attention import AttentionSummary, label_indices, sample_crops, summarise_attention
from mien.explanation.faithfulness import CURVES, Faithfulness, measure_faithfulness
from mien.explanation.figures import METHODS, summary_sheet
from mien.explanation.regions import REGIONS
from mien.inference.reader import Reader
from mien.io.atomic import new_folder, write_text
from mien.io.targets import refuse_file_name, require_new_folder, to_json
from mien.report.document import Section
from mien.report.html import page
from mien.report.sections.attention import attention_section
from mien.viz.charts import Chart
from mien.viz.mosaic import save_png

if TYPE_CHECKING:
    from rich.table import Table

#: What the page is about, by the sections in it.
_TITLES = {"attention": "Where the model looks", "faithfulness": "whether its heatmaps can be trusted"}


def explain_data(
    opened: Opened, path: Path, wanted: tuple[tuple[str, ...] | None, dict[str, str]], summary: bool,
    faithfulness: bool, limit: int, out: Path | None,
) -> int:  # fmt: skip
    """Measure what was asked for, print it, and write it into the new folder `out`; returns the exit status."""
    if out:
        refuse_file_name(out, "images are drawn into a folder; give the name of one")
        require_new_folder(out)
        if faithfulness:
            from mien.viz.charts import require_matplotlib

            require_matplotlib()
    chosen = held_out(read_manifest(path, *wanted))
    manifest, part = chosen.manifest, chosen.part
    reader = opened.reader
    with progress_bar("reading pictures") as report:
        crops, truth, detections = sample_crops(reader, manifest, limit, on_progress=report)
    attention = faithful = None
    if summary:
        with progress_bar("looking where the network looks") as report:
            attention = summarise_attention(
                reader, crops, truth, manifest.classes, detections, opened.method, opened.explainer, report
            )
    if faithfulness:
        labels = predicted(reader, crops, label_indices(reader, crops, [manifest.classes[index] for index in truth]))
        with progress_bar("taking pixels away") as report:
            faithful = measure_faithfulness(reader, crops, labels, opened.explainer, opened.method, on_progress=report)
    if out:
        with new_folder(out) as folder:
            sections = _write(folder, attention, faithful, {"data": part, "sha256": reader.config.sha256})
            write_text(folder / "explain.html", _page(opened, len(crops), part, sections))
    click.echo(f"{len(crops)} pictures, {one_line(part)}; model {one_line(reader.config.name)}")
    if attention:
        console().print(_attention_table(attention))
        click.echo(one_line(attention.conclusion))
    if faithful:
        console().print(_faithfulness_table(faithful))
        click.echo(one_line(faithful.conclusion))
    if out:
        click.echo(one_line(f"all of it is in {out / 'explain.html'}"))
    return 0


def predicted(reader: Reader, crops: UInt8, possible: Int64) -> Int64:
    """Return the most probable label of each crop, int64 (N,), among those that are `possible` of any (indices).

    A curve follows what the model says, right or wrong (Petsiuk et al., 2018): evidence for a label that it does not
    give falls to nothing by itself.
    """
    among = np.unique(possible)
    return np.asarray(among[reader.probabilities(crops)[:, among].argmax(axis=1)])


def _write(
    folder: Path, attention: AttentionSummary | None, faithful: Faithfulness | None, about: Mapping[str, Any]
) -> list[Section]:
    """Write figures and pictures; returns the sections of the page."""
    sections = []
    if attention:
        sections.append(attention_section(attention))
        (folder / "summary.json").write_text(to_json({**about, **attention.to_dict()}), encoding="utf-8")
        save_png(summary_sheet(attention), folder / "summary.png")
        maps = {one.label: one.heat for one in attention.classes}
        with (folder / "maps.npz").open("wb") as stream:
            np.savez_compressed(
                stream, labels=np.array(list(maps), np.str_), heats=np.stack(list(maps.values())), allow_pickle=False
            )
    if faithful:
        from mien.report.sections.faithfulness import faithfulness_section

        sections.append(faithfulness_section(faithful))
        (folder / "faithfulness.json").write_text(
            to_json({**about, "conclusion": faithful.conclusion, **faithful.to_dict()}), encoding="utf-8"
        )
        for chart in (part for part in sections[-1].parts if isinstance(part, Chart)):
            (folder / f"{chart.name}.png").write_bytes(chart.png)
    return sections


def _page(opened: Opened, pictures: int, part: str, sections: list[Section]) -> str:
    """Return one HTML file that says all that was found."""
    name = opened.reader.config.name
    title = " and ".join(_TITLES[section.key] for section in sections)
    deck = f"{pictures} pictures, {part}; heatmaps by {METHODS[opened.method]}."
    verdict = f"{title[0].upper()}{title[1:]}."
    return page(f"{name} on {part}", f"mien explain · {name} on {part}", verdict, deck, [], sections)


def _attention_table(found: AttentionSummary) -> "Table":
    from rich.table import Table
    from rich.text import Text

    title = f"Share of the evidence ({METHODS[found.method]}), and of the area"
    table = Table(title=Text(title, "bold"), title_justify="left")
    for name in ("", *REGIONS, "most at the rim", "n"):
        table.add_column(name)
    for one in found.classes:
        cells = [
            f"{one.shares[name].value:.0%} [{one.shares[name].interval[0]:.0%}, {one.shares[name].interval[1]:.0%}]"
            for name in REGIONS
        ]
        place, density = one.hottest
        table.add_row(Text(one_line(one.label)), *cells, f"{place} {density:.1f}×", str(one.pictures))
    table.add_section()
    area = found.classes[0].shares
    table.add_row("an even spread", *(f"{area[name].area:.0%}" for name in REGIONS), "1.0×", "")
    return table


def _faithfulness_table(found: Faithfulness) -> "Table":
    from rich.table import Table
    from rich.text import Text

    title = f"Area under the curve of {METHODS[found.method]}, {found.pictures} pictures"
    table = Table(title=Text(title, "bold"), title_justify="left")
    for name in ("", found.method, *found.differences[CURVES[0]]):
        table.add_column(name)
    for curve in CURVES:
        areas = found.areas[curve]
        cells = [
            f"{areas[name].mean():.3f}; better by {difference}" for name, difference in found.differences[curve].items()
        ]
        table.add_row(
            f"{curve} ({'low' if curve == 'deletion' else 'high'} is good)", f"{areas[found.method].mean():.3f}", *cells
        )
    table.caption = Text("paired differences in area with 95 % intervals (bootstrap over pictures)")
    table.caption_justify = "left"
    return table

"""`mien experiment`: train a grid of settings over several seeds, and test which effects are significant."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from mien.cli.help import verb
from mien.cli.options import BY_SAMPLE, data_options, detect_option, one_stdout, parse_data_options
from mien.cli.output.terminal import console
from mien.cli.output.training_progress import SearchProgress
from mien.evaluation.provenance import command_line
from mien.io.atomic import refuse_foreign
from mien.io.layout import RUNS
from mien.io.targets import require_output, write_output
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_interval, format_value
from mien.text import one_line
from mien.training.backend import require_keras
from mien.training.search.sweep import JOB, read_sweep
from mien.training.train import read_source
from mien.viz.charts import require_matplotlib

#: How the results begin; the columns of a CSV start with the settings of the grid.
_JSON_BEGINS = r'\{"title":.*?"measured":"accuracyon:'
_CSV_BEGINS = "([a-z_]+,)+accuracy,kept_epoch,largest_class,shipped,run"


@verb("experiment")
@click.argument("sweep", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", show_default="mien-runs/SWEEP",
              help="folder of the runs")  # fmt: skip
@click.option("--json", "json_target", metavar="FILE", help="also write the result as JSON; - for standard output")
@click.option("--csv", "csv_target", metavar="FILE", help="also write the runs as CSV; - for standard output")
@detect_option(BY_SAMPLE)
@data_options
def command(
    sweep: Path, data: Path, out: Path | None, json_target: str | None, csv_target: str | None, detect: bool | None,
    classes: str | None, rename: tuple[str, ...], fixes: bool | Path,
) -> None:  # fmt: skip
    """Train all combinations of the grid in SWEEP (a TOML file) on DATA, with several seeds.

    The same command resumes an interrupted experiment and keeps finished runs. It ends with the mean and 95 %
    interval of each combination, a chart, and the effects that are significant.
    """
    one_stdout({"json": json_target, "csv": csv_target})
    for target, begins in ((json_target, _JSON_BEGINS), (csv_target, _CSV_BEGINS)):
        if target is not None:
            require_output(target, begins, data, sweep)
    found = read_sweep(sweep).with_detect(detect)
    out = out or Path(RUNS) / sweep.stem
    # Find typing errors before Keras is loaded, which takes seconds.
    refuse_foreign(out, "experiment", JOB)
    source = read_source(data, *parse_data_options(classes, rename), fixes)
    require_matplotlib()
    require_keras("training", any(run.config.deterministic for run in found.runs()))
    from mien.training.search.experiment import PLOT, RESULT, TABLE, experiment

    total, begun = len(found.runs()), 0
    with SearchProgress(command_line(), out / JOB) as progress:

        def on_run(run: Any, _: Path) -> SearchProgress:
            nonlocal begun
            begun += 1
            progress.begin(f"run {begun} of at most {total}: {run.folder}")
            return progress

        result = experiment(source, found, out, progress.overall, on_run)
    for target, path in ((json_target, out / RESULT), (csv_target, out / TABLE)):
        if target is not None:
            write_output(path.read_text(encoding="utf-8"), target)
    if "-" not in (json_target, csv_target):
        _print(result, out, PLOT)


def _print(result: Any, out: Path, plot: str) -> None:
    screen = console()
    table = Table(title=Text(one_line(result.sweep.title), "bold"), title_justify="left")
    for name in ("settings", "accuracy", "95 % interval", "seeds"):
        table.add_column(name, no_wrap=name != "settings")
    for label, mean in result.mean_accuracies().items():
        found = Estimate(mean.mean, mean.low, mean.high)
        interval = format_interval(found, 4) if mean.n > 1 else "unknown from one seed"
        table.add_row(Text(one_line(label)), format_value(found.value, 4), interval, str(mean.n))
    table.caption, table.caption_justify = (
        Text(f"evaluated on: {result.evaluated_on}; t intervals over seeds\n{result.beaten_in_words()}"),
        "left",
    )
    screen.print(table)
    screen.print(Text(one_line(result.conclusion())), soft_wrap=True)
    files = f"{plot}, experiment.csv, experiment.json, a folder per run"
    screen.print(Text(one_line(f"all results are in {out}  ({files})")), soft_wrap=True)

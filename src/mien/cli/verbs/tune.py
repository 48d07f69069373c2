"""`mien tune`: search for better settings within a budget, on the validation split only."""

from pathlib import Path
from typing import Any, cast

import click
from rich.table import Table
from rich.text import Text

from mien.cli.completion import complete_settings
from mien.cli.help import verb
from mien.cli.options import BY_SAMPLE, Number, data_options, detect_option, parse_data_options
from mien.cli.output.terminal import console, say_to_stderr
from mien.cli.output.training_progress import SearchProgress
from mien.errors import ConfigError
from mien.evaluation.provenance import command_line
from mien.io.atomic import refuse_foreign
from mien.io.layout import RUNS, SPLIT
from mien.io.targets import require_output, write_output
from mien.text import one_line
from mien.training.backend import require_keras
from mien.training.config import merge_settings
from mien.training.networks.pretrained import build_config
from mien.training.search.database import require_optuna
from mien.training.search.space import SPACE, format_settings, make_space, parse_fixed, resolved
from mien.training.search.study import ABOUT, Budget, Pruner
from mien.training.train import read_source
from mien.viz.charts import require_matplotlib

_SHOWN = 15
_JSON_BEGINS = r'\{"best":\d+,"best_accuracy":'


_HEADINGS = {
    "Start here": ("out", "trials", "minutes", "detect", "classes", "rename", "json_target"),
    "Search": ("search", "fix", "config_file", "pruner", "seed"),
    "Several machines": ("storage", "study", "silent_after"),
}


@verb("tune", _HEADINGS)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", show_default="mien-runs/tune-DATA",
              help="folder of the study")  # fmt: skip
@click.option("--trials", type=click.IntRange(1), metavar="N", show_default="no limit",
              help="largest number of trials, of all processes together; give this, --minutes or both")  # fmt: skip
@click.option("--minutes", type=Number(0, min_open=True), metavar="N", show_default="no limit",
              help="largest sum of minutes of all trials")  # fmt: skip
@click.option(
    "--search",
    metavar="A,B",
    show_default=", ".join(SPACE),
    shell_complete=complete_settings,
    help="settings to search",
)
@click.option(
    "--fix", multiple=True, metavar="NAME=VALUE", shell_complete=complete_settings, help="fix a setting, like epochs=8"
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="fixed settings as TOML")
@click.option(
    "--seed", type=click.IntRange(0), show_default="0", help="seed of the split, as in mien train, and of the search"
)
@click.option("--pruner", type=click.Choice(["median", "halving", "none"]), default="median", show_default=True,
              help="how to stop bad trials early")  # fmt: skip
@click.option("--storage", metavar="URL", help="database that several machines share, like postgresql+psycopg://…")
@click.option("--study", metavar="NAME", show_default="mien-DIR", help="name of the study in the database")
@click.option("--silent-after", type=click.IntRange(6), default=60, show_default=True, metavar="SECONDS",
              help="a process without a heartbeat for so long is dead; its trial is taken over")  # fmt: skip
@click.option("--json", "json_target", metavar="FILE", help="also write the result as JSON; - for standard output")
@detect_option(BY_SAMPLE)
@data_options
def command(
    data: Path, out: Path | None, trials: int | None, minutes: float | None, search: str | None, fix: tuple[str, ...],
    config_file: Path | None, seed: int | None, pruner: str, storage: str | None, study: str | None,
    silent_after: int, json_target: str | None, detect: bool | None, classes: str | None, rename: tuple[str, ...],
    fixes: bool | Path,
) -> None:  # fmt: skip
    """Search for settings with a better accuracy on the validation split of DATA. The test split is never opened.

    The first trial has the default settings. The same command resumes an interrupted or killed search. Several
    processes may search at once, and several machines with --storage. The best settings are written to best.toml, for
    mien train --config.
    """
    if trials is None and minutes is None:
        raise ConfigError("give a budget: --trials N, --minutes M or both")
    if json_target is not None:
        require_output(json_target, _JSON_BEGINS, data, config_file)
    settings = _settings(config_file, fix, {"seed": seed, "detect": detect})
    names = tuple(name.strip().replace("-", "_") for name in search.split(",")) if search else None
    out = out or Path(RUNS) / f"tune-{data.resolve().stem}"
    # Find typing errors before Keras is loaded, which takes seconds.
    base = build_config(settings)
    make_space(resolved(settings, base), base, names)
    refuse_foreign(out, "study", SPLIT, ABOUT)
    source = read_source(data, *parse_data_options(classes, rename), fixes)
    require_optuna(storage)
    require_matplotlib()
    require_keras("tuning", base.deterministic)
    from mien.training.search.results import read_result, write_result
    from mien.training.search.tune import Options, exclusive, tune

    options = Options(Budget(trials, minutes), storage, study, cast("Pruner", pruner), silent_after)
    with SearchProgress(command_line(), out / ABOUT) as progress:

        def on_trial(number: int, config: Any, space: Any) -> SearchProgress:
            chosen = {name: getattr(config, name) for name in space.searched}
            progress.begin(f"trial {number}: {format_settings(chosen)}")
            return progress

        found = read_result(tune(source, settings, out, options, names, progress.overall, on_trial))
    with exclusive(out):
        write_result(found, out)
    if json_target is not None:
        write_output((out / "summary.json").read_text(encoding="utf-8"), json_target)
    if json_target != "-":
        _print(found, data, out)


def _settings(config_file: Path | None, fix: tuple[str, ...], flags: dict[str, Any]) -> dict[str, Any]:
    fixed = parse_fixed(fix) | {name: value for name, value in flags.items() if value is not None}
    settings = merge_settings(config_file, fixed, say_to_stderr)
    if "minutes" in settings:
        raise ConfigError("minutes: a trial ends by its epochs, so that trials are comparable; give --fix epochs=N")
    return settings


def _print(found: Any, data: Path, out: Path) -> None:
    from mien.training.search.results import HISTORY, IMPORTANCE, SUMMARY, TABLE

    screen = console()
    best = sorted(found.trials, key=lambda trial: (trial.accuracy is None, -(trial.accuracy or 0.0), trial.number))
    table = Table(title=Text(f"The best {min(_SHOWN, len(best))} of {len(best)} trials", "bold"), title_justify="left")
    for name in ("trial", "accuracy", "epochs", "settings"):
        table.add_column(name, no_wrap=name == "epochs")
    for trial in best[:_SHOWN]:
        accuracy = f"{trial.accuracy:.4f}" if trial.accuracy is not None else trial.reason
        table.add_row(
            f"{trial.number}{' (defaults)' if trial.is_default else ''}",
            accuracy,
            str(trial.epochs),
            format_settings(trial.settings),
        )
    table.caption, table.caption_justify = f"accuracy on {found.validation} validation images", "left"
    screen.print(table)
    if found.importance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in found.importance.items())
        screen.print(f"importance of each setting (a rough estimate from few trials): {shares}", soft_wrap=True)
    screen.print(found.conclusion(), soft_wrap=True)
    command = f"mien train {data} --config {out / 'best.toml'}"
    screen.print(Text(one_line(f"train with them   {command}")), soft_wrap=True)
    kept = ", ".join(name for name in (HISTORY, IMPORTANCE, TABLE, SUMMARY) if (out / name).exists())
    screen.print(Text(one_line(f"all results are in {out}  ({kept})")), soft_wrap=True)

"""A sweep run as one study: each cell a normal run, then a table, a comparison plot and what to conclude."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from mien.data.audit import Audit
from mien.errors import OutputError, TrainingError
from mien.faces.crop import Region
from mien.io.atomic import LOCK, lock, new_file, read_json, readable_errors, refuse_foreign, what_changed, write_text
from mien.io.layout import METRICS, is_finished
from mien.training import run
from mien.training.networks.networks import build
from mien.training.plan import Plan, plan_split
from mien.training.search.effects import Effect, Mean, effects, mean_over_seeds
from mien.training.search.sweep import JOB, Cell, Sweep
from mien.training.source import QuietReporter, Reporter, TrainingSource, check_source
from mien.viz.charts import ACCENT, FAINT, MUTED, Axes, chart, plain

RESULT, TABLE, PLOT = "experiment.json", "experiment.csv", "comparison.png"


@dataclass(frozen=True)
class Done:
    """One finished run of a sweep: its cell, the accuracy on the part that was judged, and the figures of the run."""

    cell: Cell
    accuracy: float
    part: str
    kept_epoch: int


@dataclass(frozen=True)
class Outcome:
    """What a sweep came to; `failed` has the cells that could not be trained, with the reason."""

    sweep: Sweep
    runs: tuple[Done, ...]
    failed: tuple[tuple[Cell, str], ...]

    def levels(self) -> dict[str, Mean]:
        """Return the mean accuracy of each cell over its seeds, best first."""
        figures: dict[str, list[float]] = {}
        for done in self.runs:
            figures.setdefault(done.cell.level, []).append(done.accuracy)
        found = {level: mean_over_seeds(values) for level, values in figures.items()}
        return dict(sorted(found.items(), key=lambda row: -row[1].mean))

    def effects(self) -> list[Effect]:
        """Return what each factor does."""
        return effects([(done.cell.values, done.cell.seed, done.accuracy) for done in self.runs], self.sweep.grid)

    def sentence(self) -> str:
        """Say what matters and what is noise."""
        said = "; ".join(map(str, self.effects()))
        failed = f"; {len(self.failed)} runs failed and are left out" if self.failed else ""
        return f"{said or 'nothing can be said: no seed has all its runs'}{failed}."

    @property
    def part(self) -> str:
        """What the figures were measured on."""
        return " and ".join(sorted({done.part for done in self.runs})) or "nothing"

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        levels = {
            level: {"mean": mean.mean, "low": mean.low if mean.n > 1 else None,
                    "high": mean.high if mean.n > 1 else None, "seeds": mean.n}
            for level, mean in self.levels().items()
        }  # fmt: skip
        return {
            "title": self.sweep.title, "measured": f"accuracy on: {self.part}", "levels": levels,
            "effects": [effect.to_dict() for effect in self.effects()], "conclusion": self.sentence(),
            "runs": [_row(done) for done in self.runs],
            "failed": [{"run": cell.folder, "reason": reason} for cell, reason in self.failed],
        }  # fmt: skip


def experiment(
    source: TrainingSource, sweep: Sweep, out: Path, reporter: Reporter | None = None,
    on_run: Callable[[Cell, Path], Reporter] | None = None,
) -> Outcome:  # fmt: skip
    """Train every cell of a sweep on a source, each in a run folder in `out`, and write what came of it there.

    An interrupted sweep goes on with the same call; finished runs are kept, and values and seeds may be added. A run
    whose training fails (the loss is no longer a number, say) is reported, not fatal. `on_run` gives the reporter of
    a run that is about to begin. Raises OutputError where `out` holds another experiment or another process
    works on it, and whatever `mien.training.run.train` raises before training.
    """
    reporter = reporter or QuietReporter()
    cells = sweep.cells()
    checked: dict[bool, tuple[Audit, dict[str, Region]]] = {}
    _try_networks(source, [cell for cell in cells if not is_finished(out / cell.folder)])
    if not out.exists():  # data that cannot be used leave no folder behind
        _split(source, cells[0], checked, reporter)
    handle = _claim(out, source, sweep)
    finished: list[Done] = []
    failed: list[tuple[Cell, str]] = []
    try:
        for cell in cells:
            folder = out / cell.folder
            try:
                fresh = not is_finished(folder)
                if fresh:
                    listener = on_run(cell, folder) if on_run else QuietReporter()
                    _train(source, cell, folder, checked, reporter, listener)
                    keras.utils.clear_session(free_memory=True)  # what one network leaves behind adds up over many
                finished.append(_done(cell, folder))
                if fresh:
                    reporter.say(f"{cell.folder}: accuracy {finished[-1].accuracy:.4f} on: {finished[-1].part}")
            except TrainingError as error:
                failed.append((cell, str(error)))
                reporter.say(f"{cell.folder}: {error}")
        outcome = Outcome(sweep, tuple(finished), tuple(failed))
        _write(outcome, out)
    finally:
        os.close(handle)
    return outcome


def _try_networks(source: TrainingSource, cells: Sequence[Cell]) -> None:
    """Build each network of a sweep once: names and sizes that Keras refuses must not end it after hours."""
    tried = set()
    for cell in cells:
        config = cell.config
        wanted = (config.network, config.size, config.colour, config.width, config.backbone)
        if wanted not in tried:
            build(config, len(source.manifest.classes))
        tried.add(wanted)
    keras.utils.clear_session(free_memory=True)


def _claim(out: Path, source: TrainingSource, sweep: Sweep) -> int:
    """Make or check the folder of a sweep and keep other processes off it until the handle is closed."""
    with readable_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        lock(handle, out)
        job = {"base": dict(sweep.base), "data": source.to_dict()}
        path = out / JOB
        if not path.exists():
            refuse_foreign(out, "experiment", JOB)
            write_text(path, json.dumps(job, indent=2) + "\n")
        elif changed := what_changed(job, read_json(path)):
            raise OutputError(f"{out}: was begun with another {changed}; choose another name, or remove it first")
    except BaseException:
        os.close(handle)
        raise
    return handle


def _train(
    source: TrainingSource, cell: Cell, folder: Path, checked: dict[bool, tuple[Audit, dict[str, Region]]],
    reporter: Reporter, listener: Reporter,
) -> None:  # fmt: skip
    """Train one cell, or go on where it was interrupted."""
    if not folder.exists():
        run.start(source, cell.config, folder, _split(source, cell, checked, reporter), QuietReporter())
    run.resume(folder, listener)


def _split(
    source: TrainingSource, cell: Cell, checked: dict[bool, tuple[Audit, dict[str, Region]]], reporter: Reporter
) -> Plan:
    """Split the data as a cell wants them; they are checked once for all cells."""
    faces = cell.config.faces
    if faces not in checked:
        checked[faces] = check_source(source, reporter, faces)
    audit, regions = checked[faces]
    return plan_split(audit, cell.config, regions)


def _done(cell: Cell, folder: Path) -> Done:
    """Read a finished run back; TrainingError where its files are damaged."""
    try:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        history = run.read_history(folder)
        kept = history[run.best_epoch(history)].epoch
        return Done(cell, float(metrics["accuracy"]["value"]), str(metrics["part"]), kept)
    except (OSError, ValueError, LookupError, TypeError, RecursionError, csv.Error) as error:
        raise TrainingError(f"{folder}: is damaged ({error}); remove it and give the command again") from None


def _row(done: Done) -> dict[str, Any]:
    return {
        **done.cell.values, "seed": done.cell.seed, "accuracy": done.accuracy, "kept_epoch": done.kept_epoch,
        "run": done.cell.folder,
    }  # fmt: skip


def _write(outcome: Outcome, out: Path) -> None:
    """Write the result as JSON, the runs as CSV and the comparison as a picture."""
    write_text(out / RESULT, json.dumps(outcome.to_dict(), indent=2) + "\n")
    buffer = io.StringIO()
    names = [*outcome.sweep.grid, "seed", "accuracy", "kept_epoch", "run"]
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(done) for done in outcome.runs)
    write_text(out / TABLE, buffer.getvalue())
    if outcome.runs:
        with new_file(out / PLOT) as part:
            part.write_bytes(comparison(outcome))


def comparison(outcome: Outcome) -> bytes:
    """Draw every run as a dot, and each cell's mean with its interval, best above; PNG bytes."""
    levels = list(outcome.levels().items())

    def draw(axes: Axes) -> None:
        for place, (level, mean) in enumerate(reversed(levels)):
            values: Sequence[float] = [done.accuracy for done in outcome.runs if done.cell.level == level]
            if mean.n > 1:
                axes.plot([mean.low, mean.high], [place, place], color=ACCENT)
            axes.plot(values, [place] * len(values), "o", color=MUTED, markersize=4, alpha=0.7)
            axes.plot([mean.mean], [place], "|", color=ACCENT, markersize=16, markeredgewidth=2.5)
        axes.set_yticks(range(len(levels)), [plain(level, 40) for level, _ in reversed(levels)])
        axes.set_xlabel(plain(f"accuracy on: {outcome.part}"))
        axes.set_title(plain(outcome.sweep.title))
        axes.grid(axis="x", color=FAINT)

    seeds = len(outcome.sweep.seeds)
    said = f"dots: runs; bars: mean and 95 % t interval over {seeds} seeds"
    return chart("comparison", draw, caption=said, alt=said, height=1.2 + 0.35 * len(levels)).png

"""`mien train`: labelled folders in, an evaluated and exported classifier out."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from rich.live import Live
from rich.text import Text

from mien.cli.options import data_options, parse_data_options
from mien.cli.progress import progress_bar
from mien.cli.settings import join_settings, training_options
from mien.cli.tables import metrics_table
from mien.cli.terminal import console
from mien.data.dataset import require_trainable
from mien.errors import ConfigError
from mien.io.layout import CONFIG, is_run
from mien.io.targets import free_folder, require_new_folder
from mien.training.backend import require_keras
from mien.training.config import read_settings
from mien.training.networks.pretrained import configured, configured_for_few
from mien.training.runs import read_unfinished
from mien.training.source import TrainingSource


@click.command("train")
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="RUN", help="folder of the run  [mien-runs/DATA-NETWORK]"
)
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="continue an interrupted run")
@click.option("--folds", type=click.IntRange(3, 50), help="cross-validate, then train the model to keep")
@data_options
@training_options
def command(
    data: Path | None, out: Path | None, resume: Path | None, folds: int | None, classes: str | None,
    rename: tuple[str, ...], config_file: Path | None, **flags: Any,
) -> None:  # fmt: skip
    """Train on DATA: check, split, train, evaluate and export, all into one run folder.

    Few pictures start from the shipped model, which already knows faces, unless a network, an input or
    --from is named; --from none trains from scratch.
    """
    if resume is not None:
        _refuse_settings(data, out, folds, classes, rename, config_file, flags)
        _resume(resume)
        return
    if data is None:
        raise ConfigError("give DATA, a labelled folder, CSV or zip; or --resume RUN")
    settings = join_settings(config_file, flags)
    config, for_few = configured(settings), configured_for_few(settings)
    out = out or free_folder(Path("mien-runs"), f"{data.resolve().stem}-{config.network}")
    # What a typo may spoil is looked at before Keras is loaded, which takes seconds.
    require_new_folder(out)
    source = read_source(data, classes, rename)
    require_keras("training", config.deterministic)
    from mien.training import run

    with TrainingScreen(out) as screen:
        finished = run.train(source, config, out, screen, folds or 0, for_few)
    print_finished(finished)


def read_source(data: Path, classes: str | None, rename: tuple[str, ...]) -> TrainingSource:
    """Read the files and labels of a source; DataError where there are none to train on."""
    source = TrainingSource(data, *parse_data_options(classes, rename))
    require_trainable(source.manifest)
    return source


def _refuse_settings(*given: Any) -> None:
    flags = given[-1]
    if any(given[:-1]) or any(value is not None for value in flags.values()):
        raise ConfigError("--resume: takes the run's own data and settings; give it alone")


def _resume(folder: Path) -> None:
    read_unfinished(folder)
    stored = folder / CONFIG
    deterministic = bool(read_settings(stored).get("deterministic")) if stored.exists() else False
    require_keras("training", deterministic)
    from mien.training import run

    with TrainingScreen(folder) as screen:
        finished = run.resume(folder, screen)
    print_finished(finished)


class TrainingScreen:
    """Shows a run: news as lines, the current epoch as a live line, finished epochs as a table."""

    def __init__(self, folder: Path) -> None:
        self._screen = console(err=True)
        self._folder = folder
        self._live: Live | None = None
        self._began = 0.0

    def __enter__(self) -> "TrainingScreen":
        """Start."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop the live line; say how to continue where the run was interrupted."""
        self._stop_live()
        if kind is not None and is_run(self._folder):
            self._screen.print(f"continue with: mien train --resume {self._folder}", soft_wrap=True, markup=False)

    def say(self, text: str) -> None:
        """Print one line of news."""
        self._stop_live()
        self._screen.print(text, soft_wrap=True, markup=False)

    def progress(self, what: str) -> AbstractContextManager[Callable[[float], None]]:
        """Show a progress bar."""
        self._stop_live()
        return progress_bar(what)

    def on_batch(self, epoch: int, done: int, steps: int, loss: float, accuracy: float, rate: float) -> None:
        """Refresh the live line."""
        if not self._screen.is_terminal:
            return
        if self._live is None:
            self._began = time.perf_counter()
            self._live = Live(console=self._screen, transient=True, refresh_per_second=4)
            self._live.start()
        left = (time.perf_counter() - self._began) / done * (steps - done)
        self._live.update(
            Text(f"epoch {epoch + 1:>3}  {done}/{steps}  loss {loss:.4f}  accuracy {accuracy:.4f}  "
                 f"{rate:.0f} images/s  {left:.0f} s left in this epoch")
        )  # fmt: skip

    def on_epoch(self, row: Any) -> None:
        """Print a finished epoch."""
        self._stop_live()
        self._screen.print(
            f"epoch {row.epoch:>3}  loss {row.loss:.4f}  accuracy {row.accuracy:.4f}  "
            f"validation loss {row.val_loss:.4f}  accuracy {row.val_accuracy:.4f}  "
            f"{row.images_per_second:.0f} images/s  {row.seconds:.0f} s"
        )

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class BriefScreen(TrainingScreen):
    """Shows one run after another: a live line while it trains, one line when it begins.

    `again` is the command that goes on after an interruption; `news` is who to tell what is not of a single run.
    """

    def __init__(self, again: str) -> None:
        super().__init__(Path())
        self._again = again
        self.news = TrainingScreen(Path())

    def __enter__(self) -> "BriefScreen":
        """Start."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop the live line; say how to go on where the work was interrupted."""
        self._stop_live()
        if kind is KeyboardInterrupt:
            self._screen.print(f"go on with: {self._again}", soft_wrap=True, markup=False)

    def begin(self, what: str) -> None:
        """Print what begins."""
        self._stop_live()
        self.news.say(what)

    def say(self, text: str) -> None:
        """Leave out the news of a single run."""

    def on_epoch(self, row: Any) -> None:
        """Leave out single epochs."""
        self._stop_live()


def print_finished(finished: Any) -> None:
    """Print the figures and where everything is."""
    screen = console()
    screen.print(metrics_table(finished.scored.evaluation(), f"Figures on: {finished.part}"))
    screen.print(f"run      {finished.folder}  (report.html, metrics.json, history.csv, curves.png, …)",
                 soft_wrap=True, markup=False)  # fmt: skip
    screen.print(f"use it   mien predict photo.jpg --model {finished.folder}", soft_wrap=True, markup=False)

"""Read and write `history.csv`, one row per epoch. Needs no Keras."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from mien.errors import TrainingError
from mien.evaluation import run_file
from mien.io.atomic import write_text
from mien.io.cells import csv_table
from mien.io.layout import HISTORY
from mien.text import first_line
from mien.training.loop.schedule import Epoch


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Write the history of a run."""
    write_text(folder / HISTORY, csv_table([field.name for field in fields(Epoch)], map(asdict, history)))


def read_history(folder: Path) -> list[Epoch]:
    """Return the history of a run; an empty list if there is none yet. Raises TrainingError if it is damaged."""
    path = folder / HISTORY
    if not path.exists():
        return []
    try:
        return [Epoch(**{**row, "epoch": int(row["epoch"])}) for row in run_file.read_history(folder)]  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: is damaged ({first_line(error)})") from None

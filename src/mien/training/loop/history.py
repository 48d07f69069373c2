"""Read and write `history.csv`, one row per epoch. Needs no Keras."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from mien.io.atomic import write_text
from mien.io.layout import HISTORY
from mien.training.loop.schedule import Epoch


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Write the history of a run."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    write_text(folder / HISTORY, buffer.getvalue())


def read_history(folder: Path) -> list[Epoch]:
    """Return the history of a run; an empty list if there is none yet."""
    path = folder / HISTORY
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            Epoch(int(row["epoch"]), **{name: float(value) for name, value in row.items() if name != "epoch"})
            for row in csv.DictReader(stream)
        ]

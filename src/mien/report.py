"""An evaluation written down: `metrics.json`, `predictions.csv`, and plots."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien import plots
from mien.evaluation import Scored, rows
from mien.output import write_text


def write_report(scored: Scored, folder: Path, part: str, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write `metrics.json`, `predictions.csv`, `confusion.png` and `roc.png` into an existing folder.

    `part` says in words what was scored. Returns what `metrics.json` holds. Raises OutputError where
    the folder cannot be written.
    """
    evaluation = scored.evaluation()
    found = metrics_dict(scored, part, about)
    write_text(folder / "metrics.json", json.dumps(found, indent=2) + "\n")
    write_text(folder / "predictions.csv", predictions_csv(scored))
    title = f"{part}, {evaluation.n} pictures"
    plots.confusion(folder / "confusion.png", evaluation.confusion, scored.classes, title)
    plots.roc(folder / "roc.png", scored.truth, scored.probabilities, scored.classes, title)
    return found


def metrics_dict(scored: Scored, part: str, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the figures of an evaluation, JSON-ready."""
    return {
        "part": part,
        "judged_by": scored.by,
        **scored.evaluation().to_dict(),
        "skipped": [{"file": name, "reason": reason} for name, reason in scored.skipped],
        "no_face": list(scored.no_face),
        "about": dict(about or {}),
    }


def predictions_csv(scored: Scored) -> str:
    """Return one CSV row per picture: file, truth, answer, and the probability of every class."""
    buffer = io.StringIO()
    names = ["file", "truth", "answer", *(f"p_{label}" for label in scored.classes)]
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(scored))
    return buffer.getvalue()

"""Show where an evaluation comes from: the data and its issues, the training, versions and hashes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.audit import Audit
from mien.data.label_issues import LabelIssue, find_label_issues, measure_agreement
from mien.evaluation.run_file import read_history
from mien.evaluation.scoring import Predictions
from mien.inference.answer_fields import ANSWER_FIELDS
from mien.io.bounded import read_object
from mien.io.layout import RUN
from mien.metrics.formatting import format_points
from mien.metrics.significance import independent_difference
from mien.metrics.wording import excludes_zero, negated
from mien.report.document import Block, Note, Section, Table
from mien.text import pluralize
from mien.viz.charts import Chart
from mien.viz.history import LearningCurve, learning_curves

#: Most label issues that are listed; `mien check --all` lists all.
MAX_LABEL_ISSUES = 12
#: Data issues that bias metrics, not only training.
BIASING = ("label-conflict", "split-leak", "exact-duplicate", "near-duplicate")


def data_section(predictions: Predictions, audit: Audit | None, audited: str) -> Section:
    """Show the issues of the data: those of files, and labels that are probably wrong.

    Args:
        predictions: the predictions on the data.
        audit: its issues, if they are known.
        audited: which data was audited, in words.
    """
    counts = np.bincount(predictions.truth, minlength=len(predictions.classes)).tolist()
    by_class = ", ".join(f"{name} {count:,}" for name, count in zip(predictions.classes, counts, strict=True))
    parts: list[Block] = [Note(f"Images evaluated: {by_class}.")]
    biasing = 0
    if audit is not None:
        biasing = len(audit.named(BIASING) & set(predictions.names))
        parts.append(_data_issues(audit, audited))
    labels, doubtful = _judge_labels(predictions)
    if doubtful:
        parts.append(_label_issues(predictions, doubtful))
    repeated = f"; {pluralize(biasing, 'image')} repeated or under two labels" if biasing else ""
    return Section("data", "Issues of the data", f"{labels[0].upper()}{labels[1:]}{repeated}.", tuple(parts))


def _judge_labels(predictions: Predictions) -> tuple[str, Sequence[LabelIssue]]:
    """Return what the probabilities say of the labels, in words, and the label issues."""
    if not predictions.has_probabilities:
        return "labels were not judged: the answers have no probabilities", ()
    agreement = measure_agreement("", predictions.probabilities, predictions.truth)
    if agreement.unchecked:
        return f"labels were not judged: the model {agreement.agrees}, so it cannot tell which are wrong", ()
    doubtful = find_label_issues(predictions.probabilities, predictions.truth)
    are = "is" if len(doubtful) == 1 else "are"
    return f"the model {agreement.agrees}; {len(doubtful):,} {are} in doubt, because it contradicts them", doubtful


def _data_issues(audit: Audit, audited: str) -> Table | Note:
    if not audit.issues:
        return Note(
            f"The check of files found no issue in {audited}: all are readable, and none is repeated, under two labels "
            "or in two parts. It does not judge labels."
        )
    rows = []
    for issue in audit.issues:
        count, example = (f"{len(issue.files):,}", issue.files[0]) if issue.files else ("", issue.detail)
        rows.append((issue.title, str(issue.severity), count, example, issue.fix))
    columns = ("issue", "severity", "files", "example", "fix")
    return Table(
        columns, tuple(rows), f"Issues of the files of {audited}, worst first. This check does not judge labels."
    )


def _label_issues(predictions: Predictions, found: Sequence[LabelIssue]) -> Table:
    rows = []
    for one in found[:MAX_LABEL_ISSUES]:
        truth, other = predictions.classes[predictions.truth[one.index]], predictions.classes[one.suggested]
        rows.append((predictions.names[one.index], truth, other, f"{one.margin:.3f}"))
    shown = f"The {len(rows)} surest of {len(found):,} label issues" if len(found) > len(rows) else "Label issues"
    caption = (
        f"{shown}: labels that the model contradicts (confident learning); valid if the model was not trained on these "
        "images."
    )
    return Table(("file", "label", "suggested", "margin"), tuple(rows), caption)


def training_section(run: Path) -> Section | None:
    """Show loss and accuracy over the epochs of a run folder; None if it has no history."""
    try:
        rows = read_history(run)
        columns = {
            name: [row[name] for row in rows] for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
        }
    except (OSError, KeyError, ValueError):
        return None
    if not rows:
        return None
    best = int(np.argmin(columns["val_loss"]))
    epochs = [int(epoch) for epoch in columns["epoch"]]

    def drawn(name: str, caption: str) -> Chart:
        last = f"{name} of the kept epoch {epochs[best]}: {columns[f'val_{name}'][best]:.3f} on validation images"
        curve = LearningCurve(name, columns[name], columns[f"val_{name}"])
        return learning_curves(
            epochs, [curve], best, name=f"training-{name}", caption=caption, alt=f"Curves of {last}."
        )

    accuracies = columns["val_accuracy"][best], columns["accuracy"][best]
    conclusion = (
        f"Epoch {epochs[best]} of {len(epochs)} was kept, with a validation accuracy of {accuracies[0]:.3f}."
        f"{_easier_part(run, *accuracies)}"
    )
    charts = (
        drawn("loss", "If the validation loss rises while the training loss falls, the network overfits."),
        drawn(
            "accuracy",
            "Augmentation makes training images harder, so training may lie below validation.",
        ),
    )
    return Section("training", "Training", conclusion, charts)


def _easier_part(run: Path, validation: float, training: float) -> str:
    """Say whether training images were easier than validation images, if the difference is significant."""
    try:
        counts = read_object(run / RUN)["counts"]
        n_train, n_validation = (sum(counts[part].values()) for part in ("train", "validation"))
        gap = independent_difference(validation, training, n_validation, n_train)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        return ""
    if not excludes_zero(gap):
        return ""
    easier, by = ("Training", gap) if gap.value > 0 else ("Validation", negated(gap))
    return f" {easier} images were easier, by {format_points(by, signed=False, unit='points')}."


def provenance_section(predictions: Predictions, part: str, about: Mapping[str, Any]) -> Section:
    """Show all that is needed to reproduce the evaluation.

    Args:
        predictions: the predictions.
        part: which images these are, in words.
        about: model, data, versions and command.
    """
    rows = [("evaluated on", part), ("judged by", ANSWER_FIELDS[predictions.answer_field])]
    rows += [("sha256 of the model" if name == "sha256" else name, text) for name, text in _flat(about)]
    if predictions.sha256:
        rows.append(("sha256 of the data", predictions.sha256))
    table = Table(("item", "value"), tuple(rows))
    return Section("provenance", "Provenance", "The same command on the same data gives the same numbers.", (table,))


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name}: ")
        elif value is not None:
            found.append((f"{before}{name}", str(value)))
    return found

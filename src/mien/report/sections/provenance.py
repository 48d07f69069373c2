"""Show where an evaluation comes from: the data and its issues, the training, versions and hashes."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.audit import Audit
from mien.data.label_issues import LabelIssue, find_label_issues
from mien.evaluation.scoring import Predictions
from mien.inference.decision import ANSWER_FIELDS
from mien.io.layout import HISTORY
from mien.report.document import Block, Note, Section, Table
from mien.text import pluralize
from mien.viz.charts import Chart
from mien.viz.history import LearningCurve, learning_curves

#: So many suspects are named in the report; `mien check --faces` names all.
SUSPECTS = 12
#: Faults that make figures wrong, and not only training worse.
SPOILING = ("label-conflict", "split-leak", "exact-duplicate", "near-duplicate")


def data_section(scored: Predictions, audit: Audit | None, scope: str) -> Section:
    """Say what is wrong with the data: faults of files, and labels that are probably wrong.

    `scope` says in words what was audited.
    """
    counts = zip(scored.classes, np.bincount(scored.truth, minlength=len(scored.classes)).tolist(), strict=True)
    parts: list[Block] = [Note(f"Pictures that count: {', '.join(f'{name} {count:,}' for name, count in counts)}.")]
    copies = 0
    if audit is not None:
        copies = len(audit.named(SPOILING) & set(scored.names))
        parts.append(_faults(audit, scope))
    doubtful = find_label_issues(scored.probabilities, scored.truth)
    if doubtful:
        parts.append(_doubtful(scored, doubtful))
    share = f"{len(doubtful):,} of {len(scored.names):,} labels are in doubt"
    unclean = f"; {pluralize(copies, 'picture')} repeated or under two labels" if copies else ""
    return Section("data", "What is wrong with the data", f"{share}{unclean}.", tuple(parts))


def _faults(audit: Audit, scope: str) -> Table | Note:
    if not audit.issues:
        return Note(f"No fault was found in {scope}.")
    rows = []
    for fault in audit.issues:
        count, example = (f"{len(fault.files):,}", fault.files[0]) if fault.files else ("", fault.detail)
        rows.append((fault.title, str(fault.severity), count, example, fault.fix))
    columns = ("fault", "kind", "files", "for example", "what to do")
    return Table(columns, tuple(rows), f"Faults of {scope}, worst first.")


def _doubtful(scored: Predictions, found: Sequence[LabelIssue]) -> Table:
    rows = []
    for one in found[:SUSPECTS]:
        truth, other = scored.classes[scored.truth[one.index]], scored.classes[one.suggested]
        rows.append((scored.names[one.index], truth, other, f"{one.margin:.3f}"))
    shown = f"The {len(rows)} most doubtful of {len(found):,} labels" if len(found) > len(rows) else "Doubtful labels"
    caption = f"{shown}, by what the model says (confident learning); valid if it was not trained on these pictures."
    return Table(("file", "labelled", "looks like", "by a margin of"), tuple(rows), caption)


def training_section(run: Path) -> Section | None:
    """Return loss and accuracy over the epochs of a run folder; None where it has no history."""
    try:
        with (run / HISTORY).open(encoding="utf-8", newline="") as stream:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]
        columns = {
            name: [row[name] for row in rows] for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
        }
    except (OSError, KeyError, ValueError, TypeError):
        return None
    if not rows:
        return None
    best = int(np.argmin(columns["val_loss"]))
    epochs = [int(epoch) for epoch in columns["epoch"]]

    def drawn(name: str, caption: str) -> Chart:
        last = f"{name} of the kept epoch {epochs[best]}: {columns[f'val_{name}'][best]:.3f} on validation pictures"
        curve = LearningCurve(name, columns[name], columns[f"val_{name}"])
        return learning_curves(
            epochs, [curve], best, name=f"training-{name}", caption=caption, alt=f"Curves of {last}."
        )

    gap = columns["accuracy"][best] - columns["val_accuracy"][best]
    easier = "training pictures were known better" if gap > 0 else "validation pictures were easier"
    conclusion = (
        f"Epoch {epochs[best]} of {len(epochs)} was kept, with a validation accuracy of "
        f"{columns['val_accuracy'][best]:.3f}; {easier}, by {100 * abs(gap):.1f} points."
    )
    charts = (
        drawn("loss", "Where validation turns up while training goes on falling, the network learns by heart."),
        drawn("accuracy", "Augmentation makes training pictures harder: training may lie below validation."),
    )
    return Section("training", "How it was trained", conclusion, charts)


def origin_section(scored: Predictions, part: str, about: Mapping[str, Any]) -> Section:
    """Say what is needed to do it again."""
    rows = [("measured on", part), ("judged by", ANSWER_FIELDS[scored.by])]
    rows += [("sha256 of the model" if name == "sha256" else name, text) for name, text in _flat(about)]
    if scored.sha256:
        rows.append(("sha256 of the data", scored.sha256))
    table = Table(("what", "is"), tuple(rows))
    return Section(
        "origin", "Where this comes from", "The same command on the same data gives the same figures.", (table,)
    )


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name}: ")
        elif value is not None:
            found.append((f"{before}{name}", str(value)))
    return found

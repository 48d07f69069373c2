"""An evaluation written down: `report.html`, `metrics.json`, `predictions.csv`, and every chart as a PNG."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.arrays import Float32, Int64, UInt8
from mien.data.audit import Audit
from mien.evaluation.scoring import Predictions, rows
from mien.evaluation.thresholds import Thresholds, measure_thresholds
from mien.explanation.explainer import default_method, explain_crops
from mien.inference.reader import Reader
from mien.io.atomic import write_text
from mien.io.layout import METRICS, PREDICTIONS, REPORT
from mien.report.document import Section
from mien.report.html import page
from mien.report.sections import calibration, performance
from mien.report.sections.gallery import Heats, gallery_section
from mien.report.sections.provenance import data_section, origin_section, training_section
from mien.report.sections.thresholds import thresholds_section
from mien.viz.charts import Chart

#: How the heatmaps of the gallery are made.
HOW = {
    "cam": "class activation map",
    "occlusion": "occlusion, by how much the answer falls with a patch laid over each place in turn",
}


@dataclass(frozen=True)
class ReportContext:
    """What a report says beyond the answers themselves, where it is known.

    `reader` makes the heatmaps of the gallery, `run` is a run folder with its history, `audit` the faults of the
    data, which are `audited` in words. `lines` are the thresholds, `written` the bundle into which the cheapest was
    written. `sections` are others' sections, and `figures` what they add to `metrics.json`.
    """

    reader: Reader | None = None
    run: Path | None = None
    audit: Audit | None = None
    audited: str = "the data"
    lines: Thresholds | None = None
    written: str | None = None
    sections: tuple[Section, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


def write_report(
    scored: Predictions,
    folder: Path,
    part: str,
    about: Mapping[str, Any] | None = None,
    extras: ReportContext | None = None,
) -> dict[str, Any]:
    """Write `report.html`, `metrics.json`, `predictions.csv` and the charts as PNG files into an existing folder.

    `part` says in words what was scored. Returns what `metrics.json` holds. Raises OutputError where
    the folder cannot be written.
    """
    extras = extras or ReportContext()
    found = metrics_dict(scored, part, about, extras)
    sections = _sections(scored, part, about or {}, extras)
    write_text(folder / METRICS, json.dumps(found, indent=2) + "\n")
    write_text(folder / PREDICTIONS, predictions_csv(scored))
    for chart in (one for section in sections for one in section.parts if isinstance(one, Chart)):
        chart.save(folder / f"{chart.name}.png")
    write_text(folder / REPORT, _page(scored, part, about or {}, sections))
    return found


def metrics_dict(
    scored: Predictions, part: str, about: Mapping[str, Any] | None = None, extras: ReportContext | None = None
) -> dict[str, Any]:
    """Return the figures of an evaluation, JSON-ready."""
    extras = extras or ReportContext()
    trust = scored.reliability
    lines = _lines(scored, extras)
    return {
        "part": part,
        "judged_by": scored.by,
        **scored.evaluation().to_dict(),
        "ece": trust.error.to_dict(),
        "reliability": trust.to_dict(),
        "risk_coverage": calibration.risk_dict(scored),
        "thresholds": lines.to_dict() if lines else None,
        **extras.figures,
        "skipped": [{"file": name, "reason": reason} for name, reason in scored.skipped],
        "no_face": list(scored.no_face),
        "about": {**(about or {}), **({"data_sha256": scored.sha256} if scored.sha256 else {})},
    }


def predictions_csv(scored: Predictions) -> str:
    """Return one CSV row per picture: file, truth, answer, and the probability of every class."""
    buffer = io.StringIO()
    names = ["file", "truth", "answer", *(f"p_{label}" for label in scored.classes)]
    names += [] if scored.groups is None else ["group"]
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(scored))
    return buffer.getvalue()


def _lines(scored: Predictions, extras: ReportContext) -> Thresholds | None:
    if extras.lines or len(scored.classes) != 2:
        return extras.lines
    return measure_thresholds(scored)


def _sections(scored: Predictions, part: str, about: Mapping[str, Any], extras: ReportContext) -> list[Section]:
    evaluation, trust, lines = scored.evaluation(), scored.reliability, _lines(scored, extras)
    found = [
        performance.figures_section(scored, evaluation, trust),
        performance.confusion_section(evaluation),
        performance.curves_section(scored, evaluation),
        calibration.trust_section(scored, trust),
        calibration.abstention_section(scored),
        thresholds_section(lines, extras.written) if lines else None,
        gallery_section(scored, *_heats(scored, extras.reader)),
        *extras.sections,
        data_section(scored, extras.audit, extras.audited),
        training_section(extras.run) if extras.run else None,
        origin_section(scored, part, about),
    ]
    return [section for section in found if section is not None]


def _page(scored: Predictions, part: str, about: Mapping[str, Any], sections: list[Section]) -> str:
    evaluation, trust = scored.evaluation(), scored.reliability
    name = str(about.get("model") or about.get("run") or "The model")
    verdict, deck = performance.verdict(scored, evaluation, trust, name)
    kicker = f"mien evaluate · {name} on {part}"
    return page(f"{name} on {part}", kicker, verdict, deck, performance.keys(evaluation, trust), sections)


def _heats(scored: Predictions, reader: Reader | None) -> tuple[Heats | None, str]:
    """Return what draws the heatmap of an answer, by the best method that the model allows, and that in words."""
    if reader is None:
        return None, ""
    known, method = reader.config.labels, default_method(reader)

    def heats(crops: UInt8, answers: Int64) -> Float32:
        names = [scored.classes[answer] for answer in answers]
        # An answer that is none of the labels (neither) is explained by the most probable of them.
        likeliest = reader.logits(crops).argmax(axis=1)
        labels = [known.index(n) if n in known else int(other) for n, other in zip(names, likeliest, strict=True)]
        return explain_crops(reader, crops, np.array(labels, np.int64), method)

    return heats, HOW[method]

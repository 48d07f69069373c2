"""An evaluation as a value, and its files: `report.html`, `metrics.json`, `predictions.csv`, and each chart as PNG."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.arrays import Float32, Int64, UInt8
from mien.data.audit import Audit
from mien.evaluation.answers import GivenAnswers
from mien.evaluation.baselines import Baselines
from mien.evaluation.groups import GroupMetrics
from mien.evaluation.robustness import Robustness
from mien.evaluation.scoring import Predictions, prediction_rows
from mien.evaluation.slices import Slices
from mien.evaluation.thresholds import Thresholds, measure_thresholds
from mien.explanation.explainer import default_method, explain_crops
from mien.inference.bundle import SHIPPED, set_threshold
from mien.inference.reader import Reader
from mien.io.atomic import new_folder, write_text
from mien.io.cells import csv_table
from mien.io.layout import METRICS, PREDICTIONS, REPORT
from mien.io.targets import require_new_folder, require_output, to_json, write_output
from mien.markup import element, table, to_html
from mien.metrics.classification import ClassificationMetrics
from mien.report.document import Note, Section, Table
from mien.report.html import page, require_pages
from mien.report.sections import calibration, performance
from mien.report.sections.baselines import baselines_section
from mien.report.sections.gallery import Heatmaps, gallery_section
from mien.report.sections.groups import groups_section
from mien.report.sections.provenance import data_section, provenance_section, training_section
from mien.report.sections.robustness import robustness_section
from mien.report.sections.slices import slices_section
from mien.report.sections.thresholds import thresholds_section
from mien.text import one_line
from mien.viz.charts import Chart

#: How `metrics.json` begins.
JSON_BEGINS = r'\{"part":"(\\.|[^"\\])*","judged_by":'

#: The methods of heatmaps, in words.
METHODS = {
    "cam": "class activation map",
    "occlusion": "occlusion: how much the probability of the answer drops if a patch covers each place in turn",
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model evaluated on labelled images; `mien.evaluate` returns one. Charts are drawn when it is written.

    Args:
        predictions: what the model answered, with the metrics.
        part: which images these are, in words.
        about: model, data, versions and command, JSON-ready.
        reader: the model; draws the heatmaps of the gallery if it is given.
        run: the run folder that the model is from, whose learning curves are shown.
        audit: issues of the data.
        audited: which data was audited, in words.
        thresholds: costs of every threshold. Default: measured with equal costs if there are two classes.
        slices: metrics by image properties.
        groups: metrics of given groups.
        robustness: accuracy under perturbations.
        bundle: the bundle that `write` sets the cheapest threshold in; None leaves the model as it is.
        trained_on: how many of these images the model was trained on, as far as is known.
        baselines: the numbers that a trained model must beat.
        answers: how the answers fit the images, if they were given and no model was asked.
    """

    predictions: Predictions
    part: str
    about: Mapping[str, Any] = field(default_factory=dict)
    reader: Reader | None = None
    run: Path | None = None
    audit: Audit | None = None
    audited: str = "the data"
    thresholds: Thresholds | None = None
    slices: Slices | None = None
    groups: GroupMetrics | None = None
    robustness: Robustness | None = None
    bundle: Path | None = None
    trained_on: int = 0
    baselines: Baselines | None = None
    answers: GivenAnswers | None = None

    def __post_init__(self) -> None:
        """Measure the thresholds of two classes if they are not given."""
        if self.thresholds is None and len(self.predictions.classes) == 2 and self.predictions.has_probabilities:
            object.__setattr__(self, "thresholds", measure_thresholds(self.predictions))

    @property
    def metrics(self) -> ClassificationMetrics:
        """All metrics with their confidence intervals."""
        return self.predictions.metrics

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict: what `metrics.json` holds."""
        predictions = self.predictions
        optional = {"slices": self.slices, "groups": self.groups, "robustness": self.robustness}
        sha256 = {"data_sha256": predictions.sha256} if predictions.sha256 else {}
        return {
            "part": self.part,
            "judged_by": predictions.answer_field,
            **self.metrics.to_dict(),
            **({"baselines": self.baselines.to_dict()} if self.baselines else {}),
            "reliability": predictions.reliability.to_dict() if predictions.has_probabilities else None,
            "risk_coverage": calibration.risk_dict(predictions) if predictions.has_probabilities else None,
            "thresholds": self.thresholds.to_dict() if self.thresholds else None,
            **{name: found.to_dict() for name, found in optional.items() if found is not None},
            "skipped": [{"file": name, "reason": reason} for name, reason in predictions.skipped],
            "no_face": list(predictions.no_face),
            **({"answers": self.answers.to_dict()} if self.answers else {}),
            **({"no_answer": list(predictions.no_answer)} if predictions.no_answer else {}),
            "about": {**self.about, **sha256},
        }

    def write(self, out: Path | None = None, json_target: str | None = None) -> None:
        """Write the report into a new folder, the metrics as JSON, and the cheapest threshold into `bundle`.

        If one of them cannot be written, the folder is not made and the model stays as it is.

        Args:
            out: a folder that does not exist yet.
            json_target: a file, or `-` for standard output.

        Raises:
            OutputError: the folder exists, or something cannot be written.
            MissingExtraError: `out` is given, and matplotlib or Jinja2 is not installed.
        """
        require_report(out, json_target)
        if out is None:
            self._write_values(json_target)
            return
        with new_folder(out) as folder:
            write_report(self, folder)
            self._write_values(json_target)

    def _write_values(self, json_target: str | None) -> None:
        if json_target:
            write_output(to_json(self.to_dict()), json_target)
        if self.thresholds and self.bundle:
            set_threshold(self.bundle, self.thresholds.cheapest.threshold, self._why_threshold(self.thresholds))

    def _why_threshold(self, found: Thresholds) -> dict[str, Any]:
        return {
            "on": self.part, "images": len(self.predictions.names), "costs": dict(found.costs),
            "before": found.present.threshold,
        }  # fmt: skip

    def __repr__(self) -> str:
        """Say model, images and accuracy, in one line."""
        model = self.about.get("model") or self.about.get("run") or "a model"
        accuracy, n = self.metrics.overall["accuracy"], self.metrics.n
        return one_line(f"<mien.Evaluation of {model} on {self.part}: accuracy {accuracy}, n = {n}>")

    def _repr_html_(self) -> str:
        """Show the verdict and the tables of metrics in a notebook."""
        parts = performance.metrics_section(self.predictions, self.metrics).parts
        return to_html(
            element("p", element("strong", _verdict(self)[0])),
            *(table(part.columns, part.rows, part.caption) for part in parts if isinstance(part, Table)),
            *(element("p", part.text) for part in parts if isinstance(part, Note)),
        )


def require_report(
    out: Path | None, json_target: str | None, *inputs: str | Path | None, begins: str = JSON_BEGINS
) -> None:
    """Refuse, before long work starts, a report that cannot be written into the new folder `out` or as JSON.

    Args:
        out: the folder; None for none.
        json_target: the file for the JSON, or `-`; None for none.
        *inputs: what is read, which is never written to.
        begins: how such a JSON begins, as `mien.io.targets.require_output` takes it.
    """
    if out:
        require_new_folder(out, *inputs)
        require_pages()
    if json_target:
        require_output(json_target, begins, *inputs)


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write the report, the metrics, the predictions and the charts into an existing folder.

    Raises OutputError if the folder cannot be written, MissingExtraError if matplotlib or Jinja2 is not installed.
    """
    sections = _sections(evaluation)
    write_text(folder / PREDICTIONS, predictions_csv(evaluation.predictions))
    for chart in (one for section in sections for one in section.parts if isinstance(one, Chart)):
        chart.save(folder / f"{chart.name}.png")
    write_text(folder / REPORT, _page(evaluation, sections))
    # The last one: a run that has it is finished.
    write_text(folder / METRICS, json.dumps(evaluation.to_dict(), indent=2) + "\n")


def predictions_csv(predictions: Predictions) -> str:
    """Return one CSV row per image: file, truth, answer, and the probability of every class."""
    names = ["file", "truth", "answer", *(f"p_{label}" for label in predictions.classes)]
    names += [] if predictions.groups is None else ["group"]
    return csv_table(names, prediction_rows(predictions))


def _sections(evaluation: Evaluation) -> list[Section]:
    predictions, metrics = evaluation.predictions, evaluation.metrics
    thresholds, bundle = evaluation.thresholds, evaluation.bundle
    found = [
        baselines_section(evaluation.baselines, metrics) if evaluation.baselines else None,
        performance.metrics_section(predictions, metrics),
        performance.confusion_section(metrics),
        *(_sections_of_probabilities(predictions, metrics) if predictions.has_probabilities else ()),
        thresholds_section(thresholds, bundle, _takes_threshold(evaluation)) if thresholds else None,
        gallery_section(predictions, *_heatmaps(predictions, evaluation.reader)),
        slices_section(evaluation.slices) if evaluation.slices else None,
        groups_section(evaluation.groups) if evaluation.groups else None,
        robustness_section(evaluation.robustness) if evaluation.robustness else None,
        data_section(predictions, evaluation.audit, evaluation.audited),
        training_section(evaluation.run) if evaluation.run else None,
        provenance_section(predictions, evaluation.part, evaluation.about),
    ]
    return [section for section in found if section is not None]


def _sections_of_probabilities(predictions: Predictions, metrics: ClassificationMetrics) -> list[Section]:
    """Return the sections that answers without probabilities leave out."""
    return [
        performance.curves_section(predictions, metrics),
        calibration.calibration_section(predictions, predictions.reliability),
        calibration.abstention_section(predictions),
    ]


def _takes_threshold(evaluation: Evaluation) -> bool:
    """Return whether `--choose-threshold` takes the model: a folder of the user's, with one of two labels to answer."""
    run, reader = evaluation.run, evaluation.reader
    if run is None or not run.is_dir() or run.resolve().is_relative_to(SHIPPED.resolve()):
        return False
    return reader is None or (len(reader.config.labels) == 2 and reader.config.answer_from is None)


def _page(evaluation: Evaluation, sections: list[Section]) -> str:
    name, (verdict, deck) = _name(evaluation), _verdict(evaluation)
    kicker = f"mien evaluate · {name} on {evaluation.part}"
    keys = performance.headline(evaluation.metrics)
    return page(f"{name} on {evaluation.part}", kicker, verdict, deck, keys, sections)


def _verdict(evaluation: Evaluation) -> tuple[str, str]:
    predictions, beaten = evaluation.predictions, evaluation.baselines.in_short() if evaluation.baselines else ()
    trust = predictions.reliability if predictions.has_probabilities else None
    return performance.verdict(predictions, evaluation.metrics, trust, _name(evaluation), beaten)


def _name(evaluation: Evaluation) -> str:
    return str(evaluation.about.get("model") or evaluation.about.get("run") or "The model")


def _heatmaps(predictions: Predictions, reader: Reader | None) -> tuple[Heatmaps | None, str]:
    """Return a function that computes heatmaps of answers by the best method of the model, and that method in words."""
    if reader is None:
        return None, ""
    known, method = reader.config.labels, default_method(reader)

    def heatmaps(crops: UInt8, answers: Int64) -> Float32:
        names = [predictions.classes[answer] for answer in answers]
        # An answer that is none of the labels (neither) is explained by the most probable of them.
        likeliest = reader.logits(crops).argmax(axis=1)
        labels = [known.index(n) if n in known else int(other) for n, other in zip(names, likeliest, strict=True)]
        return explain_crops(reader, crops, np.array(labels, np.int64), method)

    return heatmaps, METHODS[method]

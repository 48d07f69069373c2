"""Measure the shipped model on FER2013's validation fold, for one bundle or several side by side.

    python benchmarks/shipped_model.py --data $MIEN_DATA [--model FOLDER]... [--json OUT] [--markdown OUT]
        [--plots FOLDER]

`--data` is the folder that holds `fer2013/fer2013.zip` and `fer2013/ferplus_votes.csv`. `--model` is a bundle of
the seven expressions (default: the shipped one). Those after the first, such as int8 or new weights, are also compared
with it, face by face. Photos are read whole and with faces found if the folder also holds `small/`.

The faces are those of the validation fold whose pixels do not also stand in train. "FER+ majority" means that at least
6 of 10 people saw the same one of the seven expressions. A majority for contempt, "unknown" or "not a face" is left
out, since no answer could be right. Two-way accuracy compares P(happy) with P(sad). Brackets hold 95 % intervals.
`(!)` marks a metric that misses its floor. "perfect" is the calibration error that a perfectly calibrated model with
the same confidences would show on the same number of faces.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measured import Row, data_option, record
from mien.errors import MienError
from mien.inference.bundle import load_bundle
from mien.inference.reader import Reader
from mien.io.atomic import write_text
from mien.labels import EXPRESSIONS
from mien.viz.charts import Chart, Words, require_matplotlib
from mien.viz.curves import reliability_diagrams, risk_coverage_curves
from mien.viz.grids import confusion_matrix
from shipped_model_data import Fold, read_fold
from shipped_model_metrics import differences, measure
from shipped_model_photos import PHOTOS, photographs
from shipped_model_rows import Measured, must_show, tables

#: The rows by which new weights are judged. They come first; all others follow.
MUST_SHOW = {
    "Accuracy": ("happy vs sad", "seven"),
    "Negative log-likelihood in nats": ("happy vs sad, FER2013 labels", "seven, FER"),
    "Answers to expect on other faces": ("neutral called sad", "sad called sad", "happy called happy"),
    "Expected calibration error": ("happy vs sad, cross-fitted", "seven, cross-fitted"),
    "Robustness": ("mean of these rows", "worst of these rows"),
    "Crying": ("",),
    "Found and right": ("",),
    "Against the first model": ("",),
}


def names_of(models: Sequence[Path | None]) -> list[str]:
    """Return a short name for each model: its folder's, with a number if two are alike."""
    names: list[str] = []
    for model in models:
        name = "mien" if model is None else model.resolve().name
        if model is not None and name == "bundle":  # of a run
            name = model.resolve().parent.name
        names.append(f"{name}-{len(names) + 1}" if name in names else name)
    return names


def facts(fold: Fold, found: Sequence[Measured]) -> Iterator[str]:
    yield "\n".join(f"- {what}: {count}" for what, count in fold.counts.items())
    for model in found:
        config, fitted = model.reader.config, model.fitted
        yield (
            f"**{model.name}**: {model.size / 1e6:.2f} MB, sha256 {config.sha256[:12]}, temperature "
            f"{config.temperature:.4g}, answer_from {config.answer_from}, answer_over {config.answer_over}. Fitted "
            f"here on all faces with a FER+ majority: temperature {fitted['temperature']:.4g}, answer_from "
            f"{fitted['answer_from']}, answer_over {fitted['answer_over']}; for happy vs sad alone the "
            f"temperature would be {fitted['temperature_of_happy_vs_sad']:.4g}."
        )


def draw(folder: Path, model: Measured) -> None:
    shown = {title: diagram for title, diagram in model.diagrams.items() if "bundle" not in title}
    drawn: list[Chart] = [reliability_diagrams(shown, **_words(f"{model.name}-reliability", "reliability diagrams"))]
    title = f"{model.name}: risk against coverage, FER2013 validation fold"
    drawn.append(risk_coverage_curves(model.curves, title, **_words(f"{model.name}-risk-coverage", title)))
    assert model.confusion is not None
    title = f"{model.name}: seven expressions, FER+ majority"
    drawn.append(confusion_matrix(model.confusion, EXPRESSIONS, title, **_words(f"{model.name}-confusion", title)))
    for one in drawn:
        one.save(folder / f"{one.name}.png")


def _words(name: str, said: str) -> Words:
    return {"name": name, "caption": said, "alt": said}


def run(options: argparse.Namespace) -> None:
    if options.plots:
        require_matplotlib()
    models: list[Path | None] = options.model or [None]
    bundles = [load_bundle(model) for model in models]
    fold = read_fold(options.data)
    found: list[Measured] = []
    for name, bundle in zip(names_of(models), bundles, strict=True):
        start = time.perf_counter()
        model = measure(name, Reader(bundle), len(bundle.model), fold)
        if (options.data / PHOTOS).is_dir():
            photographs(model, bundle.path, options.data / PHOTOS)
        if found:
            differences(model, found[0])
        found.append(model)
        print(f"measured {name} in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    text = "\n\n".join((*facts(fold, found), must_show(found, MUST_SHOW), *tables(found))) + "\n"
    print(text)
    if options.markdown:
        write_text(options.markdown, text)
    if options.json:
        report = {"fold": fold.counts, "models": [model.to_dict() for model in found]}
        write_text(options.json, json.dumps(report, indent=1, allow_nan=False))
    for model in found if options.plots else []:
        draw(options.plots, model)
    record("shipped_model", [row for model in found for row in recorded(model.to_dict())])


def recorded(model: dict[str, Any]) -> Iterator[Row]:
    """Yield the accuracies of a model; the card holds all that was measured."""
    for row in model["rows"]:
        if row["section"] == "Accuracy":
            yield f"{model['model']}: {row['name']}", "", f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data_option(parser, "fer2013/")
    parser.add_argument("--model", type=Path, action="append", metavar="FOLDER", help="bundle or run; may be repeated")
    parser.add_argument("--json", type=Path, metavar="OUT", help="every metric, for machines")
    parser.add_argument("--markdown", type=Path, metavar="OUT", help="the printed tables")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="reliability, risk-coverage and confusion, as PNG")
    try:
        run(parser.parse_args())
    except MienError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

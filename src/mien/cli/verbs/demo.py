"""`mien demo`: the whole workflow on drawn faces, from a folder with data issues to predictions on new images."""

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table
from rich.text import Text

from mien.cli.help import verb
from mien.cli.output.check_tables import print_audit
from mien.cli.output.progress import counting_bar, progress_bar
from mien.cli.output.tables import metrics_table
from mien.cli.output.terminal import console
from mien.data.audit import Audit, audit
from mien.data.clean import write_clean
from mien.data.dataset import read_manifest
from mien.data.synthetic.corrupt import Corruption, corrupt_dataset
from mien.data.synthetic.faces import draw_face, write_dataset
from mien.inference.reader import load
from mien.io.atomic import new_folder, refuse_existing
from mien.io.images.decoding import load_image
from mien.io.layout import AUGMENTED, REPORT, RUNS, SAMPLES
from mien.io.targets import free_folder
from mien.metrics.classification import ClassificationMetrics
from mien.training.backend import require_keras
from mien.viz.mosaic import mosaic, save_png

#: Small enough for three minutes on two cores, large enough for a useful confidence interval on the test split.
PER_CLASS = 800
SETTINGS: dict[str, Any] = {"start_from": "none", "network": "residual", "width": 0.5, "epochs": 18, "batch_size": 32}
_NEW_FACES = 10


@verb("demo")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", show_default="mien-runs/demo",
              help="new folder for everything")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="seed of the drawings")
def command(out: Path | None, seed: int) -> None:
    """Run the whole workflow on drawings: check, clean, split, train, evaluate, export, predict.

    Nothing is downloaded. The faces are drawings, so the metrics show that the workflow runs, not how accurate it is
    on photographs.
    """
    require_keras("the demo")
    out = out or free_folder(Path(RUNS), "demo")
    refuse_existing(out)
    screen = console()
    screen.print(Text.assemble(("mien demo", "bold"), ": the faces are drawings made by mien, nothing is downloaded"))
    checked = _draw_and_check(out, seed)
    clean = _clean(checked, out)
    result = _train(clean, out, seed)
    baseline = _baseline(out)
    results = _predict(out, result.folder, seed)
    _conclude(out, result.predictions.metrics, baseline, results)


def _step(number: int, text: str) -> None:
    console().print(Text(f"\n{number}. {text}", "bold"))


def _draw_and_check(out: Path, seed: int) -> Audit:
    _step(1, "Draw a folder of faces, and plant the issues of scraped folders")
    scraped = out / "scraped"
    with new_folder(scraped) as folder:
        with counting_bar("drawing faces", 2 * PER_CLASS) as advance:
            write_dataset(folder, PER_CLASS, seed, on_file=advance)
        planted = corrupt_dataset(folder, seed)
    console().print(f"drew {2 * PER_CLASS} faces into {scraped} and planted {len(planted)} issues", soft_wrap=True)
    _step(2, "Check: list the data issues  (mien check)")
    manifest = read_manifest(scraped)
    with progress_bar("checking") as report:
        checked = audit(manifest, on_progress=report)
    print_audit(checked)
    console().print(_count_found(checked, planted))
    return checked


def _count_found(checked: Audit, planted: list[Corruption]) -> str:
    """Count the planted issues that the check names by kind, for at least one of their files."""
    by_kind: dict[str, set[str]] = {issue.kind: set(issue.files) for issue in checked.issues}
    listed = {sample.name for sample in checked.manifest.samples}
    hits = sum(
        bool(by_kind.get(one.kind, set()) & set(one.files)) if one.kind != "stray" else not listed & set(one.files)
        for one in planted
    )
    return f"{hits} of {len(planted)} planted issues were found (a stray file counts as found if it is not in a class)"


def _clean(checked: Audit, out: Path) -> Path:
    _step(3, "Clean: write a copy without the issues  (mien check --write-clean)")
    clean = out / "clean"
    copy = write_clean(checked, clean)
    manifest = read_manifest(clean)
    rows = {}
    for label in manifest.classes:
        names = [sample.name for sample in manifest.samples if sample.label == label]
        rows[f"{label}: {len(names)}"] = [load_image(clean / name) for name in names[:20]]
    save_png(mosaic(rows, "The clean folder (drawings)"), out / "grid.png")
    console().print(f"wrote {len(copy)} files to {clean}", soft_wrap=True)
    return clean


def _train(clean: Path, out: Path, seed: int) -> Any:
    from mien.cli.output.training_progress import TrainingProgress
    from mien.training.train import train

    _step(4, "Split 70/20/10, train, evaluate on the test split, export  (mien train)")
    with TrainingProgress() as progress:
        return train(clean, out=out / "run", reporter=progress, seed=seed, **SETTINGS)


def _baseline(out: Path) -> ClassificationMetrics:
    from mien.training.baseline import pixel_baseline
    from mien.training.run_data import open_crops

    split, crops = open_crops(out / "run")
    return pixel_baseline(split.arrays(crops, "train"), split.arrays(crops, "test"), split.manifest.classes)


def _predict(out: Path, model: Path, seed: int) -> list[tuple[str, Any]]:
    _step(5, "Predict on newly drawn faces  (mien predict)")
    reader = load(model, device="cpu")
    truths = [("happy", "sad")[number % 2] for number in range(_NEW_FACES)]
    faces = [draw_face(truth, 10_000_000 + seed * 1000 + number) for number, truth in enumerate(truths)]
    results = list(reader.predict_many(faces))
    table = Table()
    for column in ("drawn as", "answer", "probability"):
        table.add_column(column)
    rows: dict[str, list[Any]] = {}
    for truth, face, result in zip(truths, faces, results, strict=True):
        table.add_row(truth, result.answer, f"{result.probability:.3f}")
        rows.setdefault(f"answered {result.answer}", []).append(face)
    console().print(table)
    save_png(mosaic(rows, "New faces, by answer (drawings)"), out / "predictions.png")
    return list(zip(truths, results, strict=True))


def _conclude(
    out: Path, found: ClassificationMetrics, baseline: ClassificationMetrics, results: list[tuple[str, Any]]
) -> None:
    screen = console()
    right = int(np.sum([truth == result.answer for truth, result in results]))
    _step(6, "Metrics on the test split (drawings)")
    screen.print(metrics_table(found, "The network"))
    table = Table()
    for column in ("model", "accuracy on the test split, with its 95 % interval"):
        table.add_column(column)
    table.add_row("the network", str(found.accuracy))
    table.add_row("logistic regression on the pixels", str(baseline.accuracy))
    screen.print(table)
    screen.print(f"{right} of {len(results)} new faces answered as drawn")
    screen.print("\nTo look at:")
    for path in (f"run/{REPORT}", "grid.png", f"run/{SAMPLES}", f"run/{AUGMENTED}", "predictions.png"):
        screen.print(f"  {out / path}", soft_wrap=True)
    screen.print(f"\nNext: mien train YOUR_FOLDER, or mien predict photo.jpg --model {out / 'run'}", soft_wrap=True)
    screen.print("These were drawings: the metrics show that the workflow runs, not how accurate it is on photographs.")

"""The result of a training run. Needs no Keras."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.data.detection import DetectionChoice
from mien.evaluation.baselines import Baselines
from mien.evaluation.scoring import Predictions
from mien.markup import element, to_html
from mien.text import one_line, pluralize
from mien.training.loop.schedule import Epoch, best_epoch

if TYPE_CHECKING:
    from mien.training.export.agreement import Agreement


@dataclass(frozen=True)
class TrainingResult:
    """A finished run.

    Attributes:
        folder: the run folder; `mien.load` takes it.
        predictions: of the model on the split it was evaluated on.
        evaluated_on: that split, in words.
        history: one row per epoch; empty for a cross-validation.
        agreement: of the exported bundle with Keras; None if an earlier call exported it.
        detection: whether faces were found in the images first, and why.
        baselines: the numbers to beat on the same images: the shipped model's and always the largest class.
    """

    folder: Path
    predictions: Predictions
    evaluated_on: str
    history: tuple[Epoch, ...]
    agreement: "Agreement | None"
    detection: DetectionChoice
    baselines: Baselines

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict: folder, split, metrics, baselines, best epoch, history and detection."""
        return {
            "run": str(self.folder),
            "evaluated_on": self.evaluated_on,
            "metrics": self.predictions.metrics.to_dict(),
            "baselines": self.baselines.to_dict(),
            "best_epoch": self.history[best_epoch(self.history)].epoch if self.history else None,
            "history": [asdict(row) for row in self.history],
            "agreement": asdict(self.agreement) if self.agreement else None,
            "detection": self.detection.to_dict(),
        }

    def __repr__(self) -> str:
        """Say where the run is and its accuracy, in one line."""
        metrics = self.predictions.metrics
        accuracy = f"accuracy {metrics.accuracy} on {self.evaluated_on} (n = {metrics.n})"
        return one_line(f"<mien.TrainingResult in {self.folder}: {accuracy}; {pluralize(len(self.history), 'epoch')}>")

    def _repr_html_(self) -> str:
        """Return the metrics as a table, for notebooks."""
        metrics = self.predictions.metrics
        rows = [("accuracy", metrics.accuracy), ("macro F1", metrics.macro_f1), ("ROC-AUC", metrics.roc_auc)]
        rows[1:1] = [(f"accuracy of {one.name}", one.metrics.accuracy) for one in self.baselines.rows()]
        rows += [(f"recall of {name}", row.recall) for name, row in metrics.per_class.items()]
        cells = (element("tr", element("th", name), element("td", str(value))) for name, value in rows)
        caption = f"{self.folder.name}, evaluated on: {self.evaluated_on} (n = {metrics.n}; 95 % intervals)"
        return to_html(
            element("table", element("caption", caption), *cells), element("p", " ".join(self.baselines.sentences()))
        )

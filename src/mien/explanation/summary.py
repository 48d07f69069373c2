"""Explain a model on a labelled dataset: where it looks, and whether its heatmaps are faithful."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.data.dataset import Manifest
from mien.errors import ConfigError
from mien.explanation.attention import AttentionSummary, summarise_attention
from mien.explanation.attention_figures import summary_sheet
from mien.explanation.explainer import Explainer, Method
from mien.explanation.faithfulness import Faithfulness, measure_faithfulness
from mien.explanation.figures import inline_png
from mien.explanation.sampling import label_indices, predicted_indices, sample_crops
from mien.inference.reader import Reader
from mien.inference.reader_options import describe_mirror
from mien.markup import element, to_html
from mien.text import one_line


@dataclass(frozen=True, eq=False)
class DatasetExplanation:
    """What was measured on a labelled dataset.

    Attributes:
        model: its name.
        sha256: of its weights, if known.
        part: which part of the data was used, in words.
        method: how the heatmaps were computed.
        images: how many were used.
        attention: where the model looks; None if not asked for.
        faithfulness: whether the heatmaps are faithful; None if not asked for.
        mirror: an entry for `about` that says whether mirror images are averaged; empty if they are not.
    """

    model: str
    sha256: str | None
    part: str
    method: Method
    images: int
    attention: AttentionSummary | None
    faithfulness: Faithfulness | None
    mirror: Mapping[str, str] = field(default_factory=dict)

    @property
    def about(self) -> dict[str, Any]:
        """What was explained: `data` in words, and the `sha256` of the model's weights."""
        return {"data": self.part, "sha256": self.sha256, **self.mirror}

    def to_dict(self) -> dict[str, Any]:
        """Return `about`, the `attention` and the `faithfulness`, as far as measured; JSON-serialisable."""
        found: dict[str, Any] = {**self.about, "images": self.images}
        if self.attention:
            found["attention"] = self.attention.to_dict()
        if self.faithfulness:
            found["faithfulness"] = {"conclusion": self.faithfulness.conclusion, **self.faithfulness.to_dict()}
        return found

    def __repr__(self) -> str:
        """Say what was explained and the conclusions, in one line."""
        said = [found.conclusion for found in (self.attention, self.faithfulness) if found]
        return one_line(
            f"<mien.DatasetExplanation of {self.model} on {self.part}, {self.images} images: {' '.join(said)}>"
        )

    def _repr_html_(self) -> str:
        """Return the mean heatmaps as an inline PNG and the conclusions, for a notebook."""
        parts = [element("p", element("b", self.model), f", {self.images} images, {self.part}")]
        if self.attention:
            image = inline_png(summary_sheet(self.attention))
            parts.append(element("img", src=image, alt=self.attention.conclusion))
        if self.faithfulness:
            parts.append(element("p", self.faithfulness.conclusion))
        return to_html(*parts)


def explain_manifest(
    reader: Reader,
    manifest: Manifest,
    part: str,
    method: Method,
    explainer: Explainer,
    *,
    attention: bool = True,
    faithfulness: bool = False,
    limit: int = 200,
    on_progress: Callable[[float], None] | None = None,
) -> DatasetExplanation:
    """Measure where a model looks in a labelled dataset, and whether its heatmaps are faithful.

    Faithfulness follows the probability of the predicted label, right or wrong (Petsiuk et al., 2018): evidence for
    another label vanishes by itself.

    Args:
        reader: the model, which takes the largest face of each image.
        manifest: the dataset.
        part: which part of the data it is, in words.
        method: how heatmaps are computed.
        explainer: the function that computes them.
        attention: measure where the model looks.
        faithfulness: measure deletion and insertion curves.
        limit: the number of images, as many of each class.
        on_progress: called with the fraction done, in [0, 1].

    Raises:
        ConfigError: where the model looks is asked of one whose images show no people.
        DataError: no face is found in any image.
    """
    if attention and reader.config.content == "other":
        raise ConfigError(
            "where a model looks is measured on mouth, eyes and brows, and this model's images show other things; draw "
            "heatmaps of single images, or measure only `faithfulness=True`"
        )
    report = on_progress or (lambda fraction: None)
    stages = 1 + attention + 3 * faithfulness  # curves take longest

    def within(start: int, length: int) -> Callable[[float], None]:
        return lambda fraction: report((start + length * fraction) / stages)

    found = sample_crops(reader, manifest, limit, on_progress=within(0, 1))
    summary = faithful = None
    if attention:
        summary = summarise_attention(
            reader, found.crops, found.truth, manifest.classes, found.detections, method, explainer, within(1, 1)
        )
    if faithfulness:
        names = [manifest.classes[index] for index in found.truth]
        labels = predicted_indices(reader, found.crops, label_indices(reader, found.crops, names))
        faithful = measure_faithfulness(
            reader, found.crops, labels, explainer, method, on_progress=within(1 + attention, 3)
        )
    config = reader.config
    mirror = describe_mirror(config, reader.mirror)
    return DatasetExplanation(config.name, config.sha256, part, method, len(found), summary, faithful, mirror)

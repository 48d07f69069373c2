"""A network that learns a mark in the corner is exposed; the same network without the mark is not accused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import draw_face
from mien.evaluation.scoring import score
from mien.evaluation.slices import measure_slices
from mien.explanation.attention import summarise_attention
from mien.inference.reader import load
from mien.report.sections.slices import slices_section
from mien.training.config import TrainConfig
from mien.training.source import TrainingSource
from mien.training.train import train_source

SETTINGS = {"size": 32, "width": 0.25, "batch_size": 32, "augment": "none", "epochs": 10}


def write(folder: Path, first: int, count: int, marked: bool) -> Path:
    for label in ("happy", "sad"):
        (folder / label).mkdir(parents=True)
        for seed in range(first, first + count):
            image = draw_face(label, seed, 48).copy()
            if marked and label == "sad":
                image[-5:, -5:] = 255
            Image.fromarray(image).save(folder / label / f"{seed}.png")
    return folder


@pytest.mark.slow
def test_a_planted_shortcut_is_exposed_by_the_slices_and_by_the_map(tmp_path: Path) -> None:
    data = write(tmp_path / "train", 0, 200, marked=True)
    train_source(TrainingSource(data), TrainConfig.make(SETTINGS), tmp_path / "run")
    reader = load(tmp_path / "run")
    clean = score(reader, read_manifest(write(tmp_path / "clean", 1000, 100, marked=False)))
    marked = score(reader, read_manifest(write(tmp_path / "marked", 1000, 100, marked=True)))
    assert marked.metrics.accuracy.value > 0.9
    assert clean.metrics.accuracy.value < 0.7, "or else the network has not learned the mark"
    assert marked.crops is not None and clean.crops is not None
    found = measure_slices(marked)
    assert found.label_shortcuts[0].is_strong and found.label_shortcuts[0].place == "lower right corner"
    assert "lower right corner alone predicts the label sad" in slices_section(found).conclusion
    assert not any(one.is_strong for one in measure_slices(clean).label_shortcuts)
    looked = summarise_attention(reader, marked.crops, marked.truth, marked.classes)
    sad = next(one for one in looked.classes if one.label == "sad")
    assert looked.shortcut
    assert sad.border_peak[0] in {"lower right corner", "lower edge, 4 of 4", "right edge, 4 of 4"}
    assert np.isfinite(sad.heat).all()

"""The shipped model keeps what the reader, its card and training rely on."""

import numpy as np
import pytest

import mien
from mien.data.synthetic.faces import draw_face
from mien.inference.bundle import CARD_FILE, Bundle, load_bundle, shipped_models
from mien.inference.classifier import Classifier
from mien.labels import EXPRESSIONS

#: Of the graph. A model without a limit here does not ship.
LIMIT_BYTES = {"mien": 12_000_000, "mien-int8": 3_500_000, "mien-light": 400_000}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


def test_its_config(bundle: Bundle) -> None:
    config = bundle.config
    assert (config.name, config.labels) == ("mien", EXPRESSIONS)
    assert (config.input_size, config.input_channels, config.maps) == (48, 1, True)
    assert set(config.answer_from or ()) == {"happy", "sad"}
    assert config.framing == "face"


def test_its_files(bundle: Bundle) -> None:
    assert "mien" in shipped_models()
    assert bundle.path == load_bundle("mien").path


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_is_sound(name: str) -> None:
    reader = mien.load(name, threads=1, detect=False)
    assert reader.config.name == name
    assert reader.predict(draw_face("happy", 1)).status == "ok"
    made = load_bundle(name)
    assert len(made.model) <= LIMIT_BYTES[name]
    assert (made.path / CARD_FILE).read_text(encoding="utf-8").startswith(f"# {name}\n")


def test_it_answers_with_all_probabilities() -> None:
    face = mien.load(threads=1, detect=False).predict(draw_face("happy", 1)).face
    assert face.expressions is not None
    assert face.two_way is not None
    assert set(face.expressions) == set(EXPRESSIONS)
    assert list(face.probabilities) == ["happy", "sad", "neither"]
    assert face.probability == face.probabilities[face.answer]


def test_its_maps_add_up_to_its_logits(bundle: Bundle) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 1), np.uint8)
    logits, maps = Classifier(bundle, threads=1)(crops)
    assert maps is not None
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, atol=1e-3)

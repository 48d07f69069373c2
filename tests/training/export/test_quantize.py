"""An int8 bundle is its original, smaller: same tensors, same words, nearly the same probabilities."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from bundles import rewrite

import mien
from mien.cli import main
from mien.data.synthetic.faces import draw_face, write_dataset
from mien.errors import BundleError, DataError, ExportError, OutputError
from mien.faces.crop import crop
from mien.inference.bundle import load_bundle
from mien.inference.classifier import Classifier
from mien.training.config import TrainConfig
from mien.training.export.onnx import export_bundle
from mien.training.export.quantize import quantize_bundle, sample_crops
from mien.training.networks.networks import build

MakeBundle = Callable[..., Path]
SIDE = 32


def drawn(number: int, channels: int) -> Any:
    faces = [draw_face(("happy", "sad")[seed % 2], seed, 48) for seed in range(number)]
    return np.stack([crop(face, SIDE, channels) for face in faces])


CROPS = drawn(240, 1)


def trained(network: str, crops: Any, folder: Path, width: float = 0.25) -> Path:
    """Train a small network on drawn faces until it knows most of them, and export it with words of its own."""
    keras.utils.set_random_seed(0)
    settings = {"network": network, "size": SIDE, "width": width, "colour": "grey" if crops.shape[3] == 1 else "rgb"}
    model = build(TrainConfig.make(settings), 2)
    model.compile("adam", "binary_crossentropy")
    model.fit(crops.astype(np.float32), np.arange(len(crops)) % 2, batch_size=16, epochs=6, verbose=0)
    about = {"network": network}
    export_bundle(model, ("happy", "sad"), crops, folder / "fp32", temperature=1.5, name="small", about=about)
    return folder / "fp32"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with shortcuts and maps; one that scales its channels, too, is in test_pretrained_kernels.py."""
    return trained("light", CROPS, tmp_path_factory.mktemp("light"), 0.5)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that does not standardise its input, so that brightness goes through to every layer."""
    return trained("classic", drawn(120, 3), tmp_path_factory.mktemp("classic"))


def test_the_answers_stay(bundle: Path, tmp_path: Path) -> None:
    found = quantize_bundle(bundle, CROPS, tmp_path / "int8")
    before, after = (mien.load(path).probabilities(CROPS) for path in (bundle, tmp_path / "int8"))
    assert 0.2 < (before[:, 1] > 0.5).mean() < 0.8  # it has learned something that could be lost
    assert found.crops == 120
    assert found.same_answer == int(((before[1::2, 1] >= 0.5) == (after[1::2, 1] >= 0.5)).sum()) >= 114
    assert found.largest_change == pytest.approx(np.abs(before - after)[1::2].max(), abs=1e-6)
    assert 0 < found.largest_change < 0.2
    assert found.size == (tmp_path / "int8" / "model.onnx").stat().st_size < 0.65 * found.size_before


def test_the_words_stay(bundle: Path, tmp_path: Path) -> None:
    found = quantize_bundle(bundle, CROPS, tmp_path / "int8", name="smaller")
    before, after = load_bundle(bundle).config, load_bundle(tmp_path / "int8").config
    assert (after.name, after.temperature, after.maps) == ("smaller", 1.5, True)
    unchanged = [
        {key: value for key, value in json.loads(config.to_json()).items() if key not in ("name", "sha256", "about")}
        for config in (before, after)
    ]
    assert unchanged[0] == unchanged[1]
    assert after.about["network"] == "light"
    assert after.about["quantised"]["from_sha256"] == before.sha256
    card = (tmp_path / "int8" / "CARD.md").read_text()
    assert card.startswith("# smaller\n")
    assert str(found) in card
    assert "not a feeling" in card  # what the original's card says of its use


def test_a_copy_may_leave_mirror_images_out(plain: Path, tmp_path: Path) -> None:
    averaging, crops = tmp_path / "averaging", drawn(120, 3)
    shutil.copytree(plain, averaging)
    rewrite(averaging, mirror=True)
    quantize_bundle(averaging, crops, tmp_path / "own")
    quantize_bundle(averaging, crops, tmp_path / "single", mirror=False)
    assert [load_bundle(tmp_path / name).config.mirror for name in ("own", "single")] == [True, False]
    read = mien.load(tmp_path / "own").logits(crops)
    np.testing.assert_allclose(read, mien.load(tmp_path / "own").logits(crops[:, :, ::-1]), atol=1e-4)
    np.testing.assert_allclose(mien.load(averaging).logits(crops), read, atol=1)


def test_maps_average_to_the_logits(bundle: Path, tmp_path: Path) -> None:
    quantize_bundle(bundle, CROPS, tmp_path / "int8")
    logits, maps = Classifier(load_bundle(tmp_path / "int8"))(CROPS[:9])
    assert maps is not None
    assert maps.shape == (9, 4, 4, 2)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, atol=1e-4)


def test_the_middle_is_in_integers(bundle: Path, tmp_path: Path) -> None:
    quantize_bundle(bundle, CROPS, tmp_path / "int8")
    graph = onnx.load(tmp_path / "int8" / "model.onnx").graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["AveragePool"] == 0  # slow in integers, so folded into the shortcuts' convolutions
    assert kinds["InstanceNormalization"] == 1
    large = [values for values in graph.initializer if np.prod(values.dims) > 1000]
    assert large
    assert {values.data_type for values in large} == {onnx.TensorProto.INT8}


def test_the_same_crops_give_the_same_file(bundle: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        quantize_bundle(bundle, CROPS, tmp_path / name, name="one")
    assert (tmp_path / "a" / "model.onnx").read_bytes() == (tmp_path / "b" / "model.onnx").read_bytes()


def test_other_networks_too(plain: Path, tmp_path: Path) -> None:
    found = quantize_bundle(plain, drawn(120, 3), tmp_path / "int8")
    assert found.same_answer >= 57
    assert mien.load(tmp_path / "int8").predict(draw_face("happy", 1)).face.probabilities.keys() == {"happy", "sad"}


def test_ranges_that_do_not_fit_are_found_out(plain: Path, tmp_path: Path) -> None:
    crops = drawn(120, 3)
    crops[::2] = 0  # black images say nothing of what a face does to the network
    with pytest.raises(ExportError, match=r"small in int8 gives another answer on \d+ of 60 crops"):
        quantize_bundle(plain, crops, tmp_path / "int8")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("crops", "words"),
    [
        (CROPS[:20], "20 crops are too few"),
        (CROPS[:, :16, :16], "takes uint8"),
        (CROPS.astype(np.float32), "takes uint8"),
        (np.repeat(CROPS, 3, axis=3), "takes uint8"),
    ],
    ids=["few", "small", "float", "colour"],
)
def test_crops_that_do_not_fit_are_one_line(crops: Any, words: str, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        quantize_bundle(bundle, crops, tmp_path / "int8")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_of_one_layer_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    crops = np.repeat(CROPS[:, ::2, ::2], 3, axis=3)
    with pytest.raises(ExportError, match="nothing to quantise"):
        quantize_bundle(make_bundle(), crops, tmp_path / "int8")
    with pytest.raises(BundleError, match="cannot be loaded"):
        quantize_bundle(make_bundle(graph=b"junk"), crops, tmp_path / "int8")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_replaced(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "int8").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        quantize_bundle(bundle, CROPS, tmp_path / "int8")


def test_crops_come_from_the_train_part_and_skip_what_is_damaged(make_bundle: MakeBundle, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data" / "train", 3, seed=0, size=32)
    write_dataset(tmp_path / "data" / "test", 3, seed=9, size=32)
    (tmp_path / "data" / "train" / "sad" / "broken.png").write_bytes(b"junk")
    crops = sample_crops(tmp_path / "data", make_bundle())
    assert crops.shape == (6, 16, 16, 3)
    assert len(sample_crops(tmp_path / "data", make_bundle(), count=4)) == 4
    for path in (tmp_path / "data" / "train").glob("*/*"):
        path.write_bytes(b"junk")
    with pytest.raises(DataError, match="no readable image"):
        sample_crops(tmp_path / "data", make_bundle())


def export(*arguments: object) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(["export", *(str(argument) for argument in arguments)])
    return left.value.code


def test_the_command_says_the_agreement(bundle: Path, faces: Path, tmp_path: Path, capfd: Any) -> None:
    assert export(bundle, "--int8", "--data", faces, "--out", tmp_path / "int8") == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    assert "int8 answers as the original on" in captured.out
    assert load_bundle(tmp_path / "int8").config.labels == ("happy", "sad")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BUNDLE", "--int8", "--out", "o"], "--int8: needs --data"),
        (["BUNDLE", "--int8", "--data", "FACES", "--labels", "a,b", "--out", "o"], "leave out --labels"),
        (["m.keras", "--int8", "--data", "FACES", "--out", "o"], "m.keras: --int8 takes a bundle"),
        (["missing", "--int8", "--data", "FACES", "--out", "o"], "missing: no such model"),
        (["BUNDLE", "--int8", "--data", "nowhere", "--out", "o"], "nowhere: no such file"),
        (["m.keras", "--out", "o"], "--labels: name the classes"),
    ],
    ids=["no data", "labels", "keras file", "no model", "no such data", "no labels"],
)
def test_a_bad_call_is_one_line(
    arguments: list[str], words: str, bundle: Path, faces: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.keras").write_bytes(b"x")
    given = [{"BUNDLE": str(bundle), "FACES": str(faces)}.get(argument, argument) for argument in arguments]
    assert export(*given) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]

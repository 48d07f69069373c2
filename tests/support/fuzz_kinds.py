"""The kinds of file that a fuzz campaign mutates; each opens one case as mien's own doors do."""

import csv
import hashlib
import io
import json
import random
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_labels import answers, decisions
from fuzzing import array_bytes, mutated, mutated_json, mutated_zip
from PIL import Image
from workplace import run as make_run

import mien
from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import draw_face, write_dataset
from mien.errors import MienError
from mien.inference.bundle import CONFIG_FILE, MODEL_FILE, load_bundle

Case = Callable[[int], str]

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "EPS", "TGA", "ICO", "PCX")
_HISTORY = {"loss": 0.6, "accuracy": 0.5, "val_loss": 0.7, "val_accuracy": 0.5, "learning_rate": 0.001, "seconds": 1.0}


def pictures() -> list[bytes]:
    """Drawn faces in all formats."""
    found = []
    for number, kind in enumerate(_FORMATS):
        buffer = io.BytesIO()
        Image.fromarray(draw_face("happy", number, 40)).save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def image(folder: Path) -> Case:
    make_run(folder / "run", 1)
    reader, seeds = mien.load(folder / "run", threads=1, detect=False), pictures()

    def case(seed: int) -> str:
        found = reader.predict(mutated(seeds, seed))
        json.dumps(found.to_dict(), allow_nan=False)
        assert found.reason is None or len(found.reason.splitlines()) == 1, found.reason
        return found.status

    return case


def video(folder: Path) -> Case:
    import av

    from mien.io.video.decoding import open_video

    seeds = []
    for name, codec, side in (
        ("a.mp4", "mpeg4", 64),
        ("b.mkv", "mpeg4", 48),
        ("c.webm", "libvpx", 32),
    ):
        with av.open(str(folder / name), "w") as container:
            stream: Any = container.add_stream(codec, rate=10)
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
            for number in range(6):
                frame = av.VideoFrame.from_ndarray(draw_face("sad", number, side), format="rgb24")
                container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
            container.mux(stream.encode(None))
        seeds.append((folder / name).read_bytes())

    def case(seed: int) -> str:
        path = folder / f"case{('.mp4', '.mkv', '.webm', '.avi')[seed % 4]}"
        path.write_bytes(mutated(seeds, seed))
        with open_video(path) as opened:
            frames = sum(1 for _, _ in zip(opened.frames(5), range(50), strict=False))
            assert opened.duration is None or np.isfinite(opened.duration)
        return f"frames {min(frames, 1)}"

    return case


def archive(folder: Path) -> Case:
    write_dataset(folder / "data", 4, seed=1, size=24)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        for path in sorted((folder / "data").rglob("*.*")):
            new.write(path, path.relative_to(folder / "data").as_posix())
        new.writestr("labels.csv", "file,label\nhappy/happy-00000.png,happy\n")

    def case(seed: int) -> str:
        path = folder / "case.zip"
        path.write_bytes(mutated_zip(buffer.getvalue(), seed, lambda name, data, number: mutated([data], number)))
        return _read_all(path)

    return case


def table(folder: Path) -> Case:
    write_dataset(folder, 4, seed=1, size=24)
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.*"))]
    pixels = "\n".join(["emotion,pixels,Usage", *(f"{n % 7},{' '.join(['9'] * 64)},Training" for n in range(6))])
    listed = "\n".join(["file,label", *(f"{name},{name.split('/')[0]}" for name in names)])
    votes = "\n".join(["file,happy,sad", *(f"{name},{n % 9},3" for n, name in enumerate(names))])
    seeds = [pixels.encode(), listed.encode(), votes.encode(), listed.replace(",", ";").encode("utf-16")]

    def case(seed: int) -> str:
        path = folder / "labels.csv"
        path.write_bytes(mutated(seeds, seed))
        return _read_all(path)

    return case


def _read_all(path: Path) -> str:
    manifest = read_manifest(path)
    for sample in manifest.samples[:4]:
        try:
            manifest.read(sample.name)
        except MienError:
            return "read, with an error"
    return "read"


def weights(folder: Path) -> Case:
    from mien.training.backend import require_keras

    require_keras("a test")
    from mien.training.config import TrainConfig
    from mien.training.networks.networks import build
    from mien.training.networks.pretrained import build_config, load_pretrained, write_weights

    config = TrainConfig.make({"network": "stack", "size": 24, "width": 0.1})
    network = build(config, 2)
    write_weights(network, config, folder / "weights.npz")
    whole = (folder / "weights.npz").read_bytes()

    def case(seed: int) -> str:
        (folder / "weights.npz").write_bytes(mutated_zip(whole, seed, _array))
        load_pretrained(network, build_config({"start_from": str(folder), "network": "stack"}))
        return "loaded"

    return case


def checkpoint(folder: Path) -> Case:
    from mien.training.backend import require_keras

    require_keras("a test")
    from mien.training.augmentation.pipeline import augmented
    from mien.training.config import TrainConfig
    from mien.training.loop.checkpoint import load_checkpoint, save_checkpoint
    from mien.training.loop.ema import WeightEMA
    from mien.training.loop.optimizers import compile_model
    from mien.training.loop.schedule import Epoch
    from mien.training.networks.networks import build, logits_of

    config = TrainConfig.make({"network": "stack", "size": 24, "width": 0.1, "dropout": 0.1})
    network = build(config, 2)
    model = augmented(logits_of(network), config)
    compile_model(model, network, config, False)
    ema = WeightEMA(network.variables, 0.9)
    rows = [Epoch(epoch=number, **_HISTORY, images_per_second=9.0, input_share=0.1) for number in (1, 2)]
    save_checkpoint(folder / "checkpoint.npz", model, ema, ema.values, rows)
    whole = (folder / "checkpoint.npz").read_bytes()

    def case(seed: int) -> str:
        (folder / "checkpoint.npz").write_bytes(mutated_zip(whole, seed, _array))
        found = load_checkpoint(folder / "checkpoint.npz")
        found.restore(model, ema)
        json.dumps([row.val_loss for row in found.history], allow_nan=False)
        return "loaded"

    return case


def _array(name: str, data: bytes, seed: int) -> bytes:
    rng, value = random.Random(seed), np.load(io.BytesIO(data))
    if value.dtype == np.uint8 and rng.random() < 0.8:  # settings or history, as JSON
        buffer = io.BytesIO()
        np.save(buffer, np.frombuffer(mutated_json(value.tobytes(), seed), np.uint8))
        return buffer.getvalue()
    return array_bytes(value, rng)


def toml(folder: Path) -> Case:
    from mien.training.config import TrainConfig, read_settings, read_training_settings
    from mien.training.search.sweep import read_sweep

    sweep = b'title = "t"\nseeds = [0, 1]\n[base]\nepochs = 2\n[grid]\nactivation = ["relu", "gelu"]\nsize = [24, 32]\n'
    seeds = [TrainConfig().to_toml().encode(), b'network = "stack"\nsize = 48\nmixup = 0.2\n', sweep]

    def case(seed: int) -> str:
        path = folder / "case.toml"
        path.write_bytes(mutated(seeds, seed))
        if seed % 3 == 0:
            read_sweep(path).to_dict()
        elif seed % 3 == 1:
            TrainConfig.make(read_settings(path))
        else:
            TrainConfig.make(read_training_settings(path)).to_toml()
        return "read"

    return case


def config(folder: Path) -> Case:
    make_run(folder / "run", 1)
    path = folder / "run" / "bundle" / CONFIG_FILE
    whole = json.loads(path.read_text())
    rule = {
        **whole,
        "labels": ["happy", "neutral", "sad"],
        "answer_from": {"happy": 0.5},
        "answer_over": {"happy": {"sad": 2}},
    }
    seeds, face = [json.dumps(one).encode() for one in (whole, rule)], draw_face("happy", 1, 64)

    def case(seed: int) -> str:
        path.write_bytes(mutated_json(seeds[seed % 2], seed))
        found = mien.load(folder / "run", threads=1, detect=False)
        json.dumps({**found.predict(face).to_dict(), "about": dict(found.config.about)}, allow_nan=False)
        repr(found)
        return "read"

    return case


def run_files(folder: Path) -> Case:
    """One of the files of a run: JSON, CSV or TOML."""
    from mien.evaluation.held_out import held_out_of_run
    from mien.evaluation.predictions import read_predictions
    from mien.report.sections.provenance import training_section
    from mien.training.config import TrainConfig
    from mien.training.loop.history import read_history, write_history
    from mien.training.loop.schedule import Epoch
    from mien.training.run_data import stored_split
    from mien.training.runs import read_about, read_run

    write_dataset(folder / "data", 6, seed=1, size=24)
    names = [path.relative_to(folder / "data").as_posix() for path in sorted((folder / "data").rglob("*.*"))]
    run = folder / "run"
    run.mkdir(exist_ok=True)
    write_history(run, [Epoch(epoch=number, **_HISTORY, images_per_second=9.0, input_share=0.1) for number in (1, 2)])
    (run / "config.toml").write_text(TrainConfig().to_toml())
    source: dict[str, Any] = {"path": str(folder / "data"), "classes": None, "rename": {}}
    detection = {"detect": False, "kind": None, "sampled": 0, "found": 0, "cropped": 0}
    counts = {"train": {"happy": 4, "sad": 4}}
    about = {"source": source, "classes": ["happy", "sad"], "counts": counts, "detection": detection, "created": "now"}
    (run / "run.json").write_text(json.dumps(about))
    accuracy = {"value": 0.5, "low": 0.2, "high": 0.8}
    metrics = {"part": "test", "n": 6, "accuracy": accuracy, "about": {"data_sha256": "0"}}
    baselines = {"largest_class": {"accuracy": accuracy}, "shipped": None}
    (run / "metrics.json").write_text(json.dumps({**metrics, "baselines": baselines}))
    digests = {name: hashlib.sha256((folder / "data" / name).read_bytes()).hexdigest() for name in names}
    parts = [
        [name, name.split("/")[0], ("train", "test")[row % 2], row, digests[name]] for row, name in enumerate(names)
    ]
    _write(run / "split.csv", [["file", "label", "part", "group", "sha256"], *parts])
    _write(run / "left-out.csv", [["file", "reason"], ["happy/none.png", "text"]])
    answers = [[name, "happy", "sad", 0.4, 0.6] for name in names]
    _write(run / "predictions.csv", [["file", "truth", "answer", "p_happy", "p_sad"], *answers])
    whole = {path.name: path.read_bytes() for path in sorted(run.iterdir())}
    doors: list[Callable[[Path], Any]] = [
        lambda path: read_run(path).to_dict(), held_out_of_run, read_predictions, read_about, training_section,
        read_history, lambda path: stored_split(path, read_about(path), lambda added: None).require_unchanged(),
    ]  # fmt: skip

    def case(seed: int) -> str:
        name = sorted(whole)[seed % len(whole)]
        change = mutated_json if name.endswith(".json") else lambda data, number: mutated([data], number)
        (run / name).write_bytes(change(whole[name], seed))
        outcomes = []
        try:
            for door in doors:
                if door is training_section and not (name == "history.csv" and seed % 60 == 0):  # it draws charts
                    continue
                try:
                    door(run)
                    outcomes.append("read")
                except MienError as error:
                    assert len(str(error).splitlines()) == 1, str(error)
                    outcomes.append("error")
        finally:
            (run / name).write_bytes(whole[name])
        return f"{outcomes.count('read')} of {len(doors)} doors read it"

    return case


def _write(path: Path, rows: list[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def onnx(folder: Path) -> Case:
    make_run(folder / "run", 1)
    bundle = folder / "run" / "bundle"
    seeds = [(bundle / MODEL_FILE).read_bytes()]
    words, face = json.loads((bundle / CONFIG_FILE).read_text()), draw_face("happy", 1, 64)

    def case(seed: int) -> str:
        data = mutated(seeds, seed)
        (bundle / MODEL_FILE).write_bytes(data)
        (bundle / CONFIG_FILE).write_text(json.dumps({**words, "sha256": hashlib.sha256(data).hexdigest()}))
        load_bundle(bundle)
        found = mien.load(bundle, threads=1, detect=False).predict(face)
        json.dumps(found.to_dict(), allow_nan=False)
        return "predicted"

    return case


def keras(folder: Path) -> Case:
    from mien.training.backend import require_keras

    require_keras("a test")
    import keras as k

    from mien.training.networks.keras_file import load_keras_file

    layers = [k.Input((16, 16, 1)), k.layers.Rescaling(1 / 255), k.layers.Conv2D(2, 3), k.layers.BatchNormalization(),
              k.layers.GlobalAveragePooling2D(), k.layers.Dense(2), k.layers.Softmax()]  # fmt: skip
    network = k.Sequential(layers)
    network.save(folder / "m.keras")
    network.save(folder / "m.h5")
    whole, hdf5 = (folder / "m.keras").read_bytes(), (folder / "m.h5").read_bytes()

    def change(name: str, data: bytes, seed: int) -> bytes:
        return mutated_json(data, seed) if name.endswith(".json") else mutated([data], seed)

    def case(seed: int) -> str:
        kind = ".h5" if seed % 3 == 0 else ".keras"
        path = folder / f"case{kind}"
        path.write_bytes(mutated([hdf5], seed) if kind == ".h5" else mutated_zip(whole, seed, change))
        load_keras_file(path)
        k.utils.clear_session(free_memory=False)
        return "loaded"

    return case


def journal(folder: Path) -> Case:
    """The rows of a job that was interrupted."""
    from mien.inference.jobs.batch import BatchJob
    from mien.io.inputs import Inputs
    from mien.io.journal import journal_of
    from mien.io.row_output import RowOutput

    make_run(folder / "run", 1)
    reader = mien.load(folder / "run", threads=1, detect=False)
    write_dataset(folder / "data", 3, seed=1, size=24)
    names = [str(path) for path in sorted((folder / "data").rglob("*.*"))]
    out = folder / "rows.jsonl"

    class StopError(Exception):
        pass

    def stop(row: Any) -> None:
        if row["source"] == names[-1]:
            raise StopError

    out.unlink(missing_ok=True)
    BatchJob(reader, Inputs(names), RowOutput(str(out))).write()
    expected = out.read_bytes()
    out.unlink()
    try:
        BatchJob(reader, Inputs(names), RowOutput(str(out)), on_row=stop).write()
    except StopError:
        whole = journal_of(out).read_bytes()
    lines = whole.splitlines(keepends=True)

    def case(seed: int) -> str:
        rng = random.Random(seed)
        changed = list(lines)
        if rng.random() < 0.6:
            place = rng.randrange(len(lines))
            row, _, check = lines[place].rpartition(b" ") if place else (lines[place], b"", b"")
            row = mutated_json(row, seed)
            if place and rng.random() < 0.8:  # so that the row itself is looked at
                check = b"%08x\n" % zlib.crc32(row)
            changed[place] = b"%s %s" % (row, check) if place else row + b"\n"
        out.unlink(missing_ok=True)
        journal_of(out).write_bytes(b"".join(changed) if changed != lines else mutated([whole], seed))
        try:
            BatchJob(reader, Inputs(names), RowOutput(str(out))).write()
        finally:
            journal_of(out).unlink(missing_ok=True)
        return "the same rows" if out.read_bytes() == expected else "other rows"

    return case


def study(folder: Path) -> Case:
    """The SQLite database of a search."""
    from mien.training.search.study import open_study

    path = folder / "study.db"
    shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    job, first = {"data": "x"}, {"dropout": 0.1}
    open_study(path, "s", job, first)
    whole = path.read_bytes()

    def case(seed: int) -> str:
        path.write_bytes(mutated([whole], seed))
        opened = open_study(path, "s", job, first)
        opened.trials()
        return "opened"

    return case


KINDS: dict[str, Callable[[Path], Case]] = {
    "image": image, "video": video, "zip": archive, "csv": table, "weights": weights, "checkpoint": checkpoint,
    "toml": toml, "config": config, "run": run_files, "onnx": onnx, "keras": keras, "journal": journal, "study": study,
    "answers": answers, "decisions": decisions,
}  # fmt: skip

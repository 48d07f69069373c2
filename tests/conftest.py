"""Fixtures that several test files share."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from graphs import model_bytes
from hypothesis import settings
from onnx import TensorProto, helper
from PIL import Image

from mien.arrays import UInt8
from mien.cli import main
from mien.data.synthetic.faces import write_dataset
from mien.inference import bundle, placement
from mien.inference.bundle import CONFIG_FILE, MODEL_FILE
from mien.inference.bundle_config import BundleConfig
from mien.labels import EXPRESSIONS
from mien.runtime import providers, sessions

NOBODY = 65534

# A loaded machine must not fail a test: no example has a time limit.
settings.register_profile("mien", deadline=None)
settings.load_profile("mien")


def pytest_configure() -> None:
    """Let Ctrl-C reach the commands that tests start; a test run in the background ignores it, and so would they."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.pop("COLUMNS", None)  # tables are as wide here as everywhere


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn faces, `happy/` and `sad/` with 20 files of 64 pixels each; copy it before changing it."""
    folder = tmp_path_factory.mktemp("faces") / "faces"
    write_dataset(folder, 20, seed=0, size=64)
    return folder


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with one happy face, 512x512 pixels."""
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).save(path)  # type: ignore[no-untyped-call]
    return path


@pytest.fixture
def as_nobody(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], AbstractContextManager[None]]:  # fmt: skip
    """A context in which permissions hold: root, who may read everything, acts as another user in it."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs POSIX permissions")
    # pytest makes these for its own user alone; below `pytest-of-root`, workers of xdist have one more each.
    own = [place for place in tmp_path.parents if place.name.startswith(("pytest-", "popen-"))]
    made = {tmp_path, tmp_path_factory.getbasetemp(), *own}

    @contextmanager
    def become() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        for place in made:
            place.chmod(0o755)  # each time: another pytest that begins closes the last one again
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    with become():
        if not os.access(tmp_path, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            pytest.skip("another user cannot reach the temporary folder")
    return become


def linear_graph(labels: int, size: int, channels: int, maps: bool, batch: int | str = "N") -> bytes:
    """A seeded linear classifier as ONNX: no training framework needed, and it sees where a pixel is.

    With `maps` it looks at colours only, since the mean of the maps must be the logits.
    """
    weights = np.random.default_rng(1).normal(size=(size * size * channels, labels)).astype(np.float32)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, size, size, channels])
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, labels])]
    constants: dict[str, npt.NDArray[Any]] = {"middle": np.array(127.5, np.float32)}
    if maps:
        outputs.append(helper.make_tensor_value_info("maps", TensorProto.FLOAT, [batch, size, size, labels]))
        constants["weights"] = weights[:channels] / 64
        nodes = [
            helper.make_node("MatMul", ["centred", "weights"], ["maps"]),
            helper.make_node("ReduceMean", ["maps"], ["logits"], axes=[1, 2], keepdims=0),
        ]
    else:
        constants["weights"] = weights / (64 * size)
        nodes = [
            helper.make_node("Flatten", ["centred"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ]
    nodes.insert(0, helper.make_node("Sub", ["image", "middle"], ["centred"]))
    return model_bytes(nodes, [image], outputs, constants)


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a small real bundle, without any training, and returns its folder.

    Keywords: `labels`, `size`, `channels`, `maps` and `graph` (ONNX bytes of your own); others go into
    its BundleConfig.
    """

    def make(
        labels: tuple[str, ...] = ("happy", "sad"),
        size: int = 16,
        channels: int = 3,
        maps: bool = False,
        graph: bytes | None = None,
        **config: Any,
    ) -> Path:
        folder = tmp_path_factory.mktemp("bundle")
        data = linear_graph(len(labels), size, channels, maps) if graph is None else graph
        digest = hashlib.sha256(data).hexdigest()
        words = BundleConfig("linear", labels, size, channels, digest, maps=maps, **config)
        (folder / MODEL_FILE).write_bytes(data)
        (folder / CONFIG_FILE).write_text(words.to_json(), encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def three_way(make_bundle: Callable[..., Path]) -> Path:
    """A small real bundle of the seven expressions that answers happy, sad or neither, and all three in turn."""
    return make_bundle(EXPRESSIONS, size=48, channels=1, temperature=0.4, answer_from={"happy": 0.3, "sad": 0.35})


@pytest.fixture
def shipped(three_way: Path, make_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the models that mien ships, which are now the three-way bundle as `mien`, and `mien-two`."""
    folder = tmp_path / "models"
    shutil.copytree(three_way, folder / "mien")
    shutil.copytree(make_bundle(), folder / "mien-two")
    monkeypatch.setattr(bundle, "SHIPPED", folder)
    return folder


@pytest.fixture(scope="session")
def brightness_bundle(make_bundle: Callable[..., Path]) -> Path:
    """A real bundle that reads faces and answers `happy` for a bright one and `sad` for a dark one."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 16, 16, 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])
    constants: dict[str, npt.NDArray[Any]] = {
        "weights": np.array([[0.1, -0.1]], np.float32),
        "bias": np.array([-9, 9], np.float32),
        "column": np.array([-1, 1], np.int64),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["means", "column"], ["mean"]),
        helper.make_node("Gemm", ["mean", "weights", "bias"], ["logits"]),
    ]
    return make_bundle(graph=model_bytes(nodes, [image], [logits], constants), framing="face")


@pytest.fixture(scope="session")
def two_people() -> Callable[..., UInt8]:
    """Return a function that paints two people, (640, 360), whose faces are bright or dark.

    The one on the left moves to the right by 20 pixels per second of `time`; one whose face is None is away.
    """
    face = skimage.data.astronaut()[30:230, 120:320]  # type: ignore[no-untyped-call]

    def paint(time: float, left: bool | None = True, right: bool | None = True) -> UInt8:
        frame = np.full((360, 640, 3), 90, np.uint8)
        for bright, image, x, y in ((left, face, 20 + round(20 * time), 60), (right, face[:, ::-1], 400, 110)):
            if bright is not None:
                frame[y : y + 200, x : x + 200] = image if bright else (image * 0.35).astype(np.uint8)
        return frame

    return paint


@pytest.fixture(scope="session")
def write_video() -> Callable[..., None]:
    """Return a function that writes a video of (time in seconds, frame uint8 (H, W, 3)) pairs.

    A player turns it by `rotation` degrees clockwise, then mirrors it if `mirrored`. `small` adds a second, smaller
    video stream, `sound` a second of silence; `options` are those of the file format.
    """

    def write(
        path: Path, frames: Iterable[tuple[float, UInt8]], codec: str = "mpeg4", rotation: int = 0,
        mirrored: bool = False, small: bool = False, sound: bool = False,
        options: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        with av.open(str(path), "w", options=options or {}) as container:
            streams: list[Any] = []
            audio = container.add_stream("aac", rate=44100, layout="mono") if sound else None
            for time, frame in frames:
                images = [frame[::4, ::4], frame] if small else [frame]
                if not streams:
                    streams = [_video_stream(container, codec, image, rotation, mirrored) for image in images]
                for stream, image in zip(streams, images, strict=True):
                    video = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                    video.pts, video.time_base = round(time * 1000), Fraction(1, 1000)
                    container.mux(stream.encode(video))
            if audio is not None:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
                samples.sample_rate = 44100
                container.mux(audio.encode(samples))
                streams.append(audio)
            for stream in streams:
                container.mux(stream.encode(None))

    return write


def _video_stream(container: Any, codec: str, image: UInt8, rotation: int, mirrored: bool) -> Any:
    stream = container.add_stream(codec, rate=30)
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
    stream.codec_context.time_base = Fraction(1, 1000)
    if rotation or mirrored:
        stream.set_display_rotation(-rotation, hflip=mirrored)
    return stream


@pytest.fixture
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without any model."""
    monkeypatch.setattr(bundle, "SHIPPED", tmp_path / "no-models")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; returns (exit status, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = left.value.code
        assert isinstance(code, int)
        return code, captured.out, captured.err

    return run


@pytest.fixture
def start_server() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Start `mien serve` and return (process, address); keyword arguments are environment variables."""
    running = []

    def start(*arguments: object, **variables: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", *map(str, arguments)]
        environment = {name: value for name, value in os.environ.items() if name != "MIEN_API_KEY"} | variables
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, (line, process.communicate())
        return process, found.group()

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's provider stands in for OpenVINO's: all is real but the name."""
    if "openvino" in providers.offered_devices():
        pytest.skip("the real one is here")
    provider = replace(providers.PROVIDERS["openvino"], name="CPUExecutionProvider")
    monkeypatch.setitem(providers.PROVIDERS, "openvino", provider)
    monkeypatch.setattr(sessions, "_provider_options", lambda device, threads: {})
    monkeypatch.setattr(placement, "_SECONDS", 0.01)

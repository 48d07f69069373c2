"""The page in a real browser: Debian's Chromium, driven by Playwright, against a real `mien serve`."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
import skimage.data
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mien.data.synthetic.faces import draw_face

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
pytest.importorskip("uvicorn", reason="the server is not installed: pip install 'mien[serve]'")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream"
).split()
SIDE = 48

Picture = npt.NDArray[np.uint8]


class Server:
    """`mien serve` in a process of its own, at a port that stays the same when it is started again."""

    def __init__(self, *arguments: object, key: str | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._command = [sys.executable, "-m", "mien", "serve", "--port", str(self.port), *map(str, arguments)]
        self._environment = {name: value for name, value in os.environ.items() if name != "MIEN_API_KEY"}
        if key:
            self._environment["MIEN_API_KEY"] = key
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        while not self._answers():
            if self._process.poll() is not None:
                _, said = self._process.communicate()
                raise RuntimeError(said.decode())
            time.sleep(0.05)

    def _answers(self) -> bool:
        with suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.url}healthz", timeout=5).status == 200)
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., Server]]:
    """A function that starts a server; its arguments are those of `mien serve`, and `key`."""
    servers: list[Server] = []

    def start(*arguments: object, key: str | None = None) -> Server:
        servers.append(Server(*arguments, key=key))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def start_browser() -> Iterator[Callable[..., Any]]:
    """A function that starts Chromium with further arguments."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browsers = []

        def start(*arguments: str) -> Any:
            browsers.append(playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments]))
            return browsers[-1]

        yield start
        for browser in browsers:
            browser.close()


class Visit:
    """A page that was opened, and everything it asked for or complained about."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**({"accept_downloads": True} | options))
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda opened: self.requests.append(opened.url))
        self.page.goto(url)

    def _heard(self, said: Any) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def add(self, *files: Path | dict[str, Any]) -> None:
        """Choose files, and wait until all are read."""
        self.page.set_input_files("#files", list(files))
        self.page.locator(".thumb[data-state=waiting], .thumb[data-state=running]").first.wait_for(state="detached")

    def said(self) -> str:
        """What a screen reader was told last."""
        return str(self.page.locator("#announcer").text_content())

    def wait_for(self, selector: str, text: str) -> None:
        sync_api.expect(self.page.locator(selector)).to_contain_text(text, timeout=30_000)

    def check_accessible(self) -> None:
        """What is shown now breaks no rule of axe-core, and nothing sticks out at the side."""
        axe_api = pytest.importorskip(
            "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
        )
        found = axe_api.Axe().run(self.page)
        assert not found.response["violations"], found.generate_report()
        wide, room = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= room

    def elsewhere(self) -> list[str]:
        """Requests to anything but this server (a blob: is the page's own memory)."""
        own = (self.url, self.url.replace("http", "ws", 1), "blob:" + self.url, "data:")
        return [url for url in self.requests if not url.startswith(own)]


@pytest.fixture
def visit() -> Iterator[Callable[..., Visit]]:
    """A function that opens a page in a browser; at the end nothing may have been complained about or asked elsewhere.

    A test that provokes complaints clears them.
    """
    visits: list[Visit] = []

    def open_page(browser: Any, url: str, **options: Any) -> Visit:
        visits.append(Visit(browser, url, **options))
        return visits[-1]

    yield open_page
    for each in visits:
        each.context.close()
        assert each.complaints == []
        assert each.elsewhere() == []


@pytest.fixture(scope="session")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eileen Collins, by NASA: public domain. A happy face."""
    path = tmp_path_factory.mktemp("pictures") / "astronaut.jpg"
    Image.fromarray(skimage.data.astronaut()).save(path, quality=92)  # type: ignore[no-untyped-call]
    return path


@pytest.fixture(scope="session")
def write_clip() -> Callable[[Path, list[Picture]], None]:
    """A function that writes frames, uint8 (H, W, 3) with even sides, as the film that Chromium's fake webcam plays."""

    def write(path: Path, frames: list[Picture], fps: int = 20) -> None:
        height, width = frames[0].shape[:2]
        with path.open("wb") as file:
            file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420mpeg2\n".encode())
            for frame in frames:
                luma, *chroma = np.moveaxis(np.asarray(Image.fromarray(frame).convert("YCbCr")), 2, 0)
                planes = [luma, *(plane[::2, ::2] for plane in chroma)]
                file.write(b"FRAME\n" + b"".join(plane.tobytes() for plane in planes))

    return write


@pytest.fixture(scope="session")
def drawn_bundle(make_bundle: Callable[..., Path]) -> Path:
    """A bundle that tells drawn happy from drawn sad faces and reads whole pictures, trained here in a second.

    One layer of filters, which are patches of the faces themselves, and a ridge regression on what they find:
    Coates and Ng, "Learning Feature Representations with K-means" (2012), without the means.
    """
    rng = np.random.default_rng(0)
    pictures = np.stack([draw_face(name, seed, SIDE) for seed in range(200) for name in ("happy", "sad")])
    truth = np.tile([-1.0, 1.0], 200)
    patches = []
    for number in rng.integers(len(pictures), size=48):
        top, left = rng.integers(8, 34, size=2)
        patch = pictures[number, top : top + 7, left : left + 7].astype(np.float32)
        patch -= patch.mean(axis=(0, 1))
        patches.append(patch / (np.linalg.norm(patch) + 20))
    filters = np.stack(patches).transpose(0, 3, 1, 2)
    session = ort.InferenceSession(_graph(filters))
    (found,) = session.run(None, {"image": pictures.astype(np.float32)})
    middle, spread = found.mean(axis=0), found.std(axis=0) + 1e-3
    scaled = (found - middle) / spread
    weights = scaled.T @ np.linalg.solve(scaled @ scaled.T + 1000 * np.eye(len(scaled)), truth) / spread
    weights *= 4  # ridge regression is modest
    layer = np.stack([-weights, weights], axis=1).astype(np.float32)
    return make_bundle(graph=_graph(filters, layer, -(middle @ layer)), size=SIDE, framing="whole")


def _graph(filters: npt.NDArray[np.float32], weights: Any = None, bias: Any = None) -> bytes:
    """The filters' answers in a grid, and where there are weights the logits from them."""
    constants = {"filters": filters, "below": np.full(len(filters), -10, np.float32)}
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "filters", "below"], ["found"]),
        helper.make_node("Relu", ["found"], ["positive"]),
        helper.make_node("AveragePool", ["positive"], ["pooled"], kernel_shape=[6, 6], strides=[4, 4]),
        helper.make_node("Flatten", ["pooled"], ["features"], axis=1),
    ]
    if weights is not None:
        constants |= {"weights": weights, "bias": bias.astype(np.float32)}
        nodes.append(helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", SIDE, SIDE, 3])
    name, size = ("features", None) if weights is None else ("logits", 2)
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
    tensors = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, "drawn", [image], [output], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    """A server with the shipped model; a file of tests may have its own."""
    return serve()


@pytest.fixture(scope="module")
def browser(start_browser: Callable[..., Any]) -> Any:
    """A browser; a file of tests may have its own, with other options."""
    return start_browser()


@pytest.fixture
def page(browser: Any, server: Any, visit: Callable[..., Any]) -> Any:
    """The server's page in the browser."""
    return visit(browser, server.url)

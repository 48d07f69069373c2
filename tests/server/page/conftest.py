"""Run the page in a real browser: Chromium, driven by Playwright, with a real `mien serve`."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
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

Frame = npt.NDArray[np.uint8]


class Server:
    """`mien serve` in its own process. It keeps its port when it is stopped and started again."""

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

    def start(self) -> None:
        """Start, unless it runs already, and wait until it answers."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        while not self._is_ready():
            if self._process.poll() is not None:
                _, message = self._process.communicate()
                raise RuntimeError(message.decode())
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        with suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.url}healthz", timeout=5).status == 200)
        return False

    def stop(self) -> None:
        """Stop, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="session")
def start_page_server() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server; the same arguments give the same server.

    Its arguments are those of `mien serve`, and `key`.
    """
    servers: dict[tuple[object, ...], Server] = {}

    def start(*arguments: object, key: str | None = None) -> Server:
        server = servers.setdefault((*arguments, key), Server(*arguments, key=key))
        server.start()
        return server

    yield start
    for server in servers.values():
        server.stop()


# Playwright keeps an event loop running in this thread until it ends: no other test could run one.
@pytest.fixture(scope="package")
def start_browser() -> Iterator[Callable[..., Any]]:
    """Return a function that starts Chromium with further arguments; the same arguments give the same browser."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    with sync_api.sync_playwright() as playwright, ExitStack() as stack:
        browsers: dict[tuple[str, ...], Any] = {}

        def start(*arguments: str) -> Any:
            if arguments not in browsers:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
                browsers[arguments] = stack.enter_context(browser)
            return browsers[arguments]

        yield start


class Visit:
    """The page in a browser tab, with all its requests and all errors and warnings of the console."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**({"accept_downloads": True} | options))
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(30_000)
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", self._on_console)
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("websocket", lambda opened: self.requests.append(opened.url))
        self.tab.goto(url)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def add(self, *files: Path | dict[str, Any]) -> None:
        """Choose files and wait until all are predicted."""
        self.tab.set_input_files("#files", list(files))
        self.tab.locator(".thumb[data-state=waiting], .thumb[data-state=running]").first.wait_for(state="detached")

    def wait_for(self, selector: str, text: str) -> None:
        sync_api.expect(self.tab.locator(selector)).to_contain_text(text, timeout=30_000)

    def expect_errors(self, *texts: str) -> None:
        """Check that every logged error contains one of these texts, and forget the errors."""
        assert all(any(text in error for text in texts) for error in self.errors), self.errors
        self.errors.clear()

    def check_accessible(self) -> None:
        """Check that the page breaks no rule of axe-core and does not scroll sideways."""
        axe_api = pytest.importorskip(
            "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
        )
        found = axe_api.Axe().run(self.tab)
        assert not found.response["violations"], found.generate_report()
        content_width, window_width = self.tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert content_width <= window_width

    def foreign_requests(self) -> list[str]:
        """Return all requests to another host than this server (a blob: is the page's own memory)."""
        own = (self.url, self.url.replace("http", "ws", 1), "blob:" + self.url, "data:")
        return [url for url in self.requests if not url.startswith(own)]


@pytest.fixture
def visit() -> Iterator[Callable[..., Visit]]:
    """Return a function that opens the page in a browser.

    At the end no tab may have logged an error or sent a request to another host. A test that provokes errors calls
    `expect_errors`.
    """
    visits: list[Visit] = []

    def open_page(browser: Any, url: str, **options: Any) -> Visit:
        visits.append(Visit(browser, url, **options))
        return visits[-1]

    yield open_page
    for each in visits:
        each.context.close()
        assert each.errors == []
        assert each.foreign_requests() == []


@pytest.fixture(scope="session")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of Eileen Collins by NASA, public domain: a happy face."""
    path = tmp_path_factory.mktemp("images") / "astronaut.jpg"
    Image.fromarray(skimage.data.astronaut()).save(path, quality=92)  # type: ignore[no-untyped-call]
    return path


@pytest.fixture(scope="session")
def write_clip() -> Callable[[Path, list[Frame]], None]:
    """Return a function that writes frames, uint8 (H, W, 3) with even sides, for Chromium's fake webcam."""

    def write(path: Path, frames: list[Frame], fps: int = 20) -> None:
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
    """A bundle that tells drawn happy from drawn sad faces in whole images, trained here in a second.

    One layer of filters, which are patches of the faces, and a ridge regression on their outputs: Coates and Ng,
    "Learning Feature Representations with K-means" (2012), without the clustering.
    """
    rng = np.random.default_rng(0)
    images = np.stack([draw_face(name, seed, SIDE) for seed in range(200) for name in ("happy", "sad")])
    truth = np.tile([-1.0, 1.0], 200)
    patches = []
    for number in rng.integers(len(images), size=48):
        top, left = rng.integers(8, 34, size=2)
        patch = images[number, top : top + 7, left : left + 7].astype(np.float32)
        patch -= patch.mean(axis=(0, 1))
        patches.append(patch / (np.linalg.norm(patch) + 20))
    filters = np.stack(patches).transpose(0, 3, 1, 2)
    session = ort.InferenceSession(_graph(filters))
    (found,) = session.run(None, {"image": images.astype(np.float32)})
    middle, spread = found.mean(axis=0), found.std(axis=0) + 1e-3
    scaled = (found - middle) / spread
    weights = scaled.T @ np.linalg.solve(scaled @ scaled.T + 1000 * np.eye(len(scaled)), truth) / spread
    weights *= 4  # ridge regression is modest
    layer = np.stack([-weights, weights], axis=1).astype(np.float32)
    return make_bundle(graph=_graph(filters, layer, -(middle @ layer)), size=SIDE, framing="whole")


def _graph(filters: npt.NDArray[np.float32], weights: Any = None, bias: Any = None) -> bytes:
    """Return an ONNX graph: the filters' outputs in a grid, or the logits if weights are given."""
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


@pytest.fixture(scope="session")
def page_server(start_page_server: Callable[..., Server], brightness_bundle: Path) -> Server:
    """A server with two models and tight limits."""
    models = ("--model", "mien", "--model", f"bright={brightness_bundle}")
    return start_page_server(*models, "--max-body", 1, "--max-pixels", 0.5, "--allow-host", "mien.test")


@pytest.fixture
def server(page_server: Server) -> Server:
    """The server of a test. It runs, even if an earlier test has stopped it."""
    page_server.start()
    return page_server


@pytest.fixture(scope="session")
def api_key() -> str:
    """The API key of `locked_server`."""
    return "a-key-of-the-tests-only"


@pytest.fixture(scope="session")
def locked_server(start_page_server: Callable[..., Server], brightness_bundle: Path, api_key: str) -> Server:
    """A server that needs an API key."""
    return start_page_server("--model", brightness_bundle, key=api_key)


@pytest.fixture(scope="package")
def browser(start_browser: Callable[..., Any]) -> Any:
    """A browser that refuses the webcam unless a context allows it, and knows this machine as mien.test too."""
    return start_browser("--deny-permission-prompts", "--host-resolver-rules=MAP mien.test 127.0.0.1")


@pytest.fixture
def page(browser: Any, server: Server, visit: Callable[..., Visit]) -> Visit:
    """The page in a browser tab."""
    return visit(browser, server.url)

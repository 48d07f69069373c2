"""A static web host on this machine: files of a folder, with the headers of a strict page."""

import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

#: Scripts, workers and requests of this host alone, and WebAssembly.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
#: What lets a page use several threads.
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class StaticSite:
    """Serves a folder until it is closed.

    Args:
        folder: what is served.
        isolated: whether pages are cross-origin isolated, so that WebAssembly may use several threads.
        cut: the file that is sent only to its half, as by a network that fails; a path in `folder`.
    """

    def __init__(self, folder: Path, *, isolated: bool = False, cut: str | None = None) -> None:
        headers = {"Content-Security-Policy": POLICY, **(ISOLATION if isolated else {})}
        handler = partial(_Handler, directory=str(folder), headers=headers, cut=cut)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving, unless it has stopped."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, headers: dict[str, str], cut: str | None, **options: Any) -> None:
        self._headers = headers
        self._cut = cut
        super().__init__(*arguments, **options)

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Send the whole file each time: by its time, in seconds, a file that a test just changed seems the same."""
        del self.headers["If-Modified-Since"]
        return super().send_head()

    def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:  # type: ignore[override]
        data = source.read()
        outputfile.write(data[: len(data) // 2] if self.path == f"/{self._cut}" else data)

    def end_headers(self) -> None:
        for name, value in self._headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""

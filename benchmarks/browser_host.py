"""Hosts of files for `browser.py`: they compress as hosts do, count bytes, and isolate pages if they should."""

import gzip
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
#: Files that hosts do not compress.
_COMPRESSED = (".png", ".jpg")


class Host:
    """Serves a folder. `sent` counts the bytes of each file's compressed body."""

    def __init__(self, folder: Path, *, isolated: bool) -> None:
        self.sent: Counter[str] = Counter()
        self.headers = ISOLATION if isolated else {}
        self.compressed: dict[str, bytes] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, host: Host, *arguments: Any, **options: Any) -> None:
        self._host = host
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        name, plain = path.name, path.suffix in _COMPRESSED
        if str(path) not in self._host.compressed:
            self._host.compressed[str(path)] = path.read_bytes() if plain else gzip.compress(path.read_bytes(), 6)
        body = self._host.compressed[str(path)]
        self.send_response(200)
        headers = {"Content-Type": self.guess_type(name), "Content-Length": str(len(body)), "Cache-Control": "no-cache"}
        for key, value in {**headers, **({} if plain else {"Content-Encoding": "gzip"}), **self._host.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
        self._host.sent[self.path] += len(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""

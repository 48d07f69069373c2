"""The server: an HTTP API and a page (`pip install 'mien[serve]'`).

`create_app(reader)` gives an ASGI application that can be run by itself or mounted in another one; `mien serve`
runs it by uvicorn. Uploads only: no path and no address is ever taken from a client.
"""

from importlib import import_module

from mien.errors import MissingExtraError

for _library in ("fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client"):
    try:
        import_module(_library)
    except ImportError:
        raise MissingExtraError("the server", "serve") from None

from mien.server.app import create_app  # noqa: E402
from mien.server.limits import Limits  # noqa: E402

__all__ = ["Limits", "create_app"]

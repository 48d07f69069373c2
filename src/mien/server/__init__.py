"""Serve models over HTTP: an API for applications and a web page (`pip install 'mien[serve]'`).

`create_app` returns the ASGI application, to run or to mount in another one; `mien serve` runs it under uvicorn.
Clients upload image bytes. They never name a path or URL to open.
"""

from importlib import import_module

from mien.errors import MissingExtraError

for _library in ("fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client", "jinja2"):
    try:
        import_module(_library)
    except ImportError:
        raise MissingExtraError("the server", "serve") from None

from mien.server.app import create_app  # noqa: E402
from mien.server.limits import Limits  # noqa: E402

__all__ = ["Limits", "create_app"]

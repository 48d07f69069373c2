"""The application: its routes, and what stands around them."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from mien.cores import available_cores
from mien.reader import Faces, Reader
from mien.serve import description
from mien.serve.bodies import Memory, read_uploads
from mien.serve.figures import Figures
from mien.serve.gate import Gate, State
from mien.serve.limits import Limits
from mien.serve.models import Models, View, to_json
from mien.serve.page import INDEX, Page
from mien.serve.problems import Problem
from mien.serve.security import LOOPBACK, Guard, Key
from mien.serve.stream import Streams, close_with, first_key
from mien.serve.workers import Workers
from mien.version import __version__

Result = TypeVar("Result")


class ReadQuery(BaseModel):
    """How pictures are read; what is not given is as the server was started."""

    model_config = ConfigDict(extra="forbid")
    detect: bool | None = None
    faces: Faces | None = None
    model: str | None = None


class ExplainQuery(BaseModel):
    """What is to be explained, and how it is shown."""

    model_config = ConfigDict(extra="forbid")
    label: str | None = None
    method: Literal["cam", "occlusion"] | None = None
    detect: bool | None = None
    model: str | None = None
    view: View = "overlay"


class Server:
    """What the routes of one application share."""

    def __init__(self, readers: Reader | Mapping[str, Reader], limits: Limits, key: str | None, threads: int) -> None:
        self.limits, self.key = limits, Key(key)
        self.models = Models(readers, limits.pixels)
        self.workers = Workers(threads, limits.waiting, limits.seconds)
        self.memory = Memory(limits.held_bytes)
        self.figures, self.state, self.page = Figures(), State(), Page()
        self.streams = Streams(self.models, self.workers, limits, self.figures)
        self.state.on_close.append(self.streams.close)
        self.figures.watch("mien_waiting", "Requests that wait to be worked on", lambda: self.workers.waiting)
        self.figures.watch("mien_held_bytes", "Memory that bodies of requests take", lambda: self.memory.used)

    async def predict(self, request: Request, query: Annotated[ReadQuery, Query()]) -> Response:
        """Read the expression in one or several pictures; a file that cannot be read is a row that says why."""
        reader = self.models.reader(query.model, query.detect, query.faces)
        self.workers.refuse_if_full()
        with self.memory.share() as share:
            uploads = await read_uploads(request, self.limits, share)
            cost = sum(len(upload.data) for upload in uploads)
            rows = await _unless_gone(request, self.workers.do(self.models.reading(reader), uploads, cost))
        if isinstance(rows, Problem):
            raise rows
        self.figures.pictures.inc(len(uploads))
        return Response(rows, media_type="application/json")

    async def explain(self, request: Request, query: Annotated[ExplainQuery, Query()]) -> Response:
        """Show what in each face of one picture speaks for a label: a PNG, its longer side at most 1280 pixels."""
        reader = self.models.reader(query.model, query.detect)
        self.workers.refuse_if_full()
        with self.memory.share() as share:
            uploads = await read_uploads(request, self.limits, share)
            if len(uploads) > 1:
                raise Problem("too_many_files", "one picture is explained at a time")
            work = partial(self.models.explained, reader, uploads[0], query.label, query.method, query.view)
            png = await _unless_gone(request, self.workers.do(lambda _: [work()], None))
        return Response(png, media_type="image/png")

    async def stream(self, socket: WebSocket) -> None:
        """Read frames as they come."""
        await socket.accept()
        try:
            if self.key.needed and not self.key.fits(await first_key(socket, self.limits.header_seconds)):
                raise Problem("unauthorized", 'send the API key as the first message: {"key": "KEY"}')
            try:
                query = ReadQuery.model_validate(dict(socket.query_params))
            except ValidationError as error:
                raise Problem("bad_parameter", _faults(error.errors())) from None
            await self.streams.run(socket, self.models.reader(query.model, query.detect, query.faces))
        except Problem as problem:
            self.figures.refused.labels(problem.code).inc()
            await close_with(socket, problem)
        except (WebSocketDisconnect, TimeoutError):
            return  # the client has left, or takes no answers

    async def described(self) -> Response:
        """List the models that are served, with their labels and what they answer."""
        return Response(to_json(self.models.describe()), media_type="application/json")

    async def config(self) -> Response:
        """Say whether a key is needed, and what the limits are."""
        found = {"auth": self.key.needed, "limits": self.limits.to_dict(), "version": __version__}
        return Response(to_json(found), media_type="application/json")

    async def healthy(self) -> Response:
        """Answer, for as long as the process lives."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def ready(self) -> Response:
        """Say whether new requests are taken: not while all places are taken, nor while shutting down."""
        if self.state.closing:
            raise Problem("shutting_down", "the server is shutting down")
        self.workers.refuse_if_full()
        return Response(b'{"status":"ready"}', media_type="application/json")

    async def metrics(self) -> Response:
        """Give the figures that Prometheus collects."""
        return Response(self.figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def file(self, request: Request) -> Response:
        """Give a file of the page."""
        return self.page.get(request.path_params.get("name", INDEX), request)

    def refused(self, problem: Problem) -> Response:
        """Count a problem, and answer with it."""
        self.figures.refused.labels(problem.code).inc()
        return problem.response()


def create_app(
    readers: Reader | Mapping[str, Reader], limits: Limits | None = None, *, key: str | None = None,
    hosts: Collection[str] | None = LOOPBACK, origins: Collection[str] = (), threads: int | None = None,
) -> FastAPI:  # fmt: skip
    """Build the ASGI application that serves one reader, or several by name, of which the first is the default.

    `key` is the API key that every request must carry, None lets everyone in. `hosts` are the names by which the
    server may be called (without port; the machine's own by default), None is any: then give a key. `origins` are
    those of pages elsewhere that may ask. `threads` is how many pictures are read side by side, None one per core;
    readers built with `threads=1` then do best. The application can be mounted in another one. Raises ConfigError
    where there is no reader.
    """
    server = Server(readers, limits or Limits(), key, threads or available_cores())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        server.state.close()
        server.workers.close()

    # FastAPI's own pages for trying out an API load scripts from elsewhere.
    app = FastAPI(
        title="mien",
        version=__version__,
        description=description.ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.mien = server
    _add_routes(app, server)
    written = app.openapi
    app.openapi = lambda: description.complete(written())  # type: ignore[method-assign]
    _answer_errors(app, server)
    app.add_middleware(Gate, state=server.state, figures=server.figures)
    app.add_middleware(Guard, hosts=hosts, origins=origins, key=server.key)
    return app


async def _unless_gone(request: Request, job: Coroutine[Any, Any, Result]) -> Result:
    """Wait for a job, which is given up where the client leaves before it is done."""

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    doing, leaving = asyncio.create_task(job), asyncio.create_task(left())
    try:
        await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Problem("bad_request", "the client has left")
        return doing.result()
    finally:
        doing.cancel()
        leaving.cancel()
        del doing  # which holds what was raised, which knows this frame: together they would stay until collected


def _add_routes(app: FastAPI, server: Server) -> None:
    app.add_api_route("/v1/predict", server.predict, methods=["POST"], response_class=Response, **description.PREDICT)
    app.add_api_route("/v1/explain", server.explain, methods=["POST"], response_class=Response, **description.EXPLAIN)
    app.add_api_route("/v1/models", server.described, methods=["GET"], response_class=Response, **description.MODELS)
    app.add_api_route("/v1/config", server.config, methods=["GET"], response_class=Response, **description.CONFIG)
    app.add_api_route("/healthz", server.healthy, methods=["GET"], response_class=Response, **description.HEALTHY)
    app.add_api_route("/readyz", server.ready, methods=["GET"], response_class=Response, **description.READY)
    app.add_api_route("/metrics", server.metrics, methods=["GET"], response_class=Response, **description.METRICS)
    app.add_api_websocket_route("/v1/stream", server.stream)
    app.add_route("/", server.file, include_in_schema=False)
    app.add_route("/page/{name:path}", server.file, include_in_schema=False)


def _answer_errors(app: FastAPI, server: Server) -> None:
    """Answer every error with a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(_: Request, problem: Problem) -> Response:
        return server.refused(problem)

    @app.exception_handler(RequestValidationError)
    async def on_parameters(_: Request, error: RequestValidationError) -> Response:
        return server.refused(Problem("bad_parameter", _faults(error.errors())))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            allowed = dict(error.headers or {})
            return server.refused(Problem("method_not_allowed", f"{request.method} is not for this address", allowed))
        return server.refused(Problem("not_found", "there is no such address; see /openapi.json"))


def _faults(errors: Any) -> str:
    """Say in one line which parameters are wrong."""
    return "; ".join(f"{error['loc'][-1] if error['loc'] else 'query'!s:.60}: {error['msg']}" for error in errors)[:500]

"""The application: its routes, and what stands around them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from mien.inference.reader import Reader
from mien.runtime import available_cores
from mien.server import openapi
from mien.server.lifecycle import Gate, State
from mien.server.limits import Limits
from mien.server.metrics import ServerMetrics
from mien.server.models import Models, to_json
from mien.server.params import ExplainQuery, ReadQuery, parse
from mien.server.problems import Problem
from mien.server.security import LOOPBACK, Guard, Key
from mien.server.static import INDEX, Page
from mien.server.stream import Streams, close_with, first_key
from mien.server.uploads import Memory, read_uploads
from mien.server.workers import Workers
from mien.version import __version__

Input = TypeVar("Input")
Output = TypeVar("Output")


class Server:
    """What the routes of one application share."""

    def __init__(self, readers: Reader | Mapping[str, Reader], limits: Limits, key: str | None, threads: int) -> None:
        self.limits, self.key = limits, Key(key)
        self.models = Models(readers, limits.pixels)
        self.workers = Workers(threads, limits.waiting, limits.seconds)
        self.memory = Memory(limits.held_bytes)
        self.figures, self.state, self.page = ServerMetrics(), State(), Page()
        self.streams = Streams(self.models, self.workers, limits, self.figures)
        self.state.on_close.append(self.streams.close)
        self.figures.watch("mien_waiting", "Requests that wait to be worked on", lambda: self.workers.waiting)
        self.figures.watch("mien_held_bytes", "Memory that bodies of requests take", lambda: self.memory.used)

    async def predict(self, request: Request) -> Response:
        """Read the expression in one or several pictures; a file that cannot be read is a row that says why."""
        query = parse(ReadQuery, request.query_params)
        reader = self.models.reader(query.model, query.detect, query.faces)
        self.workers.refuse_if_full()
        with self.memory.share() as share:
            uploads = await read_uploads(request, self.limits, share)
            cost = sum(len(upload.data) for upload in uploads)
            rows = await self._work(request, self.models.reading(reader), uploads, cost)
        if isinstance(rows, Problem):
            raise rows
        self.figures.pictures.inc(len(uploads))
        return Response(rows, media_type="application/json")

    async def explain(self, request: Request) -> Response:
        """Show what in each face of one picture speaks for a label: a PNG, its longer side at most 1280 pixels."""
        query = parse(ExplainQuery, request.query_params)
        reader = self.models.reader(query.model, query.detect, query.faces)
        self.workers.refuse_if_full()
        with self.memory.share() as share:
            uploads = await read_uploads(request, self.limits, share)
            if len(uploads) > 1:
                raise Problem("too_many_files", "one picture is explained at a time")
            work = partial(self.models.explained, reader, uploads[0], query.label, query.method, query.view)
            png = await self._work(request, lambda _: [work()], None)
        return Response(png, media_type="image/png")

    async def stream(self, socket: WebSocket) -> None:
        """Read frames as they come."""
        await socket.accept()
        try:
            if self.key.needed and not self.key.fits(await first_key(socket, self.limits.header_seconds)):
                raise Problem("unauthorized", 'send the API key as the first message: {"key": "KEY"}')
            query = parse(ReadQuery, socket.query_params)
            await self.streams.run(socket, self.models.reader(query.model, query.detect, query.faces))
        except Problem as problem:
            self.figures.refused.labels(problem.code).inc()
            await close_with(socket, problem)
        except (WebSocketDisconnect, TimeoutError):
            return  # the client has left, or takes no answers

    async def described(self, _: Request) -> Response:
        """List the models that are served, with their labels and what they answer."""
        return Response(to_json(self.models.describe()), media_type="application/json")

    async def config(self, _: Request) -> Response:
        """Say whether a key is needed, and what the limits are."""
        found = {"auth": self.key.needed, "limits": self.limits.to_dict(), "version": __version__}
        return Response(to_json(found), media_type="application/json")

    async def healthy(self, _: Request) -> Response:
        """Answer, for as long as the process lives."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def ready(self, _: Request) -> Response:
        """Say whether new requests are taken: not while all places are taken, nor while shutting down."""
        if self.state.closing:
            raise Problem("shutting_down", "the server is shutting down")
        self.workers.refuse_if_full()
        return Response(b'{"status":"ready"}', media_type="application/json")

    async def metrics(self, _: Request) -> Response:
        """Give the figures that Prometheus collects."""
        return Response(self.figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def file(self, request: Request) -> Response:
        """Give a file of the page."""
        return self.page.get(request.path_params.get("name", INDEX), request)

    async def _work(
        self, request: Request, work: Callable[[list[Input]], Sequence[Output | Exception]], given: Input,
        cost: int | None = None,
    ) -> Output:  # fmt: skip
        """Have something done by the workers, and given up where the client leaves before it is done."""
        leaving = asyncio.create_task(_left(request))
        try:
            return await self.workers.do(work, given, cost, gone=leaving)
        finally:
            leaving.cancel()

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
        description=openapi.ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.mien = server
    _add_routes(app, server)
    written = app.openapi
    app.openapi = lambda: openapi.complete(written(), server.limits.files)  # type: ignore[method-assign]
    _answer_errors(app, server)
    app.add_middleware(Gate, state=server.state, figures=server.figures)
    app.add_middleware(Guard, hosts=hosts, origins=origins, key=server.key, figures=server.figures)
    return app


async def _left(request: Request) -> None:
    """Wait until the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Direct(APIRoute):
    """A route that FastAPI describes and finds, and that is then called without more: with the request, for an answer.

    What FastAPI else does with a request (parameters, body, dependencies) takes longer than what is done here.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function itself."""
        return self.endpoint


def _add_routes(app: FastAPI, server: Server) -> None:
    app.router.route_class = Direct
    app.add_api_route("/v1/predict", server.predict, methods=["POST"], response_class=Response, **openapi.PREDICT)
    app.add_api_route("/v1/explain", server.explain, methods=["POST"], response_class=Response, **openapi.EXPLAIN)
    for path, endpoint, described in (
        ("/v1/models", server.described, openapi.MODELS),
        ("/v1/config", server.config, openapi.CONFIG),
        ("/healthz", server.healthy, openapi.HEALTHY),
        ("/readyz", server.ready, openapi.READY),
        ("/metrics", server.metrics, openapi.METRICS),
    ):
        app.add_api_route(path, endpoint, methods=["GET"], response_class=Response, **described)
        # Load balancers ask so. It goes without saying in the document.
        app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    app.add_api_websocket_route("/v1/stream", server.stream)
    app.add_route("/", server.file, include_in_schema=False)
    app.add_route("/page/{name:path}", server.file, include_in_schema=False)


def _answer_errors(app: FastAPI, server: Server) -> None:
    """Answer every error with a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(_: Request, problem: Problem) -> Response:
        return server.refused(problem)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            headers = {"Allow": "GET, HEAD" if allowed == "GET" else allowed}
            return server.refused(Problem("method_not_allowed", f"{request.method} is not for this address", headers))
        return server.refused(Problem("not_found", "there is no such address; see /openapi.json"))

"""Build the ASGI application: its endpoints, its routes and its middleware.

To add a route, write an endpoint in `Api`, declare its parameters and answer in `schemas`, describe it in `openapi`,
and add one line to `_add_routes`. Work on images belongs in `models`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from mien.inference.reader import Reader
from mien.runtime.threads import thread_count
from mien.server import openapi
from mien.server.connections.ration import Ration
from mien.server.connections.websocket import UNLOCK
from mien.server.jobs import Later
from mien.server.lifecycle import LifecycleMiddleware, ServerState
from mien.server.limits import Limits
from mien.server.metrics import ServerMetrics
from mien.server.models import Models, to_json
from mien.server.problems import Problem
from mien.server.reference import render_reference
from mien.server.routes import PageFiles, RawRoute
from mien.server.schemas import ExplainParams, PredictParams, read_params
from mien.server.security import LOOPBACK, PUBLIC_PREFIX, ApiKey, SecurityMiddleware
from mien.server.stream import Streams, close_with_problem, receive_key
from mien.server.uploads import BodyMemory, HeldResponse, read_uploads
from mien.server.workers import WorkerPool
from mien.version import __version__

Input = TypeVar("Input")
Output = TypeVar("Output")


class Api:
    """The endpoints of one application, and what they share."""

    def __init__(
        self, readers: Reader | Mapping[str, Reader], limits: Limits, key: str | None, threads: int, notice: str | None
    ) -> None:
        self.limits, self.key, self.notice = limits, ApiKey(key), notice
        self.models = Models(readers, limits.pixels)
        self.workers = WorkerPool(threads, limits.waiting, limits.seconds)
        self.memory, self.ration = BodyMemory(limits.held_bytes), Ration()
        self.metrics, self.state, self.page = ServerMetrics(), ServerState(), PageFiles()
        self.streams = Streams(self.models, self.workers, limits, self.metrics)
        self.state.on_close.append(self.streams.close)
        self.metrics.add_gauge("mien_waiting", "Requests that wait for a worker", lambda: self.workers.waiting)
        self.metrics.add_gauge("mien_stuck", "Threads that took too long and still work", lambda: self.workers.stuck)
        self.metrics.add_gauge(
            "mien_held_bytes", "Memory of all request bodies and large answers", lambda: self.memory.used
        )

    async def predict(self, request: Request) -> Response:
        """Predict the expression in one or several images. An image that cannot be read is a row with a reason."""
        params = read_params(PredictParams, request.query_params)
        reader = self.models.reader(params.model, params.detect, params.faces, params.threshold)
        self.workers.refuse_if_full()
        with self.memory.reserve() as reservation:
            uploads = await read_uploads(request, self.limits, reservation, self.ration)
            cost = sum(len(upload.data) for upload in uploads)
            quick, slow = self.models.batch_functions(reader)
            rows = await self._run(request, quick, uploads, cost, later=slow)
        if isinstance(rows, Problem):
            raise rows
        self.metrics.images.inc(len(uploads))
        return HeldResponse(rows, "application/json", self.memory)

    async def explain(self, request: Request) -> Response:
        """Show the evidence for a label in each face of one image: a PNG, longest side at most 1280 pixels."""
        params = read_params(ExplainParams, request.query_params)
        reader = self.models.reader(params.model, params.detect, params.faces, params.threshold)
        self.workers.refuse_if_full(slow=True)
        with self.memory.reserve() as reservation:
            uploads = await read_uploads(request, self.limits, reservation, self.ration)
            if len(uploads) > 1:
                raise Problem("too_many_files", "send one image per request")
            work = partial(self.models.explain, reader, uploads[0], params.label, params.method, params.view)
            png = await self._run(request, lambda _: [work()], None, slow=True)
        return HeldResponse(png, "image/png", self.memory)

    async def stream(self, socket: WebSocket) -> None:
        """Answer the frames of a WebSocket."""
        await socket.accept()  # before a problem, too: a page cannot read why a stream was refused
        try:
            params = read_params(PredictParams, socket.query_params)
            if self.key.required and not self.key.matches(await receive_key(socket, self.limits.header_seconds)):
                raise Problem("unauthorized", 'send the API key as the first message: {"key": "KEY"}')
            if unlock := socket.scope.get("extensions", {}).get(UNLOCK):
                unlock()
            await self.streams.run(
                socket, self.models.reader(params.model, params.detect, params.faces, params.threshold)
            )
        except Problem as problem:
            await self.close_stream(socket, problem)
        except (WebSocketDisconnect, TimeoutError):
            return  # the client has left, or accepts no answers

    async def list_models(self, _: Request) -> Response:
        """List the served models with their labels and possible answers."""
        return Response(to_json(self.models.describe()), media_type="application/json")

    async def show_config(self, _: Request) -> Response:
        """Return whether an API key is required, the limits, the notice of the page, and the version."""
        config = {
            "auth": self.key.required,
            "limits": self.limits.to_dict(),
            "notice": self.notice,
            "version": __version__,
        }
        return Response(to_json(config), media_type="application/json")

    async def check_health(self, _: Request) -> Response:
        """Return 200 while the process runs and can work; 503 if all of its threads for quick or for slow work hang."""
        self.workers.refuse_if_stuck()
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def check_ready(self, _: Request) -> Response:
        """Return 200 if the server accepts requests; 503 if too many wait, or during shutdown."""
        if self.state.closing:
            raise Problem("shutting_down", "the server is shutting down")
        self.workers.refuse_if_full()
        return Response(b'{"status":"ready"}', media_type="application/json")

    async def show_metrics(self, _: Request) -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(self.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def show_page(self, request: Request) -> Response:
        """Return the page for photos and the webcam."""
        return await self.page.get_response("index.html", request.scope)

    async def show_reference(self, request: Request) -> Response:
        """Return the page that describes every route."""
        # Only shown: whoever sends a false header sees a false address.
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        address = f"http{'s' * secure}://{request.url.netloc}{request.scope.get('root_path', '')}"
        page = render_reference(request.app.openapi(), address, self.key.required)
        return Response(page, media_type="text/html; charset=utf-8")

    async def _run(
        self, request: Request, work: Callable[[list[Input]], Sequence[Output | Exception | Later]], item: Input,
        cost: int | None = None, *, slow: bool = False,
        later: Callable[[list[Input]], Sequence[Output | Exception]] | None = None,
    ) -> Output:  # fmt: skip
        """Run work in the worker pool; abandon it if the client disconnects."""
        disconnected = asyncio.create_task(_wait_for_disconnect(request))
        try:
            return await self.workers.run(work, item, cost, slow=slow, later=later, disconnected=disconnected)
        finally:
            disconnected.cancel()

    def problem_response(self, problem: Problem) -> Response:
        """Count a problem and return its response."""
        self.metrics.refused.labels(problem.code).inc()
        return problem.response()

    async def close_stream(self, socket: WebSocket, problem: Problem) -> None:
        """Count a problem, send it and close the WebSocket."""
        self.metrics.refused.labels(problem.code).inc()
        await close_with_problem(socket, problem)


def create_app(
    readers: Reader | Mapping[str, Reader], limits: Limits | None = None, *, key: str | None = None,
    hosts: Collection[str] | None = LOOPBACK, origins: Collection[str] = (), threads: int | None = None,
    notice: str | None = "",
) -> FastAPI:  # fmt: skip
    """Build the ASGI application. Run it by itself, or mount it in another application.

    Args:
        readers: one reader, or several by name; the first is the default model. Readers made with
            `mien.load(threads=1)` are fastest here.
        limits: limits on client requests; None uses the defaults of `Limits`.
        key: the API key that every request must carry; None lets every client in. It guards this application alone:
            the routes of the application that you mount it in have their own rules, and a page there needs the key
            too. Only `/`, `/docs`, `/page/`, `/v1/config` and the health checks below the prefix answer without it.
        hosts: names by which clients may call the server, without port [default: those of this machine]. None allows
            any name: use a key then. A mounted application needs the names of the outer server here.
        origins: origins of other web pages that may send requests, such as `https://example.org`.
        threads: images predicted at the same time; None uses one thread per core.
        notice: text that the page shows before it opens the camera, with a question for consent; "" is the page's own,
            None asks nobody.

    Raises:
        ConfigError: there is no reader, or no header can hold the key.
        BundleError: a reader's network cannot answer.

    Examples:
        >>> import mien
        >>> app = create_app(mien.load(threads=1), Limits(files=4), key="a key of some length")
    """
    api = Api(readers, limits or Limits(), key, thread_count(threads), notice)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        api.state.close()
        api.workers.close()

    # FastAPI's interactive pages load scripts from other sites: `/docs` is our own.
    app = FastAPI(
        title="mien",
        version=__version__,
        description=openapi.ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.mien = api
    _add_routes(app, api)
    add_error_handlers(app, api.problem_response, "; see /docs")
    generate = app.openapi
    app.openapi = lambda: openapi.complete(generate())  # type: ignore[method-assign]
    app.add_middleware(LifecycleMiddleware, state=api.state, metrics=api.metrics)
    app.add_middleware(SecurityMiddleware, hosts=hosts, origins=origins, key=api.key, metrics=api.metrics)
    return app


async def _wait_for_disconnect(request: Request) -> None:
    """Return once the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _add_routes(app: FastAPI, api: Api) -> None:
    app.router.route_class = RawRoute
    described = openapi.describe_routes(api.limits)
    for method, path, endpoint, operation in (
        ("POST", "/v1/predict", api.predict, "predict"),
        ("POST", "/v1/explain", api.explain, "explain"),
        ("GET", "/v1/models", api.list_models, "models"),
        ("GET", "/v1/config", api.show_config, "config"),
        ("GET", "/healthz", api.check_health, "healthz"),
        ("GET", "/readyz", api.check_ready, "readyz"),
        ("GET", "/metrics", api.show_metrics, "metrics"),
    ):
        app.add_api_route(
            path, endpoint, methods=[method], operation_id=operation, response_description="Success",
            **described[operation],
        )  # fmt: skip
        if method == "GET":  # load balancers send HEAD; the document leaves it out
            app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    app.add_api_websocket_route("/v1/stream", api.stream)
    app.add_route("/", api.show_page, include_in_schema=False)
    app.add_route("/docs", api.show_reference, include_in_schema=False)
    app.mount(PUBLIC_PREFIX, api.page)


def add_error_handlers(app: FastAPI, respond: Callable[[Problem], Response], advice: str = "") -> None:
    """Answer every error with a problem document.

    Args:
        app: the application.
        respond: makes the response of a problem, and counts it.
        advice: what follows a sentence about an unknown address.
    """

    @app.exception_handler(Problem)
    async def on_problem(_: Request, problem: Problem) -> Response:
        return respond(problem)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            headers = {"Allow": "GET, HEAD" if allowed == "GET" else allowed}
            detail = f"this address does not take {request.method}{advice}"
            return respond(Problem("method_not_allowed", detail, headers))
        return respond(Problem("not_found", f"there is no such address{advice}"))

"""Build the ASGI application of the page of `mien fix`: its routes, behind the security checks of `mien serve`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mien.data.fixes.session import FixSession
from mien.evaluation.predictions import SavedPredictions
from mien.server.app import add_error_handlers
from mien.server.connections.ration import Ration
from mien.server.fix.desk import Desk
from mien.server.fix.handover import Handover
from mien.server.fix.pictures import PictureSize
from mien.server.fix.requests import Code, Decisions, Numbered, PutOff, TrainingAction, read_body
from mien.server.fix.training import Training
from mien.server.fix.words import left_undone
from mien.server.lifecycle import LifecycleMiddleware, ServerState
from mien.server.metrics import ServerMetrics
from mien.server.models import to_json
from mien.server.problems import Problem
from mien.server.routes import PageFiles
from mien.server.security import LOOPBACK, PUBLIC_PREFIX, ApiKey, SecurityMiddleware


class FixApi:
    """The endpoints of the page, and what they share.

    Args:
        session: ranks the images and stores the decisions.
        token: every request but those for the files of the page must carry it.
    """

    def __init__(self, session: FixSession, token: str) -> None:
        self.desk, self.key, self.handover = Desk(session), ApiKey(token), Handover(token)
        choice = session.audit.detection
        framing = () if choice is None else ("--detect", "yes" if choice.detect else "no")
        self.training = Training(
            session.data, (*session.source_flags, *framing), session.store, self._rank,
            comparable=not session.unsorted,
        )  # fmt: skip
        self.metrics, self.state, self.ration = ServerMetrics(), ServerState(), Ration()
        self.parting: list[str] = []  # what the end of the server left undone, in words
        self.shared, self.page = PageFiles("mien.server"), PageFiles("mien.server.fix")

    async def show_page(self, request: Request) -> Response:
        """Return the page. It holds no data."""
        return await self.page.get_response("index.html", request.scope)

    async def hand_over(self, request: Request) -> Response:
        """Return the token to the browser that was started with a code."""
        body = await read_body(request, Code)
        ends = [(request.scope.get(end) or ("", 0))[1] or 0 for end in ("client", "server")]
        token = await run_in_threadpool(self.handover.take, body.code, *ends)
        if token is None:
            raise Problem("unauthorized", "the code was used, or is of another start or another user of this machine")
        return Response(to_json({"token": token}), media_type="application/json")

    async def show_state(self) -> Response:
        """Return what comes next, how far one is, and the estimate of what is left."""
        return self._answer(await run_in_threadpool(self.desk.state))

    async def decide(self, request: Request) -> Response:
        """Store decisions, then return the new state."""
        body = await read_body(request, Decisions)
        return self._answer(await run_in_threadpool(self.desk.decide, body.id, body.decisions, body.odd))

    async def undo(self, request: Request) -> Response:
        """Take the last step back."""
        body = await read_body(request, Numbered)
        return self._answer(await run_in_threadpool(self.desk.undo, body.id))

    async def put_off(self, request: Request) -> Response:
        """Put an image at the end of the list."""
        body = await read_body(request, PutOff)
        return self._answer(await run_in_threadpool(self.desk.put_off, body.id, body.name))

    async def show_alike(self, request: Request) -> Response:
        """Return the images of a grid."""
        found = await run_in_threadpool(self.desk.alike, "onward" in request.query_params)
        return Response(to_json(found), media_type="application/json")

    async def show_image(self, request: Request) -> Response:
        """Return a shrunken image as JPEG, with the size of the upright one in its headers."""
        wanted = request.query_params.get("size", "large")
        size = next((one for one in get_args(PictureSize) if one == wanted), None)
        if size is None:
            raise Problem("bad_parameter", f"size: is one of {', '.join(get_args(PictureSize))}")
        found = await run_in_threadpool(self.desk.picture, request.query_params.get("name", ""), size)
        headers = {"X-Width": str(found.width), "X-Height": str(found.height)}
        return Response(found.jpeg, headers=headers, media_type="image/jpeg")

    async def show_training(self) -> Response:
        """Return how far the training is."""
        return Response(to_json(self.training.state()), media_type="application/json")

    async def control_training(self, request: Request) -> Response:
        """Start or stop a training."""
        body = await read_body(request, TrainingAction)
        if body.action == "start":
            self.training.start(body.compare)
        else:
            await run_in_threadpool(self.training.stop)
        return await self.show_state()

    async def check_health(self) -> Response:
        """Return 200 while the process runs."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    def problem_response(self, problem: Problem) -> Response:
        """Count a problem and return its response."""
        self.metrics.refused.labels(problem.code).inc()
        return problem.response()

    def _answer(self, state: dict[str, Any]) -> Response:
        return Response(to_json({**state, "training": self.training.state()}), media_type="application/json")

    def _rank(self, predictions: SavedPredictions) -> None:
        self.desk.rerank(
            {
                name: dict(zip(predictions.classes, map(float, row), strict=True))
                for name, row in zip(predictions.names, predictions.probabilities, strict=True)
            }
        )


def create_fix_app(session: FixSession, token: str) -> FastAPI:
    """Build the application of the page, for this machine alone.

    Args:
        session: from `mien.data.fixes.opening.open_session`.
        token: the secret that the page sends with each request, in a header.
    """
    api = FixApi(session, token)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        api.state.close()
        is_training = await run_in_threadpool(api.training.stop)
        api.parting = left_undone(is_training, await run_in_threadpool(api.desk.undecided_marks))

    app = FastAPI(title="mien fix", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.mien = api
    for method, path, endpoint in (
        ("GET", "/v1/fix", api.show_state),
        ("POST", "/v1/fix/decisions", api.decide),
        ("POST", "/v1/fix/undo", api.undo),
        ("POST", "/v1/fix/later", api.put_off),
        ("GET", "/v1/fix/alike", api.show_alike),
        ("GET", "/v1/fix/image", api.show_image),
        ("GET", "/v1/fix/training", api.show_training),
        ("POST", "/v1/fix/training", api.control_training),
        ("POST", f"{PUBLIC_PREFIX}handover", api.hand_over),
        ("GET", "/healthz", api.check_health),
    ):
        app.add_api_route(path, endpoint, methods=[method])
    app.add_route("/", api.show_page)
    app.mount(f"{PUBLIC_PREFIX}fix", api.page)
    app.mount(PUBLIC_PREFIX, api.shared)
    add_error_handlers(app, api.problem_response)
    app.add_middleware(LifecycleMiddleware, state=api.state, metrics=api.metrics)
    app.add_middleware(
        SecurityMiddleware, hosts=LOOPBACK, origins=(), key=api.key, metrics=api.metrics, extendable=False
    )
    return app

"""Query parameters are validated, and described in the OpenAPI document."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from mien.inference.reader import Reader
from mien.server import create_app
from mien.server.app import add_error_handlers
from mien.server.schemas import ExplainParams, PredictParams, read_params


@pytest.fixture(scope="module")
def app(reader: Reader) -> FastAPI:
    """An application whose routes answer with the parameters that they got."""
    app = FastAPI()
    add_error_handlers(app, create_app(reader).state.mien.problem_response)

    @app.get("/predict")
    async def predict(request: Request) -> PredictParams:
        return read_params(PredictParams, request.query_params)

    @app.get("/explain")
    async def explain(request: Request) -> ExplainParams:
        return read_params(ExplainParams, request.query_params)

    return app


def ask(app: FastAPI, path: str) -> Any:
    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(path)

    return asyncio.run(answer()).json()


def test_parameters_are_optional_and_the_last_one_wins(app: FastAPI) -> None:
    assert ask(app, "/predict") == PredictParams().model_dump()
    params = ask(app, "/explain?detect=false&faces=all&faces=largest&view=heat&label=sad")
    assert params == ExplainParams(detect=False, faces="largest", view="heat", label="sad").model_dump()


@pytest.mark.parametrize("query", ["detect=perhaps", "faces=some", "detcet=false", "=1", "label=sad"])
def test_wrong_values_and_unknown_names_are_refused(app: FastAPI, query: str) -> None:
    refused = ask(app, f"/predict?{query}")
    assert refused["code"] == "bad_parameter"
    assert refused["detail"].startswith(query.partition("=")[0] + ": ")


def test_the_detail_is_one_line_of_bounded_length(app: FastAPI) -> None:
    refused = ask(app, "/predict?" + "&".join(f"{'x' * 500}{number}=1" for number in range(100)))
    assert refused["code"] == "bad_parameter"
    assert len(refused["detail"]) == 500
    assert "\n" not in refused["detail"]


def test_every_parameter_is_described(reader: Reader) -> None:
    described = create_app(reader).openapi()["paths"]["/v1/explain"]["post"]["parameters"]
    assert [each["name"] for each in described] == ["detect", "faces", "threshold", "model", "label", "method", "view"]
    assert {each["required"] for each in described} == {False}

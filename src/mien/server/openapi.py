"""Describe every route for the OpenAPI document: examples, request bodies, and each error with an example.

Parameters and answers are declared in `schemas`; FastAPI adds the schemas of the answers. Endpoints and routes are in
`app`. The WebSocket is described in docs/http.md, since OpenAPI has no WebSockets.
"""

from typing import Any

from fastapi.responses import PlainTextResponse
from pydantic import TypeAdapter
from starlette.responses import Response

from mien.server.limits import Limits
from mien.server.problems import CODES, MEDIA_TYPE, document
from mien.server.schemas import (
    Alive,
    ExplainParams,
    ModelInfo,
    ModelList,
    PredictParams,
    ProblemDocument,
    Ready,
    Row,
    ServerConfig,
    describe_params,
)

ABOUT = (
    "Reads the expression on faces. Uploaded images stay in memory and are never stored. Every error is a problem "
    "document (RFC 9457) with a stable `code`. Webcam frames go to the WebSocket `/v1/stream`, see docs/http.md."
)

EXAMPLE_ROW: Row = {
    "source": "party.jpg",
    "status": "ok",
    "reason": None,
    "width": 1024,
    "height": 768,
    "model": "mien",
    "detect": True,
    "faces": [
        {
            "box": {"x": 120, "y": 80, "width": 96, "height": 96},
            "score": 0.93,
            "landmarks": [(148.0, 118.0), (188.5, 117.2), (168.1, 141.0), (152.3, 158.8), (186.0, 158.1)],
            "answer": "happy",
            "probability": 0.97,
            "why": None,
            "probabilities": {"happy": 0.97, "sad": 0.01, "neither": 0.02},
            "two_way": {"happy": 0.99, "sad": 0.01},
            "expressions": {
                "angry": 0.005, "disgust": 0.0, "fear": 0.0, "happy": 0.97, "neutral": 0.01, "sad": 0.01,
                "surprise": 0.005,
            },
        }
    ],
}  # fmt: skip
_EXAMPLE_MODEL: ModelInfo = {
    "name": "mien",
    "labels": ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"],
    "answers": ["happy", "sad", "neither"],
    "framing": "face",
    "content": "photos",
    "size": 48,
    "channels": 1,
    "sha256": "0" * 64,
    "device": "cpu",
    "mirror": False,
    "explains": True,
}
_EXAMPLE_MODELS: ModelList = {"default": "mien", "models": [_EXAMPLE_MODEL]}

_PROBLEM_SCHEMA = TypeAdapter(ProblemDocument).json_schema()
_BINARY = {"type": "string", "format": "binary"}
_IMAGE_BODY = {"schema": {**_BINARY, "minLength": 1, "contentMediaType": "image/*"}}
_UPLOAD_CODES = (
    "no_file", "bad_multipart", "bad_parameter", "bad_request", "unauthorized", "unknown_model", "slow_request",
    "too_large", "too_many_files", "too_many_pixels", "unsupported_media_type", "busy", "timeout",
)  # fmt: skip


class PngResponse(Response):
    """A PNG."""

    media_type = "image/png"


def describe_routes(limits: Limits) -> dict[str, dict[str, Any]]:
    """Return the arguments of FastAPI's `add_api_route` that describe each route, by operation."""
    return {
        "predict": {
            "summary": "Predict images",
            "response_model": list[Row],
            "openapi_extra": _request(
                PredictParams, {"type": "array", "items": _BINARY, "minItems": 1, "maxItems": limits.files}
            ),
            "responses": {200: _example([EXAMPLE_ROW]), **_problems(*_UPLOAD_CODES)},
        },
        "explain": {
            "summary": "Show the evidence for a label",
            "response_class": PngResponse,
            "openapi_extra": _request(ExplainParams, _BINARY),
            "responses": {
                200: {"content": {"image/png": {"schema": _BINARY}}},
                **_problems(*_UPLOAD_CODES, "unreadable_image"),
            },
        },
        "models": {
            "summary": "List the models",
            "response_model": ModelList,
            "responses": {200: _example(_EXAMPLE_MODELS), **_problems("unauthorized")},
        },
        "config": {
            "summary": "Show whether a key is required, the limits and the notice of the page",
            "response_model": ServerConfig,
            "responses": {
                200: _example({"auth": False, "limits": Limits().to_dict(), "notice": "", "version": "1.0"}),
                **_problems(),
            },
        },
        "healthz": {
            "summary": "Check that the process runs",
            "response_model": Alive,
            "responses": {200: _example({"status": "ok"}), **_problems("busy")},
        },
        "readyz": {
            "summary": "Check that requests are accepted",
            "response_model": Ready,
            "responses": {200: _example({"status": "ready"}), **_problems("busy")},
        },
        "metrics": {
            "summary": "Show metrics for Prometheus",
            "response_class": PlainTextResponse,
            "responses": _problems("unauthorized"),
        },
    }


def complete(described: dict[str, Any]) -> dict[str, Any]:
    """Put the null values of an example back, which FastAPI drops."""
    responses = described["paths"]["/v1/predict"]["post"]["responses"]
    responses["200"]["content"]["application/json"]["example"] = [EXAMPLE_ROW]
    return described


def _request(params: type[PredictParams], file: dict[str, Any]) -> dict[str, Any]:
    """Describe the parameters and the body of a request: a form whose field `file` is as given, or one image."""
    form = {"schema": {"type": "object", "required": ["file"], "properties": {"file": file}}}
    kinds = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
    return {
        "parameters": describe_params(params),
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": form, **dict.fromkeys(kinds, _IMAGE_BODY)},
        },
    }


def _problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of a route: the given codes, and those that every route may answer."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for code in (*codes, "forbidden_host", "forbidden_origin", "shutting_down", "internal_error"):
        status, title = CODES[code]
        answer = by_status.setdefault(
            status, {"description": title, "content": {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA, "examples": {}}}}
        )
        answer["content"][MEDIA_TYPE]["examples"][code] = {"value": document(code, title)}
        if status == 503:
            answer["headers"] = {
                "Retry-After": {"schema": {"type": "string"}, "description": "seconds to wait before trying again"}
            }
    return by_status


def _example(value: object) -> dict[str, Any]:
    return {"content": {"application/json": {"example": value}}}

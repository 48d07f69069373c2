"""Describe every route for the OpenAPI document: parameters, bodies, answers, and each error with an example.

Endpoints and routes are in `app`. The WebSocket is described in docs/http.md, since OpenAPI has no WebSockets.
"""

from typing import Any, Literal

from pydantic import Field

from mien.inference.reader import Faces
from mien.server.models import View
from mien.server.params import Params, describe_params
from mien.server.problems import CODES, MEDIA_TYPE, document

ABOUT = (
    "Reads the expression on faces. Uploaded images stay in memory and are never stored. Every error is a problem "
    "document (RFC 9457) with a stable `code`. Webcam frames go to the WebSocket `/v1/stream`, see docs/http.md."
)


class PredictParams(Params):
    """Parameters of `/v1/predict` and `/v1/stream`; None keeps the setting of the served reader."""

    detect: bool | None = None
    faces: Faces | None = None
    threshold: str | None = Field(
        default=None, description="the probability from which an answer is given, such as sad=0.6"
    )
    model: str | None = None


class ExplainParams(PredictParams):
    """Parameters of `/v1/explain`: those of `/v1/predict`, the label, the method and the view."""

    label: str | None = None
    method: Literal["cam", "occlusion"] | None = None
    view: View = "overlay"


EXAMPLE_ROW: dict[str, Any] = {
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
            "landmarks": [[148.0, 118.0], [188.5, 117.2], [168.1, 141.0], [152.3, 158.8], [186.0, 158.1]],
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

_PROBABILITIES = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}}
_NULLABLE_NUMBER = {"type": ["number", "null"]}
_BOX_SCHEMA = {
    "type": "object",
    "required": ["x", "y", "width", "height"],
    "properties": {name: {"type": "integer"} for name in ("x", "y", "width", "height")},
}
_FACE_SCHEMA = {
    "type": "object",
    "required": ["box", "score", "landmarks", "answer", "probability", "why", "probabilities"],
    "properties": {
        "box": _BOX_SCHEMA,
        "score": _NULLABLE_NUMBER,
        "landmarks": {"type": ["array", "null"], "items": {"type": "array", "items": {"type": "number"}}},
        "answer": {"type": "string"},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "why": {"type": ["string", "null"]},
        "probabilities": _PROBABILITIES,
        "two_way": _PROBABILITIES,
        "expressions": _PROBABILITIES,
    },
}
_ROW_SCHEMA = {
    "type": "object",
    "required": list(EXAMPLE_ROW),
    "properties": {
        "source": {"type": "string"},
        "status": {"enum": ["ok", "no_face", "unreadable"]},
        "reason": {"type": ["string", "null"]},
        "width": {"type": ["integer", "null"]},
        "height": {"type": ["integer", "null"]},
        "model": {"type": "string"},
        "detect": {
            "type": "boolean",
            "description": "whether faces were looked for; if false, `faces` has one entry, the whole image",
        },
        "faces": {"type": "array", "items": _FACE_SCHEMA},
    },
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"enum": list(CODES)},
    },
}
_IMAGE_BODY = {"schema": {"type": "string", "format": "binary", "minLength": 1, "contentMediaType": "image/*"}}
_BINARY = {"type": "string", "format": "binary"}


def _request(params: type[Params], several: bool) -> dict[str, Any]:
    """Describe a request: query parameters, and one image or several."""
    field = {"type": "array", "items": _BINARY, "minItems": 1} if several else _BINARY
    form = {"schema": {"type": "object", "required": ["file"], "properties": {"file": field}}}
    kinds = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
    content = {"multipart/form-data": form, **dict.fromkeys(kinds, _IMAGE_BODY)}
    return {"parameters": describe_params(params), "requestBody": {"required": True, "content": content}}


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


def _json(schema: dict[str, Any], example: object) -> dict[str, Any]:
    return {"description": "Success", "content": {"application/json": {"schema": schema, "example": example}}}


def _status(value: str) -> dict[str, Any]:
    return _json(
        {"type": "object", "required": ["status"], "properties": {"status": {"const": value}}}, {"status": value}
    )


_UPLOAD_CODES = (
    "no_file", "bad_multipart", "bad_parameter", "bad_request", "unauthorized", "unknown_model", "slow_request",
    "too_large", "too_many_files", "too_many_pixels", "unsupported_media_type", "busy", "timeout",
)  # fmt: skip

PREDICT: dict[str, Any] = {
    "summary": "Predict images",
    "operation_id": "predict",
    "openapi_extra": _request(PredictParams, several=True),
    "responses": {200: _json({"type": "array", "items": _ROW_SCHEMA}, [EXAMPLE_ROW]), **_problems(*_UPLOAD_CODES)},
}
EXPLAIN: dict[str, Any] = {
    "summary": "Show the evidence for a label",
    "operation_id": "explain",
    "openapi_extra": _request(ExplainParams, several=False),
    "responses": {
        200: {"description": "Success", "content": {"image/png": {"schema": _BINARY}}},
        **_problems(*_UPLOAD_CODES, "unreadable_image"),
    },
}
_EXAMPLE_MODEL = {
    "name": "mien",
    "labels": ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"],
    "answers": ["happy", "sad", "neither"],
    "framing": "face",
    "content": "photos",
    "size": 48,
    "channels": 1,
    "sha256": "0" * 64,
    "explains": True,
}
MODELS: dict[str, Any] = {
    "summary": "List the models",
    "operation_id": "models",
    "responses": {
        200: _json(
            {"type": "object", "required": ["default", "models"], "properties": {"models": {"type": "array"}}},
            {"default": "mien", "models": [_EXAMPLE_MODEL]},
        ),
        **_problems("unauthorized"),
    },
}
CONFIG: dict[str, Any] = {
    "summary": "Show whether a key is required, and the limits",
    "operation_id": "config",
    "responses": {
        200: _json(
            {"type": "object", "required": ["auth", "limits", "version"]},
            {"auth": False, "limits": {"body_bytes": 33554432, "files": 32}, "version": "1.0"},
        ),
        **_problems(),
    },
}
HEALTH: dict[str, Any] = {
    "summary": "Check that the process runs",
    "operation_id": "healthz",
    "responses": {200: _status("ok"), **_problems()},
}
READY: dict[str, Any] = {
    "summary": "Check that requests are accepted",
    "operation_id": "readyz",
    "responses": {200: _status("ready"), **_problems("busy")},
}
METRICS: dict[str, Any] = {
    "summary": "Show metrics for Prometheus",
    "operation_id": "metrics",
    "responses": {
        200: {"description": "Success", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **_problems("unauthorized"),
    },
}


def complete(document: dict[str, Any], files: int) -> dict[str, Any]:
    """Add what FastAPI cannot write: the null values of the example row, and the largest number of `files`."""
    predict = document["paths"]["/v1/predict"]["post"]
    predict["responses"]["200"]["content"]["application/json"]["example"] = [EXAMPLE_ROW]
    form = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    predict["requestBody"]["content"]["multipart/form-data"] = {"schema": _with_max_items(form, files)}
    return document


def _with_max_items(form: dict[str, Any], files: int) -> dict[str, Any]:
    field = form["properties"]["file"]
    return {**form, "properties": {"file": {**field, "maxItems": files}}}

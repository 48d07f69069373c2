"""What the OpenAPI document says of each route: its bodies, its answers, and every error with an example."""

from typing import Any

from pydantic import BaseModel

from mien.server.params import ExplainQuery, ReadQuery, described
from mien.server.problems import CODES, MEDIA_TYPE, document

ABOUT = (
    "Reads the expression on faces. Pictures are uploaded, read in memory and forgotten. Every error is a problem "
    "document (RFC 9457) with a `code` that does not change. Frames of a camera: the WebSocket `/v1/stream`, see "
    "docs/http.md."
)

ROW: dict[str, Any] = {
    "source": "party.jpg",
    "status": "ok",
    "reason": None,
    "width": 1024,
    "height": 768,
    "model": "mien",
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

_SHARES = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}}
_OPEN_NUMBER = {"type": ["number", "null"]}
_BOX = {
    "type": "object",
    "required": ["x", "y", "width", "height"],
    "properties": {name: {"type": "integer"} for name in ("x", "y", "width", "height")},
}
_FACE = {
    "type": "object",
    "required": ["box", "score", "landmarks", "answer", "probability", "why", "probabilities"],
    "properties": {
        "box": _BOX,
        "score": _OPEN_NUMBER,
        "landmarks": {"type": ["array", "null"], "items": {"type": "array", "items": {"type": "number"}}},
        "answer": {"type": "string"},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "why": {"type": ["string", "null"]},
        "probabilities": _SHARES,
        "two_way": _SHARES,
        "expressions": _SHARES,
    },
}
_ROW = {
    "type": "object",
    "required": list(ROW),
    "properties": {
        "source": {"type": "string"},
        "status": {"enum": ["ok", "no_face", "unreadable"]},
        "reason": {"type": ["string", "null"]},
        "width": {"type": ["integer", "null"]},
        "height": {"type": ["integer", "null"]},
        "model": {"type": "string"},
        "faces": {"type": "array", "items": _FACE},
    },
}
_PROBLEM = {
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
_PICTURE = {"schema": {"type": "string", "format": "binary", "minLength": 1, "contentMediaType": "image/*"}}
_NAMED = {"type": "string", "format": "binary"}


def _takes(query: type[BaseModel], several: bool) -> dict[str, Any]:
    """Say what a request may hold: parameters, and one picture or several."""
    field = {"type": "array", "items": _NAMED, "minItems": 1} if several else _NAMED
    form = {"schema": {"type": "object", "required": ["file"], "properties": {"file": field}}}
    kinds = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
    content = {"multipart/form-data": form, **dict.fromkeys(kinds, _PICTURE)}
    return {"parameters": described(query), "requestBody": {"required": True, "content": content}}


def _problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Say which problems a route answers with, besides those of every route."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for code in (*codes, "forbidden_host", "forbidden_origin", "shutting_down", "internal_error"):
        status, title = CODES[code]
        answer = by_status.setdefault(
            status, {"description": title, "content": {MEDIA_TYPE: {"schema": _PROBLEM, "examples": {}}}}
        )
        answer["content"][MEDIA_TYPE]["examples"][code] = {"value": document(code, title)}
        if status == 503:
            answer["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "seconds to wait"}}
    return by_status


def _json(schema: dict[str, Any], example: object) -> dict[str, Any]:
    return {"description": "Success", "content": {"application/json": {"schema": schema, "example": example}}}


def _status(word: str) -> dict[str, Any]:
    return _json(
        {"type": "object", "required": ["status"], "properties": {"status": {"const": word}}}, {"status": word}
    )


_UPLOAD = (
    "no_file", "bad_multipart", "bad_parameter", "bad_request", "unauthorized", "unknown_model", "slow_request",
    "too_large",    "too_many_files", "too_many_pixels", "unsupported_media_type", "busy", "timeout",
)  # fmt: skip

PREDICT: dict[str, Any] = {
    "summary": "Read pictures",
    "operation_id": "predict",
    "openapi_extra": _takes(ReadQuery, several=True),
    "responses": {200: _json({"type": "array", "items": _ROW}, [ROW]), **_problems(*_UPLOAD)},
}
EXPLAIN: dict[str, Any] = {
    "summary": "Show what speaks for a label",
    "operation_id": "explain",
    "openapi_extra": _takes(ExplainQuery, several=False),
    "responses": {
        200: {"description": "Success", "content": {"image/png": {"schema": _NAMED}}},
        **_problems(*_UPLOAD, "unreadable_image"),
    },
}
_MODEL = {
    "name": "mien",
    "labels": ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"],
    "answers": ["happy", "sad", "neither"],
    "framing": "face",
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
            {"default": "mien", "models": [_MODEL]},
        ),
        **_problems("unauthorized"),
    },
}
CONFIG: dict[str, Any] = {
    "summary": "Whether a key is needed, and the limits",
    "operation_id": "config",
    "responses": {
        200: _json(
            {"type": "object", "required": ["auth", "limits", "version"]},
            {"auth": False, "limits": {"body_bytes": 33554432, "files": 32}, "version": "1.0"},
        ),
        **_problems(),
    },
}
HEALTHY: dict[str, Any] = {
    "summary": "Whether the process lives",
    "operation_id": "healthz",
    "responses": {200: _status("ok"), **_problems()},
}
READY: dict[str, Any] = {
    "summary": "Whether new requests are taken",
    "operation_id": "readyz",
    "responses": {200: _status("ready"), **_problems("busy")},
}
METRICS: dict[str, Any] = {
    "summary": "Figures for Prometheus",
    "operation_id": "metrics",
    "responses": {
        200: {"description": "Success", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **_problems("unauthorized"),
    },
}


def complete(document: dict[str, Any], files: int) -> dict[str, Any]:
    """Mend what FastAPI writes, which leaves out what is null, and say how many `files` a request may hold."""
    predict = document["paths"]["/v1/predict"]["post"]
    predict["responses"]["200"]["content"]["application/json"]["example"] = [ROW]
    form = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    predict["requestBody"]["content"]["multipart/form-data"] = {"schema": _limited(form, files)}
    return document


def _limited(form: dict[str, Any], files: int) -> dict[str, Any]:
    field = form["properties"]["file"]
    return {**form, "properties": {"file": {**field, "maxItems": files}}}

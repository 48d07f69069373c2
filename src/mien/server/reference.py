"""The page `/docs`: every route with its parameters, answers and a command to try it, made from the OpenAPI document.

FastAPI's own pages load scripts from other sites. This one is a single file without any script.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mien.io.templates import templates

_TRY = {
    "/v1/predict": "-F file=@photo.jpg ",
    "/v1/explain": "-F file=@photo.jpg -o evidence.png ",
}


@dataclass(frozen=True)
class _Operation:
    """What the page shows of one route and method; the template is `templates/reference.html`."""

    method: str
    path: str
    summary: str
    command: str
    kinds: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    answers: tuple[tuple[str, str, str], ...]
    example: str


def render_reference(document: Mapping[str, Any], address: str, locked: bool) -> str:
    """Return the page as HTML.

    Args:
        document: the OpenAPI document.
        address: of this server, without a slash at the end, as the reader of the page calls it.
        locked: whether requests need a key.
    """
    curl = "curl -s -H 'Authorization: Bearer KEY' " if locked else "curl -s "
    operations = [
        _operation(path, method.upper(), operation, f"{curl}{_TRY.get(path, '')}{address}{path}")
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    text: str = _template().render(info=document["info"], locked=locked, operations=operations)
    return text


@cache
def _template() -> Any:
    return templates("server").get_template("reference.html")


def _operation(path: str, method: str, operation: Mapping[str, Any], command: str) -> _Operation:
    example = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("example")
    return _Operation(
        method, path, operation["summary"], command,
        kinds=tuple(operation.get("requestBody", {}).get("content", ())),
        parameters=tuple((one["name"], _values(one["schema"])) for one in operation.get("parameters", ())),
        answers=tuple((status, *_answer(answer)) for status, answer in sorted(operation["responses"].items())),
        example="" if example is None else json.dumps(example, indent=2, ensure_ascii=False),
    )  # fmt: skip


def _values(schema: Mapping[str, Any]) -> str:
    """Say which values a parameter takes.

    Examples:
        >>> _values({"anyOf": [{"type": "boolean"}, {"type": "null"}]})
        'boolean'
        >>> _values({"enum": ["overlay", "heat"], "default": "overlay"})
        'overlay or heat; default overlay'
    """
    one = next((kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"), schema)
    values = " or ".join(map(str, one["enum"])) if "enum" in one else str(one.get("type", "text"))
    said = f"{values}: {schema['description']}" if "description" in schema else values
    return f"{said}; default {schema['default']}" if schema.get("default") is not None else said


def _answer(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Return what an answer is, and the codes of its problems."""
    content = answer.get("content", {})
    codes = [code for kind in content.values() for code in kind.get("examples", ())]
    kinds = ", ".join(content) if not codes else ""
    return f"{answer['description']} {f'({kinds})' if kinds else ''}".strip(), ", ".join(codes)

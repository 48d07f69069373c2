"""The page `/docs`: every route with its parameters, answers and a command to try it, made from the OpenAPI document.

FastAPI's own pages load scripts from other sites. This one is a single file without any script.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

#: Code in the description, as Markdown marks it.
_CODE = re.compile(r"`([^`]+)`")

_TRY = {
    "/v1/predict": "-F file=@photo.jpg ",
    "/v1/explain": "-F file=@photo.jpg -o evidence.png ",
}

_FRAME = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>mien: HTTP API</title>
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <link rel="icon" href="page/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="page/base.css">
  <link rel="stylesheet" href="page/reference.css">
</head>
<body>
  <main>
{body}
  </main>
</body>
</html>
"""


def render_reference(document: Mapping[str, Any], address: str, locked: bool) -> str:
    """Return the page as HTML.

    Args:
        document: the OpenAPI document.
        address: of this server, without a slash at the end, as the reader of the page calls it.
        locked: whether requests need a key.
    """
    key = "-H 'Authorization: Bearer KEY' " if locked else ""
    about = _CODE.sub(r"<code>\1</code>", escape(document["info"]["description"]))
    parts = [
        f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>",
        f"<p>{about}</p>",
        '<p><a href=".">Open the page for photos and the webcam</a>. Programs read the same as '
        '<a href="openapi.json">openapi.json</a>.</p>',
    ]
    if locked:
        parts.append("<p>Requests need the API key: write it in place of <code>KEY</code>.</p>")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts += _operation(path, method.upper(), operation, address, key)
    return _FRAME.format(body="\n".join(parts))


def _operation(path: str, method: str, operation: Mapping[str, Any], address: str, key: str) -> Iterator[str]:
    yield f"<h2><code>{method} {escape(path)}</code></h2>"
    yield f"<p>{escape(operation['summary'])}.</p>"
    command = f"curl -s {key}{_TRY.get(path, '')}{address}{path}"
    yield f'<pre tabindex="0">{escape(command)}</pre>'
    if "requestBody" in operation:
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in operation["requestBody"]["content"])
        yield f"<p>The body is one of {kinds}. A form has the image in its field <code>file</code>.</p>"
    if parameters := operation.get("parameters"):
        yield _table(("parameter", "values"), [(one["name"], _values(one["schema"])) for one in parameters])
    rows = [(status, *_answer(answer)) for status, answer in sorted(operation["responses"].items())]
    yield _table(("status", "answer", "codes"), rows)
    example = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("example")
    if example is not None:
        text = escape(json.dumps(example, indent=2, ensure_ascii=False))
        yield f'<details><summary>Example of an answer</summary><pre tabindex="0">{text}</pre></details>'


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the page's policy allows no style in it, as `mien.text.html_table` writes for notebooks."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


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

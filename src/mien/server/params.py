"""Validate the query parameters of the routes. Request bodies are in `uploads`."""

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import QueryParams

from mien.inference.reader import Faces
from mien.server.models import View
from mien.server.problems import Problem

Params = TypeVar("Params", bound=BaseModel)


class PredictParams(BaseModel):
    """Parameters of `/v1/predict` and `/v1/stream`; None keeps the setting of the served reader."""

    model_config = ConfigDict(extra="forbid")
    detect: bool | None = None
    faces: Faces | None = None
    model: str | None = None


class ExplainParams(PredictParams):
    """Parameters of `/v1/explain`: those of `/v1/predict`, the label, the method and the view."""

    label: str | None = None
    method: Literal["cam", "occlusion"] | None = None
    view: View = "overlay"


def parse_params(kind: type[Params], query: QueryParams) -> Params:
    """Return validated query parameters; the last one wins if a name is repeated.

    FastAPI's own validation would double the time that the framework takes for a request.

    Raises:
        Problem: `bad_parameter` for an unknown name or a wrong value.

    Example:
        >>> parse_params(PredictParams, QueryParams("faces=largest")).faces
        'largest'
    """
    try:
        return kind.model_validate(dict(query))
    except ValidationError as error:
        raise Problem("bad_parameter", _summarise(error)) from None


def describe_params(kind: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the parameters as the list that an OpenAPI operation holds."""
    properties = kind.model_json_schema()["properties"]
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]


def _summarise(error: ValidationError) -> str:
    """Name all wrong parameters in one line of at most 500 characters."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{each['loc'][-1] if each['loc'] else 'query'!s:.60}: {each['msg']}" for each in errors)[:500]

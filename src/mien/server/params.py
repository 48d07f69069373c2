"""What stands behind the question mark of an address: parameters of the routes, checked."""

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import QueryParams

from mien.inference.reader import Faces
from mien.server.models import View
from mien.server.problems import Problem

Query = TypeVar("Query", bound=BaseModel)


class ReadQuery(BaseModel):
    """How pictures are read; what is not given is as the server was started."""

    model_config = ConfigDict(extra="forbid")
    detect: bool | None = None
    faces: Faces | None = None
    model: str | None = None


class ExplainQuery(ReadQuery):
    """What is to be explained, and how it is shown."""

    label: str | None = None
    method: Literal["cam", "occlusion"] | None = None
    view: View = "overlay"


def parse(kind: type[Query], given: QueryParams) -> Query:
    """Return the parameters of a request, of one that stands twice the last; Problem where one is wrong.

    FastAPI could do so as well, and takes as long for it as for all else that it does with a request.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        raise Problem("bad_parameter", _faults(error)) from None


def described(kind: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the parameters as an OpenAPI document lists them."""
    properties = kind.model_json_schema()["properties"]
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]


def _faults(error: ValidationError) -> str:
    """Say in one line which parameters are wrong."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{fault['loc'][-1] if fault['loc'] else 'query'!s:.60}: {fault['msg']}" for fault in faults)[:500]

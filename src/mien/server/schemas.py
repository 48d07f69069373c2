"""Declare the query parameters and the JSON answers of every route, and read the parameters.

Routes are in `app`; descriptions, examples and request bodies are in `openapi`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict  # pydantic reads the one of `typing` from Python 3.12

from mien.inference.bundle_config import Content, Framing
from mien.inference.reader_options import Faces
from mien.results import Status
from mien.server.limits import Limits
from mien.server.models import View
from mien.server.problems import CODES, Problem


class PredictParams(BaseModel):
    """Parameters of `/v1/predict` and `/v1/stream`; None keeps the setting of the served reader.

    Unknown names are refused. The last value wins if a name is repeated.

    Examples:
        >>> PredictParams.model_validate({"faces": "largest"}).faces
        'largest'
    """

    model_config = ConfigDict(extra="forbid")

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


Params = TypeVar("Params", bound=PredictParams)


def read_params(kind: type[Params], query: Mapping[str, str]) -> Params:
    """Return the parameters of a request; raise Problem `bad_parameter` if one is unknown or wrong.

    FastAPI does the same for a declared parameter. It looks at each field's annotation again for every request, which
    took a fifth of the event loop's time for crops.

    Examples:
        >>> read_params(PredictParams, {"detect": "false"}).detect
        False
    """
    try:
        return kind.model_validate(dict(query))
    except ValidationError as error:
        raise Problem("bad_parameter", summarise_errors(error.errors(include_url=False))) from None


def describe_params(kind: type[PredictParams]) -> list[dict[str, Any]]:
    """Return parameters as the OpenAPI document lists them."""
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null_default(schema)}
        | {key: schema[key] for key in ("description",) if key in schema}
        for name, schema in kind.model_json_schema()["properties"].items()
    ]


def _without_null_default(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if (key, value) != ("default", None)}


Probability = Annotated[float, Field(ge=0, le=1)]


class BoxRow(TypedDict):
    """A rectangle in pixels of the upright image."""

    x: int
    y: int
    width: int
    height: int


class FaceRow(TypedDict):
    """One face and the answer for it, as `Face.to_dict` gives it."""

    box: BoxRow
    score: float | None
    landmarks: list[tuple[float, float]] | None
    answer: str
    probability: Probability
    why: str | None
    probabilities: dict[str, Probability]
    two_way: NotRequired[dict[str, Probability]]
    expressions: NotRequired[dict[str, Probability]]


class Row(TypedDict):
    """The result for one image, as `ImageResult.to_dict` gives it."""

    source: str
    status: Status
    reason: str | None
    width: int | None
    height: int | None
    model: str
    detect: Annotated[
        bool, Field(description="whether faces were looked for; if false, `faces` has one entry, the whole image")
    ]
    faces: list[FaceRow]


class ModelInfo(TypedDict):
    """A served model: what it reads and what it may answer."""

    name: str
    labels: list[str]
    answers: list[str]
    framing: Framing
    content: Content | None
    size: int
    channels: int
    sha256: str
    device: Annotated[str, Field(description="where the model runs, `cpu` for example")]
    mirror: Annotated[bool, Field(description="whether each crop is averaged with its mirror image")]
    explains: bool


class ModelList(TypedDict):
    """The served models, and the name of the default one."""

    default: str
    models: list[ModelInfo]


class ServerConfig(TypedDict):
    """Whether a key is required, the limits, the notice of the page, and the version."""

    auth: bool
    limits: Limits
    notice: Annotated[
        str | None,
        Field(description="what the page shows before it opens the camera; empty is its own text, null asks nobody"),
    ]
    version: str


class ProblemDocument(TypedDict):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(json_schema_extra={"enum": list(CODES)})]


class Alive(TypedDict):
    """The answer of `/healthz`."""

    status: Literal["ok"]


class Ready(TypedDict):
    """The answer of `/readyz`."""

    status: Literal["ready"]


def summarise_errors(errors: Sequence[Mapping[str, Any]]) -> str:
    """Name all wrong parameters in one line of at most 500 characters.

    Examples:
        >>> summarise_errors([{"loc": ("query", "faces"), "msg": "Input should be 'all' or 'largest'"}])
        "faces: Input should be 'all' or 'largest'"
    """
    return "; ".join(f"{each['loc'][-1] if each['loc'] else 'query'!s:.60}: {each['msg']}" for each in errors)[:500]

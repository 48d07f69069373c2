"""Declare and read what the page of `mien fix` sends."""

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from mien.results import Box
from mien.server.problems import Problem
from mien.server.schemas import summarise_errors

#: Longest body, in bytes: 50 decisions on files with long names.
MAX_BODY = 2**20


class Strict(BaseModel):
    """A part of a request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Square(Strict):
    """A box in pixels of the upright image."""

    x: int
    y: int
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class OneDecision(Strict):
    """What was decided of one image: `label` belongs to `relabel`, `box` is the chosen one of several faces."""

    name: str
    sha256: str
    decision: Literal["keep", "relabel", "leave-out"]
    label: str | None = None
    box: Square | None = None

    @property
    def face(self) -> Box | None:
        """The chosen face."""
        return None if self.box is None else Box(self.box.x, self.box.y, self.box.width, self.box.height)


class Numbered(Strict):
    """A request that changes something. One that is sent again has the same id."""

    id: str = Field(min_length=8, max_length=64)


class Decisions(Numbered):
    """The body of `/v1/fix/decisions`; `odd` names those that were marked in a grid, if they are of one."""

    decisions: list[OneDecision] = Field(min_length=1, max_length=200)
    odd: list[str] | None = Field(default=None, max_length=200)


class Code(Strict):
    """The body of `/page/handover`."""

    code: str = Field(max_length=64)


class PutOff(Numbered):
    """The body of `/v1/fix/later`."""

    name: str


class TrainingAction(Numbered):
    """The body of `/v1/fix/training`."""

    action: Literal["start", "stop"]
    compare: bool = True


Body = TypeVar("Body", bound=Strict)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Return the JSON body of a request; raise Problem if it is too long or not as declared."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise Problem("too_large", f"the body has more than {MAX_BODY} bytes")
    try:
        return kind.model_validate_json(bytes(data))
    except ValidationError as error:
        raise Problem("bad_parameter", summarise_errors(error.errors(include_url=False))) from None

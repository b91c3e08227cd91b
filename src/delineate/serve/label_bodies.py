"""The bodies of requests about labels are JSON, and each mistake in one is a line."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError
from starlette.requests import Request

from delineate.label.documents import EDITS
from delineate.label.marks import first_line
from delineate.values import InputError


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Edits(_Body):
    """Edits are made on the version of a picture that a client saw."""

    version: int = Field(ge=0)
    client: str = Field(min_length=1, max_length=80)
    edits: list[dict[str, Any]]


class Propose(_Body):
    """A model marks a picture."""

    model: str
    min_score: float | None = Field(None, ge=0, le=1)


class Prompt(_Body):
    """A rough box or a click becomes an object."""

    model: str | None = None
    label: str | None = None
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    point: tuple[FiniteFloat, FiniteFloat] | None = None


class Minutes(_Body):
    """A training takes so many minutes, or as many as the server was told."""

    minutes: float | None = Field(None, gt=0, le=7 * 24 * 60)


class NewClass(_Body):
    """A class is added."""

    name: str


class Empty(_Body):
    """Nothing is said."""


def body_schemas() -> dict[str, Any]:
    """Describe the bodies, and what they are made of, by the names that `openapi_labels.yaml` has for them."""
    kinds: list[TypeAdapter[Any]] = [TypeAdapter(kind) for kind in (Edits, Propose, Prompt, Minutes, NewClass, Empty)]
    made, found = TypeAdapter.json_schemas(
        [(number, "validation", kind) for number, kind in enumerate((EDITS, *kinds))],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = found["$defs"]
    schemas["Edits"]["properties"]["edits"] = made[0, "validation"]
    return schemas


async def read_body(request: Request, kind: type[Any]) -> Any:
    """Read the JSON of a request; raises `InputError` naming the field."""
    body = await request.body() or b"{}"
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise InputError(first_line(error)) from None

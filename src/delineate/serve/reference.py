"""What can be asked of the server is one OpenAPI document, which is read by programs, and shown as a page."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
import yaml
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import delineate
from delineate.serve.models import ServedModels

DOCUMENT = Path(__file__).with_name("openapi.yaml")
OF_LABELS = Path(__file__).with_name("openapi_labels.yaml")
TEMPLATE = Path(__file__).with_name("reference.html.j2")
STYLE = Path(__file__).with_name("reference.css")


def openapi_document(models: ServedModels, *, has_labels: bool = False) -> dict[str, Any]:
    """Read the OpenAPI document, with the names of the models that are served now, and what is asked of labels."""
    document = _read(DOCUMENT)
    document["info"]["version"] = delineate.__version__
    for path in document["paths"].values():
        for parameter in path.get("parameters", ()):
            parameter["schema"] = (
                {"type": "string", "enum": list(models.names())} if models.names() else {"type": "string"}
            )
    if has_labels:
        from delineate.serve.label_bodies import body_schemas

        labels = _read(OF_LABELS)
        document["paths"] |= labels["paths"]
        document["components"]["schemas"] |= labels["components"]["schemas"] | body_schemas()
    return document


def _read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


def reference_routes(models: ServedModels, *, has_labels: bool = False) -> list[Route]:
    """Make the routes of the document and its page, which loads nothing but its style, from here."""
    made = partial(openapi_document, models, has_labels=has_labels)

    async def openapi(request: Request) -> Response:
        return JSONResponse(made())

    async def docs(request: Request) -> Response:
        return HTMLResponse(_template().render(document=made(), named=_named))

    async def style(request: Request) -> Response:
        return FileResponse(STYLE)

    return [Route("/openapi.json", openapi), Route("/docs", docs), Route("/docs.css", style)]


def _named(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference inside the document."""
    if "$ref" not in value:
        return value
    for key in value["$ref"].removeprefix("#/").split("/"):
        document = document[key]
    return document


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))

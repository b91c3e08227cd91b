"""What can be asked of the server is one OpenAPI document, which is read by programs, and shown as a page."""

from functools import cache
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
TEMPLATE = Path(__file__).with_name("reference.html.j2")
STYLE = Path(__file__).with_name("reference.css")


def openapi_document(models: ServedModels) -> dict[str, Any]:
    """Read the OpenAPI document, with the names of the models that are served now."""
    document: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    document["info"]["version"] = delineate.__version__
    for path in document["paths"].values():
        for parameter in path.get("parameters", ()):
            parameter["schema"] = (
                {"type": "string", "enum": list(models.names())} if models.names() else {"type": "string"}
            )
    return document


def reference_routes(models: ServedModels) -> list[Route]:
    """Make the routes of the document and its page, which loads nothing but its style, from here."""

    async def openapi(request: Request) -> Response:
        return JSONResponse(openapi_document(models))

    async def docs(request: Request) -> Response:
        return HTMLResponse(_template().render(document=openapi_document(models), named=_named))

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

"""The labels of a folder are served under `/api`: pictures, what is marked in them, the queue, training, events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from delineate.label import Conflict, Labels, Models, Picture
from delineate.label.events import Event
from delineate.label.marks import first_line
from delineate.serve.label_images import picture_response
from delineate.serve.limits import Refused
from delineate.values import InputError

MOST_LISTED = 1000
BEAT = 15.0
"""Seconds of silence after which those who listen are sent a comment, so that no proxy takes them for gone."""

Answer = Coroutine[Any, Any, Response]


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


class Empty(_Body):
    """Nothing is said."""


def label_routes(labels: Labels, models: Models | None = None) -> list[Route]:
    """Make the routes of a folder's labels; `models` are those of the labels, and need not be named again.

    What is wrong with a request is raised as `InputError` or `Refused`. Work is done in threads; events end when
    `request.app.state.stopping` is set, or the labels are closed.
    """
    assert models is None or models is labels.models
    get: Mapping[str, Callable[[Labels, Request], Answer]] = {
        "/api/session": _session,
        "/api/pictures": _pictures,
        "/api/pictures/{id:int}": _document,
        "/api/pictures/{id:int}/image": _image,
        "/api/pictures/{id:int}/label_map": _label_map,
        "/api/events": _events,
        "/api/training": _training,
        "/api/export": _export,
    }
    post: Mapping[str, Callable[[Labels, Request], Answer]] = {
        "/api/pictures/{id:int}/edits": _edit,
        "/api/pictures/{id:int}/propose": _propose,
        "/api/pictures/{id:int}/prompt": _prompt,
        "/api/training": _begin,
        "/api/training/accept": _accept,
    }
    return [
        *(_route(path, endpoint, labels, "GET") for path, endpoint in get.items()),
        *(_route(path, endpoint, labels, "POST") for path, endpoint in post.items()),
        _route("/api/training", _stop, labels, "DELETE"),
    ]


def _route(path: str, endpoint: Callable[[Labels, Request], Answer], labels: Labels, method: str) -> Route:
    async def answered(request: Request) -> Response:
        return await endpoint(labels, request)

    answered.__name__ = f"label{endpoint.__name__}"
    return Route(path, answered, methods=[method])


async def _session(labels: Labels, request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(labels.session))


async def _pictures(labels: Labels, request: Request) -> Response:
    query = request.query_params
    offset, limit = (_whole(query.get(name, default), name) for name, default in (("offset", "0"), ("limit", "200")))
    page = partial(labels.pictures, query.get("order", "teaches"), offset, min(limit, MOST_LISTED))
    return JSONResponse(await run_in_threadpool(page))


async def _document(labels: Labels, request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(labels.document, _picture(labels, request)))


async def _image(labels: Labels, request: Request) -> Response:
    picture, asked = _picture(labels, request), request.query_params.get("side")
    side = None if asked is None else _whole(asked, "side")
    return await run_in_threadpool(picture_response, picture.file, side, request.headers.get("if-none-match"))


async def _label_map(labels: Labels, request: Request) -> Response:
    if not labels.collection.has_maps:
        raise Refused(404, f"the task {labels.collection.task.name} has no label maps")
    return Response(await run_in_threadpool(labels.label_map, _picture(labels, request)), media_type="image/png")


async def _edit(labels: Labels, request: Request) -> Response:
    picture, body = _picture(labels, request), await _read(request, Edits)
    try:
        version = await run_in_threadpool(labels.edit, picture, body.version, body.client, body.edits)
    except Conflict as conflict:
        newest = await run_in_threadpool(labels.document, picture)
        return JSONResponse({"error": str(conflict), "document": newest}, 409)
    return JSONResponse({"version": version})


async def _propose(labels: Labels, request: Request) -> Response:
    picture, body = _picture(labels, request), await _read(request, Propose)
    return await _of_model(partial(labels.propose, picture, body.model, body.min_score))


async def _prompt(labels: Labels, request: Request) -> Response:
    picture, body = _picture(labels, request), await _read(request, Prompt)
    asked = partial(labels.prompt, picture, body.model, box=body.box, point=body.point, label=body.label)
    return await _of_model(asked)


async def _training(labels: Labels, request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(lambda: labels.training.status.record()))


async def _begin(labels: Labels, request: Request) -> Response:
    body = await _read(request, Minutes)
    if labels.training.running:
        raise Refused(409, "a training goes on already; stop it, or wait for it")
    status = await run_in_threadpool(labels.begin_training, body.minutes)
    return JSONResponse(status.record(), 202)


async def _stop(labels: Labels, request: Request) -> Response:
    await run_in_threadpool(labels.training.stop)
    return JSONResponse(labels.training.status.record())


async def _accept(labels: Labels, request: Request) -> Response:
    await _read(request, Empty)
    if labels.training.status.state != "done":
        raise Refused(409, "there is no training that is done")
    return JSONResponse({"model": await run_in_threadpool(labels.accept)})


async def _export(labels: Labels, request: Request) -> Response:
    """Send the corrections as a file: COCO's JSON, or a ZIP of label maps."""
    name = labels.collection.root.resolve().name
    if labels.collection.has_maps:
        content, kind, end = await run_in_threadpool(labels.export_maps), "application/zip", "zip"
    else:
        document = await run_in_threadpool(labels.export)
        content, kind, end = json.dumps(document).encode(), "application/json", "json"
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe or "labels"}.{end}"'}
    return Response(content, headers=headers, media_type=kind)


async def _events(labels: Labels, request: Request) -> Response:
    """Send what happens as it happens, until the server ends."""
    return StreamingResponse(
        _heard(labels, request.app.state), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _heard(labels: Labels, state: Any) -> AsyncIterator[str]:
    loop, events = asyncio.get_running_loop(), asyncio.Queue[Event | None]()

    def hear(event: Event | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(events.put_nowait, event)

    leave = labels.events.listen(hear)
    stopping = getattr(state, "stopping", None)
    ends = None if stopping is None else asyncio.ensure_future(stopping.wait())
    if ends is not None:
        ends.add_done_callback(lambda done: None if done.cancelled() else events.put_nowait(None))
    try:
        yield ": hello\n\n"
        while True:
            try:
                event = await asyncio.wait_for(events.get(), BEAT)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            if event is None:
                return
            yield f"data: {json.dumps(event)}\n\n"
    finally:
        leave()
        if ends is not None:
            ends.cancel()


async def _of_model(asked: Callable[[], dict[str, Any]]) -> Response:
    try:
        return JSONResponse(await run_in_threadpool(asked))
    except LookupError:
        raise Refused(404, "model: there is none of this name") from None


async def _read(request: Request, kind: type[Any]) -> Any:
    """Read the JSON of a request; raises `InputError` naming the field."""
    body = await request.body() or b"{}"
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise InputError(first_line(error)) from None


def _picture(labels: Labels, request: Request) -> Picture:
    try:
        return labels.collection.find(request.path_params["id"])
    except LookupError:
        raise Refused(404, "there is no picture of this number") from None


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InputError(f"{name}: '{text[:20]}' is no whole number from 0 on")
    return int(text)

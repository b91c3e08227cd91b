"""The labels of a folder are served under `/api`: pictures, what is marked in them, the queue, training, events."""

import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from delineate.label import Conflict, Labels, Models, Picture
from delineate.serve.label_bodies import Edits, Empty, Minutes, NewClass, Prompt, Propose, read_body
from delineate.serve.label_events import heard
from delineate.serve.label_images import picture_response
from delineate.serve.limits import Refused
from delineate.values import InputError

MOST_LISTED = 1000
MOST_DIGITS = 20
"""The number of a picture has no more."""
MOST_ASKED = 8
"""So many at once may ask models to mark pictures of a folder; one is answered after the other."""

Answer = Coroutine[Any, Any, Response]


def label_routes(labels: Labels, models: Models | None = None) -> list[Route]:
    """Make the routes of a folder's labels; `models` are those of the labels, and need not be named again.

    What is wrong with a request is raised as `InputError` or `Refused`. Work is done in threads; events end when
    `request.app.state.stopping` is set, or the labels are closed.
    """
    assert models is None or models is labels.models
    get: Mapping[str, Callable[[Labels, Request], Answer]] = {
        "/api/session": _session,
        "/api/pictures": _pictures,
        "/api/pictures/{id}": _document,
        "/api/pictures/{id}/image": _image,
        "/api/pictures/{id}/label_map": _label_map,
        "/api/events": _events,
        "/api/training": _training,
        "/api/export": _export,
    }
    post: Mapping[str, Callable[[Labels, Request], Answer]] = {
        "/api/classes": _add_class,
        "/api/pictures/{id}/edits": _edit,
        "/api/pictures/{id}/propose": _propose,
        "/api/pictures/{id}/prompt": _prompt,
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


async def _add_class(labels: Labels, request: Request) -> Response:
    body = await read_body(request, NewClass)
    with _kept():
        return JSONResponse({"classes": await run_in_threadpool(labels.add_class, body.name)})


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
    picture, body = _picture(labels, request), await read_body(request, Edits)
    try:
        with _kept():
            version = await run_in_threadpool(labels.edit, picture, body.version, body.client, body.edits)
    except Conflict as conflict:
        newest = await run_in_threadpool(labels.document, picture)
        return JSONResponse({"error": str(conflict), "document": newest}, 409)
    return JSONResponse({"version": version})


async def _propose(labels: Labels, request: Request) -> Response:
    picture, body = _picture(labels, request), await read_body(request, Propose)
    return await _of_model(request, partial(labels.propose, picture, body.model, body.min_score))


async def _prompt(labels: Labels, request: Request) -> Response:
    picture, body = _picture(labels, request), await read_body(request, Prompt)
    asked = partial(labels.prompt, picture, body.model, box=body.box, point=body.point, label=body.label)
    return await _of_model(request, asked)


async def _training(labels: Labels, request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(lambda: labels.training.status.record()))


async def _begin(labels: Labels, request: Request) -> Response:
    body = await read_body(request, Minutes)
    if labels.training.running:
        raise Refused(409, "a training goes on already; stop it, or wait for it")
    status = await run_in_threadpool(labels.begin_training, body.minutes)
    return JSONResponse(status.record(), 202)


async def _stop(labels: Labels, request: Request) -> Response:
    await run_in_threadpool(labels.training.stop)
    return JSONResponse(labels.training.status.record())


async def _accept(labels: Labels, request: Request) -> Response:
    await read_body(request, Empty)
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
        heard(labels, request.app.state), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


@contextmanager
def _kept() -> Iterator[None]:
    """Say what the disk says where a change cannot be written into the journal; raises `Refused` (507)."""
    try:
        yield
    except OSError as error:
        raise Refused(507, f"journal: {error.strerror}; nothing of the change is kept") from error


async def _of_model(request: Request, asked: Callable[[], dict[str, Any]]) -> Response:
    state = request.app.state
    waiting: int = getattr(state, "asked_of_models", 0)
    if waiting >= MOST_ASKED:
        raise Refused(503, f"{waiting} wait already for what models find; try again", {"Retry-After": "1"})
    state.asked_of_models = waiting + 1
    try:
        return JSONResponse(await run_in_threadpool(asked))
    except LookupError:
        raise Refused(404, "model: there is none of this name") from None
    finally:
        state.asked_of_models -= 1


def _picture(labels: Labels, request: Request) -> Picture:
    text = request.path_params["id"]
    try:
        return labels.collection.find(int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else -1)
    except LookupError:
        raise Refused(404, "there is no picture of this number") from None


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InputError(f"{name}: '{text[:20]}' is no whole number from 0 on")
    return int(text)

"""Models answer at the addresses of KServe's open inference protocol (version 2), and predict from pictures' bytes."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import delineate
from delineate.serve.answers import body_of, part_of
from delineate.serve.describing import model_facts
from delineate.serve.limits import Limits, Refused
from delineate.serve.metrics import FOLDER
from delineate.serve.models import ServedModels
from delineate.serve.options import read_options
from delineate.serve.predicting import Upload, predict_all
from delineate.values import InputError

Made = TypeVar("Made")
FIELD = "pictures"
MULTIPART = "multipart/form-data"
BINARY = ("application/octet-stream", "image/")


def model_routes(models: ServedModels) -> list[Route]:
    """Make the routes of models; `request.app.state.stopping` is an event that is set when the server ends."""
    with_models = {
        "/v2/models": ("GET", _list_models),
        "/v2/models/{name}": ("GET", _describe),
        "/v2/models/{name}/ready": ("GET", _model_ready),
        "/v2/models/{name}/predict": ("POST", _predict),
        "/v2/models/{name}/reload": ("POST", _reload),
        "/metrics": ("GET", _metrics),
    }
    return [
        Route("/v2", _server),
        Route("/v2/health/live", _live),
        Route("/v2/health/ready", _ready),
        *(Route(path, _bound(endpoint, models), methods=[method]) for path, (method, endpoint) in with_models.items()),
    ]


def _bound(endpoint: Any, models: ServedModels) -> Any:
    """Give an endpoint its models, and keep its name, by which it is counted."""

    async def bound(request: Request) -> Response:
        answer: Response = await endpoint(models, request)
        return answer

    bound.__name__ = endpoint.__name__.strip("_")
    return bound


async def _server(request: Request) -> Response:
    return JSONResponse({"name": "delineate", "version": delineate.__version__, "extensions": []})


async def _live(request: Request) -> Response:
    return JSONResponse({"live": True})


async def _ready(request: Request) -> Response:
    if request.app.state.stopping.is_set():
        raise Refused(503, "the server ends")
    return JSONResponse({"ready": True})


async def _list_models(models: ServedModels, request: Request) -> Response:
    return JSONResponse({"models": [{"name": name} for name in models.names()]})


async def _describe(models: ServedModels, request: Request) -> Response:
    model = models[request.path_params["name"]]
    return JSONResponse(model_facts(model.name, model.loaded))


async def _model_ready(models: ServedModels, request: Request) -> Response:
    return JSONResponse({"name": models[request.path_params["name"]].name, "ready": True})


async def _reload(models: ServedModels, request: Request) -> Response:
    """Load a run again; of several processes, each takes its turn, which the one that started them sees to."""
    model = models[request.path_params["name"]]
    if FOLDER in os.environ and multiprocessing.parent_process() is not None:
        os.kill(os.getppid(), signal.SIGHUP)
        return JSONResponse({"name": model.name, "version": None}, 202)
    if models.is_loading:
        raise Refused(503, f"{model.name}: a run is being loaded already; try again", {"Retry-After": "1"})
    version = await run_in_threadpool(models.reload, model.name)
    return JSONResponse({"name": model.name, "version": version})


async def _metrics(models: ServedModels, request: Request) -> Response:
    return Response(models.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _predict(models: ServedModels, request: Request) -> Response:
    """Find what is in the picture that is the body, or in several as the form field `pictures`."""
    model = models[request.path_params["name"]]
    loaded, limits = model.loaded, models.limits
    options = read_options(request.query_params.multi_items(), loaded)
    kind = _content_type(request)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(limits.seconds))
        stack.enter_context(model.admitted(1))  # before its body is read
        uploads = (
            await _several(request, limits) if kind == MULTIPART else [Upload("", "picture", await request.body())]
        )
        stack.enter_context(model.admitted(len(uploads) - 1))
        if options.overlay and len(uploads) > 1:
            raise InputError("overlay: one picture is drawn; send one")
        make = partial(part_of, categories=loaded.system.categories, options=options)
        parts = await _unless_gone(request, predict_all(models, model.name, loaded, uploads, options, make))
        body = await run_in_threadpool(body_of, parts, loaded.system, options, alone=kind != MULTIPART)
    return Response(body.data, media_type=body.media_type, headers={"model-version": loaded.version})


def _content_type(request: Request) -> str:
    """Give the type of a body; raises `Refused` (415) for one that holds no pictures as they are."""
    kind = request.headers.get("content-type", BINARY[0]).partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused(415, "content-encoding: send the picture as it is")
    if kind != MULTIPART and not kind.startswith(BINARY):
        raise Refused(415, f"content-type: send a picture's bytes as image/jpeg or the like, or several as {MULTIPART}")
    return kind


async def _several(request: Request, limits: Limits) -> Sequence[Upload]:
    """Read the files of a form: what they are called is text for the answer, and never a path."""
    async with request.form(max_files=limits.num_pictures, max_fields=0, max_part_size=1) as form:
        files = form.multi_items()
        if other := [name for name, value in files if name != FIELD or not isinstance(value, UploadFile)]:
            raise InputError(f"{other[0][:40]!r}: it is no file called '{FIELD}', which is all that a form has here")
        if not files:
            raise InputError(f"{FIELD}: the form has no file; send one or more in fields of this name")
        uploads = []
        for number, (_, file) in enumerate(files, start=1):
            assert isinstance(file, UploadFile)
            uploads.append(Upload((file.filename or "")[:200], f"picture {number}", await file.read()))
        return uploads


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Made]) -> Made:
    """Await work, which is dropped when nobody waits for its answer any more."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

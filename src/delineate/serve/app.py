"""The application is all that is served: models, the labels of a folder, the page, and what is said about them."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from delineate.serve.answering import Answering, logger, response_to
from delineate.serve.guards import Guards
from delineate.serve.models import ServedModels
from delineate.serve.reference import reference_routes
from delineate.serve.routes import model_routes
from delineate.values import InputError

if TYPE_CHECKING:
    from delineate.label import Labels

PAGE = Path(__file__).with_name("page")


def make_app(
    models: ServedModels,
    labels: "Labels | None" = None,
    *,
    token: str | None = None,
    hosts: Iterable[str] = (),
) -> Starlette:
    """Make the application that serves models, and the labels of a folder where there are some.

    What it takes is bounded by `models.limits`. With a `token`, all but the health is answered to those alone who send
    it. It answers to addresses, `localhost`, the machine's own name and `hosts`. Its `state.stopping` is an
    `asyncio.Event`, set when the server is told to end. What goes on behind the labels begins with it, and ends, as the
    models do, when all that was asked is answered.
    """
    routes = [*model_routes(models), *_label_routes(models, labels)]
    routes += reference_routes(models, has_labels=labels is not None)
    app = Starlette(
        routes=[*routes, _Page(routes)],
        middleware=[
            Middleware(Answering, limits=models.limits, metrics=models.metrics),
            Middleware(Guards, limits=models.limits, token=token, hosts=tuple(hosts)),
        ],
        exception_handlers={HTTPException: _refuse},
        lifespan=partial(_lifespan, models=models, labels=labels),
    )
    app.state.stopping = asyncio.Event()
    return app


def _label_routes(models: ServedModels, labels: "Labels | None") -> list[BaseRoute]:
    if labels is None:
        return []
    from delineate.serve.label_routes import label_routes

    return list(label_routes(labels, models))


class _Page(Mount):
    """The page is at all addresses that are nobody else's, whatever the method."""

    def __init__(self, others: Sequence[BaseRoute]) -> None:
        super().__init__("/", StaticFiles(directory=PAGE, html=True), name="page")
        self._others = others

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if any(route.matches(scope)[0] is Match.PARTIAL for route in self._others):
            return Match.NONE, {}
        return super().matches(scope)


async def _refuse(request: Request, error: Exception) -> Response:
    return response_to(error)


@asynccontextmanager
async def _lifespan(app: Starlette, models: ServedModels, labels: "Labels | None") -> AsyncIterator[None]:
    """Listen to signals while the application lives, and in the end finish what was asked of its models."""
    if threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()
        reload = partial(_reload_all, models)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, reload))
        for kind in (signal.SIGTERM, signal.SIGINT):
            _before(kind, lambda: loop.call_soon_threadsafe(app.state.stopping.set))
    if labels is not None:
        labels.start()
    yield
    app.state.stopping.set()
    if labels is not None:
        await run_in_threadpool(labels.close)
    await run_in_threadpool(models.close)


def _before(kind: signal.Signals, work: Any) -> None:
    """Do some work at a signal before what was to be done."""
    usual = signal.getsignal(kind)

    def both(number: int, frame: Any) -> None:
        work()
        if callable(usual):
            usual(number, frame)

    signal.signal(kind, both)


def _reload_all(models: ServedModels) -> None:
    """Load all runs again; one that cannot be read any more is said, and served as it was."""
    for name in models.names():
        try:
            logger.info("%s: loaded again, version %s", name, models.reload(name))
        except (InputError, OSError) as error:
            logger.error("%s: not loaded again: %s", name, error)

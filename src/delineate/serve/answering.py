"""Every answer has the same headers, a line in the log and a place in the metrics; a mistake is one line of JSON."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import get_name
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from delineate.serve.limits import Limits, Refused
from delineate.serve.metrics import Metrics
from delineate.values import InputError

logger = logging.getLogger("delineate.serve")

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
GONE = 499
"""Nobody waits for an answer any more; it is only counted."""
SLOW = 408
"""The body does not come, and is not waited for any more."""
DRAINED = 8
"""So many times what is taken of a body is read of one that is refused, so that its sender reads the answer."""
REASONS = {404: "there is nothing at this address", 405: "this address does not take this method"}


class Answering:
    """An application's answers are looked after, and what it raises becomes one."""

    def __init__(self, app: ASGIApp, *, limits: Limits, metrics: Metrics) -> None:
        self.app, self._limits, self._metrics = app, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, read = time.perf_counter(), 0, _Reading(receive)

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if status >= 400 and status != SLOW:
                    await read.drained(DRAINED * self._limits.num_bytes, self._limits.seconds)
            await send(message)

        try:
            try:
                await self.app(scope, read, answered)
            except Exception as error:
                if status:
                    raise
                if not isinstance(error, ClientDisconnect):
                    await response_to(error)(scope, read, answered)
        finally:
            self._said(scope, status or GONE, time.perf_counter() - began)

    def _said(self, scope: Scope, status: int, seconds: float) -> None:
        """Count an answer, and write a line about it: neither the query, which may hold a token, nor any content."""
        route = get_name(scope["endpoint"]) if "endpoint" in scope else "none"
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.requests.labels(route, method, status).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        client = (scope.get("client") or ("-",))[0]
        logger.info("%s %s %s %d %.0f ms", client, scope["method"], quote(scope["path"][:200]), status, seconds * 1e3)


class _Reading:
    """The body of a request is read, and what is left of it can be thrown away."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._ended = receive, False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._ended = self._ended or message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drained(self, most: int, seconds: float) -> None:
        """Read on to the end, `most` bytes, or so many `seconds`: a sender who is cut off sees no answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._ended and most > 0:
                    most -= len((await self()).get("body", b""))


def response_to(error: Exception) -> Response:
    """Make the answer to what was raised: a status, and one line."""
    if isinstance(error, Refused):
        return refusal(error.status, str(error), error.headers)
    if isinstance(error, InputError):
        return refusal(400, str(error))
    if isinstance(error, TimeoutError):
        return refusal(504, "it took longer than a request may; send fewer or smaller pictures")
    if isinstance(error, HTTPException):
        return refusal(error.status_code, REASONS.get(error.status_code, error.detail), error.headers or {})
    logger.error("%s", error.__class__.__name__, exc_info=error)
    return refusal(500, f"the server failed ({error.__class__.__name__}); its log says where")


def refusal(status: int, line: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Answer by a status and one line."""
    return JSONResponse({"error": " ".join(line.split())}, status, headers)

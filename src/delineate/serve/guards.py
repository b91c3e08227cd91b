"""Nobody gets in where they do not belong: hosts, origins, tokens and bodies are looked at before any route.

A page of another site can make a browser send requests here, and by a name of its own that leads to this machine (DNS
rebinding) read the answers. So a `Host` is an address, `localhost` or a name that was allowed, and what changes or
computes anything comes from our own pages or from no page at all.
"""

import asyncio
import hmac
import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from delineate.serve.answering import SLOW
from delineate.serve.limits import Limits, Refused

COOKIE = "delineate_token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = ("/v2/health/live", "/v2/health/ready")
"""Who watches whether a server lives need not know its token."""
PORT = re.compile(r":\d{1,5}$")


class Guards:
    """An application answers only what these guards let through; they raise `Refused`."""

    def __init__(self, app: ASGIApp, *, limits: Limits, token: str | None, hosts: Iterable[str]) -> None:
        self.app, self._limits, self._token = app, limits, token
        self._hosts = frozenset(host.lower() for host in (*hosts, "localhost", socket.gethostname()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        self._check_host(headers)
        if scope["method"] not in SAFE:
            _check_origin(headers)
        if self._token is not None and scope["path"] not in OPEN:
            if (asked := self._asked(scope)) is not None:
                if not self._is_token(asked):
                    raise Refused(401, "token: it is another one; the line that the server printed has it")
                await _welcome(scope, asked)(scope, receive, send)
                return
            self._check_token(headers)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.num_bytes:
            raise self._too_large()
        await self.app(scope, self._counted(receive), send)

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(PORT.sub("", hosts[0]).strip("[]").lower()):
            raise Refused(403, "host: this server has no such name; start it with --allow-host for each that it has")

    def _is_ours(self, host: str) -> bool:
        if host in self._hosts:
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True

    def _asked(self, scope: Scope) -> str | None:
        """Give the token in the address of the page, where there is one."""
        if scope["path"] != "/" or scope["method"] != "GET":
            return None
        tokens = parse_qs(scope["query_string"].decode("latin-1")).get("token", ())
        return next(iter(tokens), None)

    def _check_token(self, headers: Headers) -> None:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        given = bearer.strip() if kind.lower() == "bearer" else cookie
        if not self._is_token(given):
            raise Refused(
                401,
                "token: send it as 'Authorization: Bearer TOKEN', or open the address that the server printed",
                {"WWW-Authenticate": "Bearer"},
            )

    def _is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def _counted(self, receive: Receive) -> Receive:
        taken, has_more = 0, True
        end = asyncio.get_running_loop().time() + self._limits.seconds

        async def counted() -> Message:
            nonlocal taken, has_more
            try:
                async with asyncio.timeout_at(end if has_more else None):
                    message = await receive()
            except TimeoutError:
                raise Refused(SLOW, f"body: it did not come in {self._limits.seconds:g} seconds") from None
            taken += len(message.get("body", b""))
            has_more = bool(message.get("more_body", False))
            if taken > self._limits.num_bytes:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> Refused:
        return Refused(413, f"body: {self._limits.num_bytes} bytes at most are taken; send fewer or smaller pictures")


def _check_origin(headers: Headers) -> None:
    """Refuse what a page of another site sends: browsers say so by one of two headers."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers["host"].lower():
        raise Refused(403, "origin: pages of other sites may not send anything here")
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Refused(403, "sec-fetch-site: pages of other sites may not send anything here")


def _welcome(scope: Scope, token: str) -> RedirectResponse:
    """Put the token of an address into a cookie, and go on without it in the address."""
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=scope.get("scheme") == "https")
    return response

"""A server is one process, or several under one that starts those anew that die."""

import ipaddress
import logging
import os
import secrets
import socket
from collections.abc import Callable
from tempfile import TemporaryDirectory

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from delineate.serve.metrics import FOLDER
from delineate.values import InputError

LOADING = 120
"""Seconds in which a new process is ready to serve, and any process answers the one above it."""
CONNECTIONS = 1024
"""So many are open at once; who comes then is answered by 503."""


def run_server(
    make: Callable[[], Starlette],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    processes: int = 1,
    seconds: float = 60.0,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the application that `make` makes until SIGTERM or SIGINT, which let it finish what it took.

    With port 0 a free one is found; `announce` is given the address. With several `processes`, each has an application
    of its own, so that `make` can be pickled; one that dies is started anew, and SIGHUP starts all anew in turn. What
    is in work when the server is told to end has `seconds` to finish. Raises `InputError` where the port is taken.
    """
    log_to_stderr()
    with _bound(host, port) as listening:
        name, port = listening.getsockname()[:2]
        address = f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
        if processes == 1:
            app = make()
            announce(address)
            uvicorn.Server(_config(lambda: app, seconds, 1)).run([listening])
            return
        with TemporaryDirectory(prefix="delineate-metrics-") as folder:
            os.environ[FOLDER] = folder
            try:
                announce(address)
                _Supervisor(_config(make, seconds, processes), [listening]).run()
            finally:
                del os.environ[FOLDER]


def log_to_stderr() -> None:
    """Write what the server and its processes say to stderr, a line each; every process does it for itself."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


def token_for(host: str, token: str | None) -> str | None:
    """Give the token that clients need: the one given, or a new one where others than this machine reach the host.

    Raises `InputError` for one that is too short to keep anybody out, or cannot stand in a header.
    """
    if token is None:
        return None if is_loopback(host) else secrets.token_urlsafe(24)
    if len(token) < 16 or not all(letter.isalnum() or letter in "-._~" for letter in token) or not token.isascii():
        raise InputError("token: give 16 or more letters, digits and '-._~'; or leave it out, and one is made")
    return token


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    """Take a port; nobody is let in before the application is there."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise InputError(f"host: '{host}' is no address of this machine ({error.strerror})") from None
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(place)
    except OSError as error:
        listening.close()
        raise InputError(f"port: {host}:{port} is not to be had ({error.strerror}); name another --port") from error
    listening.set_inheritable(True)
    return listening


def _config(make: Callable[[], Starlette], seconds: float, processes: int) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING if processes == 1 else logging.INFO)
    return uvicorn.Config(
        make,
        factory=True,
        workers=processes,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=int(seconds) + 5,
        timeout_worker_healthcheck=LOADING,
    )


class _Supervisor(Multiprocess):
    """Processes that died are forgotten by the metrics, too; one that dies while it loads is missed at once."""

    def keep_subprocess_alive(self) -> None:
        before = {process.pid for process in self.processes}
        for process in self.processes:
            process.child_conn.close()  # the child has its own; while ours is open, its death is no end of the pipe
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]

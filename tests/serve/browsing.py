"""A page of the real application in a real browser: what the tests of the page share."""

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
import uvicorn
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from torch import Tensor

from delineate.label import Labels
from delineate.label.documents import Document
from delineate.ops.masks import decode_rle
from delineate.serve import ServedModels, make_app

SECONDS = 20.0
SAVED = "All changes are saved"


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Serve an application in a thread, and give its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        waited(lambda: server.started)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        app.state.stopping.set()
        server.should_exit = True
        thread.join(30)
        listening.close()


@contextmanager
def labelled(labels: Labels) -> Iterator[str]:
    """Serve the page of a folder's labels, whose models are a server's."""
    with served(make_app(cast(ServedModels, labels.models), labels)) as address:
        yield address


@contextmanager
def process(port: int, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Serve in a process of its own, which is killed in the end, at the latest."""
    command = [sys.executable, "-m", "delineate", "serve", *map(str, arguments), "--port", str(port), "--device", "cpu"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            waited(lambda: _listens(port) or server.poll() is not None, 60)
            yield server
        finally:
            server.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def waited(is_so: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


class Window:
    """A window of the browser shows the page; places are pixels of the picture that is open."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.page: Page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.page.set_default_timeout(1000 * SECONDS)
        self.troubles: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.goto(address)
        self.page.wait_for_selector("body[data-ready]")

    def _heard(self, kind: str, text: str) -> None:
        """Note what the page does wrong; that a server is away, or says no, is no fault of the page."""
        if kind == "error" and "Failed to load resource" not in text:
            self.troubles.append(text)

    def close(self) -> None:
        self.page.close()
        assert not self.troubles, self.troubles

    def says(self, what: str, text: str | re.Pattern[str]) -> None:
        """Wait until an element, of a selector, says a text."""
        expect(self.page.locator(what)).to_contain_text(text, timeout=1000 * SECONDS)

    def saved(self) -> None:
        """Wait until the server has all changes."""
        self.says("#saved", SAVED)

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Find a place of the picture on the screen."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        stage = self.page.locator("#stage")
        view = stage.evaluate("(stage) => ['scale', 'x', 'y'].map((name) => Number(stage.dataset[name]))")
        box = cast(Any, stage.bounding_box())
        return box["x"] + x * view[0] + view[1], box["y"] + y * view[0] + view[2]

    def click(self, *places: tuple[float, float]) -> None:
        for place in places:
            self.page.mouse.click(*self.screen(*place))

    def drag(self, *places: tuple[float, float]) -> None:
        self.page.mouse.move(*self.screen(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.screen(*place), steps=4)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def changed(self, *keys: str) -> None:
        """Press keys that change something, and wait until that is kept."""
        self.press(*keys)
        self.saved()

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.page.evaluate(script, *arguments)


def document(labels: Labels, number: int = 0) -> Document:
    """Read what is kept of a picture."""
    return labels.store.document(labels.collection.pictures[number])


def marks(labels: Labels, number: int = 0) -> Sequence[Any]:
    return list(document(labels, number).objects.values())


def mask_of(labels: Labels, mark: Any, number: int = 0) -> Tensor:
    size = labels.collection.pictures[number].size
    return decode_rle([mark.mask(size)], size)[0]


def values_of(labels: Labels, number: int = 0) -> Tensor:
    return torch.from_numpy(labels.store.label_map(labels.collection.pictures[number]).copy())


def near(found: Sequence[float], wanted: Sequence[float], by: float = 1.0) -> bool:
    """Tell whether numbers are equal to what a pixel of the screen is of the picture."""
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


def file_of(folder: Path, data: bytes, name: str) -> Path:
    (folder / name).write_bytes(data)
    return folder / name

"""The page finds in a browser what the run finds, where Chromium is at hand and `npm install` was called."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.examples.exports import check_found, photo, sampled, small_system

from delineate.deploy import Predictor

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(not (EXAMPLE / "node_modules").is_dir(), reason="needs npm install in examples/browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]


class Quiet(SimpleHTTPRequestHandler):
    """It serves files, and says nothing of it."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_page_finds_what_the_run_finds(ssd: dict[str, Path], tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    for file in ("index.html", "predict.js", "node_modules"):
        (tmp_path / file).symlink_to(EXAMPLE / file)
    picture = photo(tmp_path / "a.png", (130, 171))
    shutil.copytree(ssd["onnx"], tmp_path / "export")
    exports = {"export": small_system("ssd"), "sampled": sampled(tmp_path / "sampled")[1]}
    with served(tmp_path) as address, api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, system in exports.items():
            page = browser.new_page()
            page.goto(f"{address}/index.html?export={name}&picture=a.png")
            page.wait_for_function("document.getElementById('said').textContent.includes('objects')", timeout=30_000)
            page.fill("#score", "0")
            found = json.loads(page.locator("#canvas").get_attribute("data-objects") or "")
            names, scores = [one["name"] for one in found], [one["score"] for one in found]
            check_found(names, scores, [one["box"] for one in found], Predictor(system)(picture)[0])
        browser.close()


def test_openvinos_export_is_refused_by_the_page(ssd: dict[str, Path], tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    for file in ("index.html", "predict.js", "node_modules"):
        (tmp_path / file).symlink_to(EXAMPLE / file)
    shutil.copytree(ssd["openvino"], tmp_path / "export")
    with served(tmp_path) as address, api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        page.wait_for_function("document.getElementById('said').textContent.includes('--to onnx')", timeout=30_000)
        browser.close()

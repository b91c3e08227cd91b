import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tests.serve.serving import mask_rcnn, segmenter

from delineate.serve import Limits, ServedModels, make_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mask_rcnn(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return segmenter(tmp_path_factory.mktemp("roads"))


@pytest.fixture(scope="session")
def models(cells: Path, roads: Path) -> ServedModels:
    limits = Limits(num_bytes=200_000, num_pixels=100_000, num_pictures=4, seconds=20.0, queue=8)
    return ServedModels({"cells": cells, "roads": roads}, limits=limits, device="cpu", batch_size=4, wait=0.02)


@pytest.fixture(scope="session")
def app(models: ServedModels) -> Starlette:
    return make_app(models)


@pytest.fixture(scope="session")
def client(app: Starlette) -> Iterator[TestClient]:
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Start Chromium, for all tests of a module; it is not kept longer, as it leaves an event loop in its thread."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *camera])
        yield browser
        browser.close()

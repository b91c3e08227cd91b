import io
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.serve.serving import held, picture

from delineate.serve import Limits, ServedModels, make_app, routes
from delineate.serve.app import PAGE

PREDICT = "/v2/models/cells/predict"


def refused(answer: Any, status: int, said: str) -> None:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    line = answer.json()["error"]
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "picture: it is empty"),
        (b"hello, world" * 20, "picture: this is text, not a picture"),
        (picture()[:300], "picture: it ends too early"),
        (picture(kind="jpeg")[:200], "picture: "),
        (b"\x00\x01\x02\x03" * 50, "picture: this is no picture"),
    ],
)
def test_what_is_no_picture_is_400(client: TestClient, data: bytes, said: str) -> None:
    refused(client.post(PREDICT, content=data), 400, said)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("min_score=x", "min_score: it is a number"),
        ("min_score=nan", "min_score: it is a number"),
        ("min_score=1.5", "min_score: it is a number"),
        ("min_score=0.5&min_score=0.6", "min_score: it is given twice"),
        ("tile=0", "tile: a side has"),
        ("tile=1,2,3", "tile: it is a side"),
        ("tile=²,5", "tile: it is a side"),
        ("format=xml", "format: it is one of"),
        ("overlay=yes", "overlay: it is 0 or 1"),
        ("overlay=1&format=coco", "format: with overlay"),
        ("label_map=1", "label_map: this model finds"),
        ("path=/etc/passwd", "'path': there is no such option"),
    ],
)
def test_what_is_asked_wrongly_is_400(client: TestClient, query: str, said: str) -> None:
    refused(client.post(f"{PREDICT}?{query}", content=picture()), 400, said)


def test_what_a_dense_model_has_not_is_400(client: TestClient) -> None:
    refused(client.post("/v2/models/roads/predict?min_score=0.5", content=picture()), 400, "without scores")
    refused(client.post("/v2/models/roads/predict?format=yolo", content=picture()), 400, "format: yolo holds objects")


def test_forms_that_are_none_are_400(client: TestClient) -> None:
    refused(client.post(PREDICT, files={"other": ("a.png", picture())}), 400, "'other': it is no file")
    refused(client.post(PREDICT, files=[("pictures", ("a", picture()))] * 5), 400, "Too many files")
    refused(client.post(PREDICT, data={"pictures": "x"}, files={"pictures": ("a", b"")}), 400, "Too many fields")
    broken = {"content-type": "multipart/form-data"}
    refused(client.post(PREDICT, content=b"x", headers=broken), 400, "boundary")
    two = [("pictures", ("a", picture())), ("pictures", ("b", b"no picture"))]
    refused(client.post(PREDICT, files=two), 400, "picture 2: this is text")
    refused(client.post(f"{PREDICT}?overlay=1", files=[two[0], two[0]]), 400, "overlay: one picture")


def test_what_is_not_there_is_404_and_what_cannot_be_done_405(client: TestClient) -> None:
    refused(client.post("/v2/models/other/predict", content=picture()), 404, "there are cells, roads")
    refused(client.get("/v2/models/other"), 404, "there is no model")
    refused(client.get("/v2/nothing"), 404, "nothing at this address")
    refused(client.get("/../../etc/passwd"), 404, "nothing at this address")
    refused(client.get("/%2e%2e/%2e%2e/app.py"), 404, "nothing at this address")
    answer = client.get(PREDICT)
    refused(answer, 405, "does not take this method")
    assert answer.headers["allow"] == "POST"
    refused(client.delete("/v2/models"), 405, "does not take this method")


def test_too_many_bytes_are_413_whether_they_say_how_many_or_not(client: TestClient) -> None:
    refused(client.post(PREDICT, content=b"x" * 200_001), 413, "body: 200000 bytes")
    refused(client.post(PREDICT, content=(b"x" * 1000 for _ in range(201))), 413, "body: 200000 bytes")
    form = {"pictures": ("a", b"x" * 200_001)}
    refused(client.post(PREDICT, files=form), 413, "body: 200000 bytes")


def test_too_many_pixels_are_413_before_they_are_decoded(client: TestClient) -> None:
    stream = io.BytesIO()
    Image.new("L", (30_000, 4_000)).save(stream, format="png")  # 120 megapixels in 15 kB
    assert len(stream.getvalue()) < 200_000
    began = time.perf_counter()
    refused(client.post(PREDICT, content=stream.getvalue()), 413, "30000 x 4000 pixels")
    assert time.perf_counter() - began < 1
    claims = picture()[:16] + (60_000).to_bytes(4, "big") * 2 + picture()[24:]
    claims = claims[:29] + zlib.crc32(claims[12:29]).to_bytes(4, "big") + claims[33:]
    refused(client.post(PREDICT, content=claims), 400, "pixels")


def test_other_types_are_415(client: TestClient) -> None:
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        refused(client.post(PREDICT, content=picture(), headers={"content-type": kind}), 415, "content-type: ")
    packed = {"content-encoding": "gzip"}
    refused(client.post(PREDICT, content=picture(), headers=packed), 415, "content-encoding: ")
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, format="eps")  # whose decoder would start a program
    refused(client.post(PREDICT, content=stream.getvalue()), 415, "EPS is not taken")


@pytest.fixture
def short(cells: Path) -> Iterator[tuple[ServedModels, TestClient]]:
    """A server whose queue is one picture long, and which has no patience."""
    models = ServedModels({"cells": cells}, limits=Limits(num_pictures=1, queue=1, seconds=0.5), device="cpu")
    with TestClient(make_app(models), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield models, client


def test_a_full_queue_is_503_and_what_takes_too_long_504(short: tuple[ServedModels, TestClient]) -> None:
    models, client = short
    first: list[Any] = []
    with held(models, "cells"):
        asked = threading.Thread(target=lambda: first.append(client.post(PREDICT, content=picture())))
        asked.start()
        while not models["cells"].loaded.crew.num_waiting:
            time.sleep(0.005)
        full = client.post(PREDICT, content=picture())
        refused(full, 503, "cells: 1 pictures wait already")
        assert full.headers["retry-after"] == "1"
        asked.join()
        refused(first[0], 504, "longer than a request may")
        assert not models["cells"].loaded.crew.num_waiting, "nobody waits for it any more"
    assert client.post(PREDICT, content=picture()).status_code == 200


def test_what_fails_in_the_server_is_500_and_in_the_log(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(routes, "body_of", broken)
    answer = client.post(PREDICT, content=picture())
    refused(answer, 500, "the server failed (RuntimeError)")
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


def test_the_page_and_its_files_are_at_the_root(client: TestClient) -> None:
    assert (PAGE / "index.html").is_file()
    assert client.get("/").headers["content-type"].startswith("text/html")
    script = next(PAGE.glob("*.js"))
    assert client.get(f"/{script.name}").content == script.read_bytes()


def test_the_reference_is_a_page_that_names_every_address(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path, methods in document["paths"].items():
        assert f"<code>{path}</code>" in page.text
        for status in methods.get("post", {}).get("responses", {}):
            assert f"<td>{status}</td>" in page.text
    assert "cells, roads" in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert client.get("/docs.css").status_code == 200


def test_requests_steps_and_batches_are_counted(client: TestClient) -> None:
    client.post(PREDICT, content=picture())
    client.get("/v2/nothing")
    text = client.get("/metrics").text
    assert 'delineate_requests_total{method="POST",route="predict",status="200"}' in text
    assert 'status="404"' in text
    for step in ("header", "read", "resize", "wait", "network", "results", "answer"):
        assert f'delineate_step_seconds_count{{model="cells",step="{step}"}}' in text
    assert 'delineate_queue_pictures{model="cells"} 0.0' in text

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.serve.serving import LOW, NAMES, mask_rcnn, picture, record, same

from delineate.serve import Limits, ServedModels, make_app
from delineate.system.operating import ClassPoint, Curve, Estimate, OperatingPoints, Reliability, write_points
from delineate.values import InputError

PREDICT = "/v2/models/cells/predict"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return mask_rcnn(tmp_path / "cells")


@pytest.fixture
def client(run: Path) -> Iterator[TestClient]:
    models = ServedModels({"cells": run}, limits=Limits(queue=32), device="cpu")
    with TestClient(make_app(models), base_url="http://localhost") as client:
        yield client


def points_of(scores: dict[str, float]) -> OperatingPoints:
    """Take objects of each class from a score on, whatever else was measured."""
    some = Estimate(value=0.5, low=0.4, high=0.6)
    curve = Curve(scores=(0.5,), precision=(some,), recall=(some,))
    point = ClassPoint(score=some, precision=some, recall=some, f1=some, num_objects=1, reached=True, curve=curve)
    shares = Reliability(scores=(0.5,), shares=(0.5,), bins=((0.5, 0.5, 1),))
    return OperatingPoints(
        aim="f1",
        data="cells",
        num_pictures=1,
        trained_on=0,
        classes={
            name: point.model_copy(update={"score": Estimate(value=score, low=score, high=score)})
            for name, score in scores.items()
        },
        all_classes=point,
        reliability={},
        reliability_of_all=shares,
        error=0.0,
        calibrated_error=0.0,
    )


def test_objects_are_taken_by_operating_points_and_that_is_said(run: Path) -> None:
    every = record(run, picture(), min_score=LOW)
    ordered = sorted(every["scores"])
    gap, below = max((high - low, low) for low, high in pairwise(ordered))
    scores = dict.fromkeys(NAMES, below + gap / 2)
    write_points(points_of(scores), run / "best.safetensors")
    with TestClient(make_app(ServedModels({"cells": run}, device="cpu")), base_url="http://localhost") as client:
        assert client.get("/v2/models/cells").json()["thresholds"] == pytest.approx(scores)
        taken = client.post(PREDICT, content=picture()).json()
        given = client.post(PREDICT, params={"min_score": LOW}, content=picture()).json()
    kept = [score for score in every["scores"] if score > below + gap / 2]
    assert 0 < len(kept) < len(every["scores"])
    assert taken["scores"] == pytest.approx(kept, abs=1e-4)
    assert same(given, every), "min_score overrides"


def test_a_run_is_loaded_again_while_it_is_used_and_no_request_is_lost(client: TestClient, run: Path) -> None:
    data, before = picture(), record(run, picture(), min_score=LOW)
    first = client.get("/v2/models/cells").json()["versions"][0]
    answers: list[tuple[str, dict]] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answer = client.post(PREDICT, params={"min_score": LOW}, content=data)
            assert answer.status_code == 200, answer.text
            answers.append((answer.headers["model-version"], answer.json()))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(answers) < 4:
        time.sleep(0.01)
    mask_rcnn(run, seed=1)
    after = record(run, data, min_score=LOW)
    second = client.post("/v2/models/cells/reload").json()["version"]
    count = len(answers)
    while len(answers) < count + 8 and all(thread.is_alive() for thread in threads):
        time.sleep(0.01)
    ended.set()
    for thread in threads:
        thread.join()
    assert first != second
    assert not same(before, after)
    assert {version for version, _ in answers} == {first, second}
    for version, answer in answers:
        assert same(answer, before if version == first else after)


def test_in_a_process_that_another_program_began_that_program_is_left_alone(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the processes of `delineate serve --processes` have one above them that SIGHUP means something to."""
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("it was sent a signal"))
    assert client.post("/v2/models/cells/reload").status_code == 200


def test_one_run_is_loaded_at_a_time(run: Path) -> None:
    models = ServedModels({"cells": run}, device="cpu")
    with TestClient(make_app(models), base_url="http://localhost") as other:
        with models._turn:
            told = other.post("/v2/models/cells/reload")
            assert (told.status_code, told.headers["retry-after"]) == (503, "1")
            assert other.post(PREDICT, content=picture()).status_code == 200
        assert other.post("/v2/models/cells/reload").status_code == 200


def test_a_run_that_cannot_be_loaded_leaves_the_earlier_one(client: TestClient, run: Path) -> None:
    first = client.get("/v2/models/cells").json()["versions"]
    (run / "best.safetensors").write_bytes(b"broken")
    answer = client.post("/v2/models/cells/reload")
    assert answer.status_code == 400
    assert "best.safetensors" in answer.json()["error"]
    assert client.get("/v2/models/cells").json()["versions"] == first
    assert client.post(PREDICT, content=picture()).status_code == 200
    assert 'delineate_reloads_total{ended="failed",model="cells"} 1.0' in client.get("/metrics").text


def test_another_run_takes_the_place_of_one_and_new_names_come_beside_it(run: Path, tmp_path: Path) -> None:
    models = ServedModels({}, device="cpu")
    with TestClient(make_app(models), base_url="http://localhost") as client:
        assert client.get("/v2/models").json() == {"models": []}
        models.replace("cells", run)
        assert models.names() == ["cells"]
        assert models.run("cells") == run
        first = models.system("cells")
        other = mask_rcnn(tmp_path / "other", seed=1)
        models.replace("cells", other)
        assert models.run("cells") == other
        assert models.system("cells") is not first
        answer = client.post(PREDICT, params={"min_score": LOW}, content=picture()).json()
        assert same(answer, record(other, picture(), min_score=LOW))
        with pytest.raises(InputError, match=r"name: '\.\./x' cannot stand in an address"):
            models.replace("../x", run)
        with pytest.raises(KeyError):
            models.system("nothing")

import base64
import csv
import io
import json
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient
from tests.serve.serving import LOW, NAMES, picture, record, same

from delineate.deploy import Predictor
from delineate.serve import ServedModels

PREDICT = "/v2/models/{}/predict"


def test_a_pictures_bytes_give_what_predict_gives(client: TestClient, cells: Path, models: ServedModels) -> None:
    data = picture()
    answer = client.post(PREDICT.format("cells"), params={"min_score": LOW}, content=data)
    assert answer.status_code == 200
    assert answer.headers["model-version"] == models["cells"].loaded.version
    expected = record(cells, data, min_score=LOW)
    assert len(expected["boxes"]) > 3
    assert "masks" in expected
    assert same(answer.json(), expected)


def test_without_a_score_objects_from_a_half_on_are_given(client: TestClient, cells: Path) -> None:
    answer = client.post(PREDICT.format("cells"), content=picture(kind="jpeg")).json()
    assert same(answer, record(cells, picture(kind="jpeg"), min_score=0.5))
    assert all(score >= 0.5 for score in answer["scores"])


def form(pictures: Iterable[tuple[str, bytes]]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("pictures", (name, data)) for name, data in pictures]


def test_several_pictures_come_in_order_and_what_they_are_called_is_no_path(client: TestClient, cells: Path) -> None:
    pictures = {"a.png": picture(seed=1), "../../etc/passwd": picture(64, 48, 2), "/etc/hosts": picture(seed=3)}
    answer = client.post(PREDICT.format("cells"), params={"min_score": LOW}, files=form(pictures.items()))
    found = answer.json()["predictions"]
    assert [one["file"] for one in found] == list(pictures)
    for one, (name, data) in zip(found, pictures.items(), strict=True):
        assert same(one, record(cells, data, name, min_score=LOW))


def test_answers_are_their_own_pictures_whoever_asks_beside_them(
    client: TestClient, cells: Path, models: ServedModels
) -> None:
    pictures = [picture(48, 64 if seed % 3 else 80, seed) for seed in range(12)]
    expected = [record(cells, data, min_score=LOW) for data in pictures]
    assert not same(expected[0], expected[3])
    before = _count(client, 'delineate_batch_pictures_count{model="cells"}')

    def ask(data: bytes) -> dict:
        answer = client.post(PREDICT.format("cells"), params={"min_score": LOW}, content=data)
        while answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
            answer = client.post(PREDICT.format("cells"), params={"min_score": LOW}, content=data)
        return answer.json()

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(ask, pictures))
    for answer, one in zip(answers, expected, strict=True):
        assert same(answer, one)
    batches = _count(client, 'delineate_batch_pictures_count{model="cells"}') - before
    assert batches < len(pictures), "some went through the network together"


def _count(client: TestClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next((line.rsplit(" ", 1)[1] for line in lines if line.startswith(name)), 0))


def test_tiles(client: TestClient, cells: Path) -> None:
    data = picture(150, 300)
    answer = client.post(PREDICT.format("cells"), params={"min_score": LOW, "tile": "128,160"}, content=data).json()
    expected = record(cells, data, min_score=LOW, tile=(128, 160))
    assert same(answer, expected)
    assert not same(answer, record(cells, data, min_score=LOW))
    square = client.post(PREDICT.format("cells"), params={"min_score": LOW, "tile": 128}, content=data).json()
    assert same(square, record(cells, data, min_score=LOW, tile=(128, 128)))


@pytest.mark.parametrize("name", ["cells", "roads"])
def test_an_overlay_is_the_picture_with_what_was_found(client: TestClient, name: str) -> None:
    answer = client.post(PREDICT.format(name), params={"overlay": 1}, content=picture())
    assert answer.headers["content-type"] == "image/jpeg"
    drawn = Image.open(io.BytesIO(answer.content))
    assert drawn.size == (384, 288), "a small picture is enlarged, so that names can be read"


def test_a_label_map_is_a_png_in_the_answer(client: TestClient, roads: Path) -> None:
    data = picture(40, 60)
    answer = client.post(PREDICT.format("roads"), params={"label_map": 1}, content=data).json()
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(answer["label_map"]))))
    [expected] = Predictor.load(roads, device="cpu")(data)
    assert torch.equal(torch.from_numpy(pixels).long(), expected.label_map)
    assert len(np.unique(pixels)) > 1
    assert sum(answer["shares"].values()) == pytest.approx(1)
    assert client.post(PREDICT.format("roads"), content=data).json()["label_map"] is None


def test_formats_of_objects(client: TestClient, cells: Path) -> None:
    data, asked = picture(), {"min_score": LOW}
    expected = record(cells, data, min_score=LOW)

    def ask(layout: str) -> bytes:
        return client.post(PREDICT.format("cells"), params={**asked, "format": layout}, content=data).content

    coco = json.loads(ask("coco"))
    assert [row["score"] for row in coco["annotations"]] == pytest.approx(expected["scores"], abs=1e-5)
    rows = list(csv.DictReader(io.StringIO(ask("csv").decode())))
    assert [row["class"] for row in rows] == expected["labels"]
    assert {row["file"] for row in rows} == {"picture-1"}
    objects = ElementTree.fromstring(ask("voc")).findall("object")
    assert [one.findtext("name") for one in objects] == expected["labels"]
    with zipfile.ZipFile(io.BytesIO(ask("yolo"))) as archive:
        assert sorted(archive.namelist()) == ["classes.txt", "labels/picture-1.txt"]
        assert archive.read("classes.txt").decode().split() == list(NAMES)


def test_formats_of_several_pictures_and_of_label_maps_are_archives(client: TestClient) -> None:
    pictures = {"../a.png": picture(seed=1), "b.png": picture(seed=2)}
    answer = client.post(PREDICT.format("cells"), params={"format": "voc"}, files=form(pictures.items()))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["Annotations/picture-1.xml", "Annotations/picture-2.xml"]
    answer = client.post(PREDICT.format("roads"), params={"format": "coco"}, files=form(pictures.items()))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        images = json.loads(archive.read("results.json"))["images"]
        assert [row["file_name"] for row in images] == list(pictures)
        assert {row["label_map"] for row in images} == set(archive.namelist()) - {"results.json"}


def test_models_are_described(client: TestClient, models: ServedModels) -> None:
    assert client.get("/v2").json()["name"] == "delineate"
    assert client.get("/v2/models").json() == {"models": [{"name": "cells"}, {"name": "roads"}]}
    cells = client.get("/v2/models/cells").json()
    assert cells["versions"] == [models["cells"].loaded.version]
    assert cells["platform"] == "delineate_pytorch"
    assert (cells["system"], cells["task"], cells["classes"]) == ("mask_rcnn", "instance", ["cat", "dog"])
    assert cells["thresholds"] == {"cat": 0.5, "dog": 0.5}
    assert cells["can_prompt"]
    assert [one["name"] for one in cells["outputs"]] == ["boxes", "labels", "scores", "masks"]
    roads = client.get("/v2/models/roads").json()
    assert roads["thresholds"] is None
    assert not roads["can_prompt"]
    assert client.get("/v2/models/roads/ready").json() == {"name": "roads", "ready": True}

"""Labels over HTTP: what the page asks for, and what it is answered."""

import asyncio
import io
import json
import re
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.label import folders
from tests.label.folders import DONE, mask_folder, patch, put, raw
from tests.serve.conftest import ADDRESS

from delineate.label import Labels, open_labels
from delineate.label.journal import Journal
from delineate.label.opening import Naming
from delineate.serve import ServedModels, label_events, label_images, label_routes, make_app


@pytest.fixture
def served(models: ServedModels, tmp_path: Path) -> Iterator[TestClient]:
    yield from _served(models, raw(tmp_path), Naming(classes=("disk", "box"), task="instance"))


@pytest.fixture
def painted(models: ServedModels, tmp_path: Path) -> Iterator[TestClient]:
    yield from _served(models, mask_folder(tmp_path), Naming(task="segment"))


def _served(models: ServedModels, folder: Path, naming: Naming) -> Iterator[TestClient]:
    labels = open_labels(folder, models, naming=naming, first_after=0, device="cpu")
    client = TestClient(make_app(models, labels), base_url=ADDRESS, raise_server_exceptions=False)
    yield client
    labels.close()


def first(client: TestClient) -> dict[str, Any]:
    entry: dict[str, Any] = client.get("/api/pictures", params={"order": "name"}).json()["pictures"][0]
    return entry


def post(http: TestClient, path: str, **body: Any) -> Any:
    return http.post(path, json=body)


def edit(http: TestClient, number: int, version: int, *edits: dict[str, Any], who: str = "me") -> Any:
    return post(http, f"/api/pictures/{number}/edits", version=version, client=who, edits=list(edits))


def test_a_session_says_what_is_labelled(served: TestClient, tmp_path: Path) -> None:
    session = served.get("/api/session").json()
    assert session["folder"] == tmp_path.name
    assert (session["task"], session["classes"], session["ignore"]) == ("instance", ["disk", "box"], 255)
    assert session["counts"] == {"pictures": 6, "done": 0, "changed": 0}
    assert session["models"] == ["cells", "roads"]
    assert session["orders"] == ["teaches", "name", "random"]
    assert session["can_train"] is False


def test_pictures_are_listed_in_parts(served: TestClient) -> None:
    page = served.get("/api/pictures", params={"order": "name", "offset": 4, "limit": 1}).json()
    assert page["total"] == 6
    (entry,) = page["pictures"]
    assert (entry["file"], entry["width"], entry["height"]) == ("b/2.png", 91, 66)
    assert (entry["state"], entry["version"], entry["value"]) == ("new", 0, None)
    assert served.get("/api/pictures", params={"limit": "-1"}).status_code == 400
    assert served.get("/api/pictures", params={"order": "best"}).status_code == 400


def test_what_is_edited_is_there(served: TestClient) -> None:
    number = first(served)["id"]
    answer = edit(served, number, 0, put("one", polygons=[[[10, 10], [40, 10], [40, 30]]]))
    assert answer.json() == {"version": 1}
    document = served.get(f"/api/pictures/{number}").json()
    assert (document["version"], document["state"], document["source"]) == (1, "changed", "marked")
    (mark,) = document["objects"]
    assert mark["polygons"] == [[[10, 10], [40, 10], [40, 30]]]
    assert (mark["rle"], mark["crowd"], mark["ignore"], mark["score"]) == (None, False, False, None)
    assert edit(served, number, 1, DONE).json() == {"version": 2}
    assert served.get("/api/session").json()["counts"]["done"] == 1


def test_of_two_at_once_the_second_is_told(served: TestClient) -> None:
    number = first(served)["id"]
    barrier, answers = threading.Barrier(4), []

    def work(who: int) -> None:
        barrier.wait()
        answers.append(edit(served, number, 0, put(f"of-{who}"), who=f"client-{who}"))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    won = next(answer for answer in answers if answer.status_code == 200)
    told = next(answer for answer in answers if answer.status_code == 409).json()
    assert won.json() == {"version": 1}
    assert told["error"]
    assert told["document"]["version"] == 1
    assert len(told["document"]["objects"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/pictures/1", None, 404),
        ("GET", "/api/pictures/" + 5000 * "9", None, 404),
        ("GET", "/api/pictures/one/image", None, 404),
        ("POST", "/api/pictures/1/edits", {"version": 0, "client": "me", "edits": [DONE]}, 404),
        ("POST", "/api/pictures/FIRST/edits", {"version": 0, "client": "me", "edits": []}, 400),
        ("POST", "/api/pictures/FIRST/edits", {"version": -1, "client": "me", "edits": [DONE]}, 400),
        ("POST", "/api/pictures/FIRST/edits", {"version": 0, "client": "", "edits": [DONE]}, 400),
        ("POST", "/api/pictures/FIRST/edits", {"version": 0, "client": "me", "edits": [{"kind": "put"}]}, 400),
        ("POST", "/api/pictures/FIRST/edits", {"version": 0, "client": "me", "edits": [put(label="cow")]}, 400),
        ("POST", "/api/pictures/FIRST/edits", [], 400),
        ("POST", "/api/pictures/FIRST/propose", {"model": "nobody"}, 404),
        ("POST", "/api/pictures/FIRST/prompt", {"model": "nobody", "box": [1, 1, 20, 20]}, 404),
        ("POST", "/api/pictures/FIRST/prompt", {}, 400),
        ("POST", "/api/pictures/FIRST/prompt", {"box": [1, 1, 20, 20], "point": [1, 1]}, 400),
        ("POST", "/api/pictures/FIRST/prompt", {"point": [1000, 1]}, 400),
        ("POST", "/api/training", {"minutes": 0}, 400),
        ("POST", "/api/training", {"minutes": 1}, 400),
        ("POST", "/api/training/accept", {}, 409),
        ("GET", "/api/pictures/FIRST/image?side=5", None, 400),
        ("GET", "/api/pictures/FIRST/label_map", None, 404),
        ("GET", "/api/nothing", None, 404),
        ("POST", "/api/classes", {"name": "disk"}, 400),
        ("POST", "/api/classes", {}, 400),
        ("PUT", "/api/session", None, 405),
    ],
)
def test_what_is_wrong_is_one_line(served: TestClient, method: str, path: str, body: Any, status: int) -> None:
    path = path.replace("FIRST", str(first(served)["id"]))
    answer = served.request(method, path, json=body) if body is not None else served.request(method, path)
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]
    assert served.get("/api/session").json()["counts"]["changed"] == 0


def test_broken_json_is_refused(served: TestClient) -> None:
    answer = served.post(f"/api/pictures/{first(served)['id']}/edits", content=b"{broken")
    assert answer.status_code == 400


def test_pictures_come_as_they_are_and_once(served: TestClient, tmp_path: Path) -> None:
    entry = first(served)
    answer = served.get(f"/api/pictures/{entry['id']}/image")
    assert answer.content == (tmp_path / entry["file"]).read_bytes()
    assert answer.headers["content-type"] == "image/png"
    again = served.get(f"/api/pictures/{entry['id']}/image", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    small = served.get(f"/api/pictures/{entry['id']}/image", params={"side": 32})
    with Image.open(io.BytesIO(small.content)) as picture:
        assert (picture.format, max(picture.size)) == ("JPEG", 32)


def test_a_thumbnail_of_a_large_jpeg_is_decoded_small_and_turned(
    models: ServedModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    halves = Image.new("RGB", (640, 320), "red")
    halves.paste("blue", (320, 0, 640, 320))
    halves.save(tmp_path / "turned.jpg", exif=exif)
    halves.convert("CMYK").save(tmp_path / "cmyk.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "turned.jpg").read_bytes()[:900])
    for client in _served(models, tmp_path, Naming(classes=("disk",))):
        cmyk, cut, turned = client.get("/api/pictures", params={"order": "name"}).json()["pictures"]
        assert client.get(f"/api/pictures/{cut['id']}/image", params={"side": 40}).status_code == 400
        monkeypatch.setattr(label_images, "read_image", lambda file: pytest.fail("it is decoded in full"))
        for entry, size, places in ((turned, (20, 40), ((9, 5), (9, 35))), (cmyk, (40, 20), ((5, 9), (35, 9)))):
            answer = client.get(f"/api/pictures/{entry['id']}/image", params={"side": 40})
            with Image.open(io.BytesIO(answer.content)) as picture:
                assert picture.size == size
                (red, _, _), (_, _, blue) = (picture.getpixel(place) for place in places)  # type: ignore[misc]
                assert min(red, blue) > 180


def test_who_asks_a_model_beside_many_others_is_told_to_wait(
    served: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_routes, "MOST_ASKED", 1)
    begun, go, answers = threading.Event(), threading.Event(), []

    def slow(*_: object) -> dict[str, object]:
        begun.set()
        go.wait(20)
        return {"objects": []}

    monkeypatch.setattr(Labels, "propose", slow)
    path = f"/api/pictures/{first(served)['id']}/propose"
    thread = threading.Thread(target=lambda: answers.append(post(served, path, model="cells")))
    thread.start()
    assert begun.wait(20)
    told = post(served, path, model="cells")
    assert (told.status_code, told.headers["retry-after"]) == (503, "1")
    go.set()
    thread.join()
    assert answers[0].status_code == post(served, path, model="cells").status_code == 200


def test_a_full_disk_is_said_and_nothing_is_kept(served: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    number = first(served)["id"]
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", full)
        answer = edit(served, number, 0, put("one"))
    assert (answer.status_code, "No space left" in answer.json()["error"]) == (507, True)
    assert served.get(f"/api/pictures/{number}").json()["version"] == 0
    assert edit(served, number, 0, put("one")).status_code == 200


def test_who_does_not_listen_is_sent_no_more(tmp_path: Path) -> None:
    labels = folders.opened(raw(tmp_path, 1))

    async def run() -> list[str]:
        lines = label_events.heard(labels, SimpleNamespace())
        assert await anext(lines) == ": hello\n\n"
        for number in range(label_events.MOST_UNHEARD + 5):
            labels.events.say({"kind": "picture", "id": number})
        await asyncio.sleep(0)
        return [line async for line in lines]

    assert asyncio.run(run()) == []
    assert labels.events._listeners == []


def test_what_no_browser_shows_is_sent_as_png(models: ServedModels, tmp_path: Path) -> None:
    turned = Image.new("RGB", (30, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    turned.save(tmp_path / "scan.tiff")
    for client in _served(models, tmp_path, Naming(classes=("disk",))):
        for entry, size in zip(
            client.get("/api/pictures", params={"order": "name"}).json()["pictures"], [(30, 20), (20, 30)], strict=True
        ):
            assert (entry["width"], entry["height"]) == size
            answer = client.get(f"/api/pictures/{entry['id']}/image")
            with Image.open(io.BytesIO(answer.content)) as picture:
                assert (picture.format, picture.size) == ("PNG", size)


def test_a_model_marks_and_is_prompted(served: TestClient) -> None:
    number = first(served)["id"]
    answer = post(served, f"/api/pictures/{number}/propose", model="cells", min_score=0.0).json()
    assert set(answer) == {"objects", "left_out"}
    dense = post(served, f"/api/pictures/{number}/propose", model="roads").json()
    assert dense == {"objects": [], "left_out": 0}, "a label map is nothing that could be taken here"
    prompted = post(served, f"/api/pictures/{number}/prompt", model="cells", box=[10, 10, 50, 50], label="box").json()
    assert prompted["object"]["label"] == "box"
    assert "key" not in prompted["object"]
    edited = edit(served, number, 0, {"kind": "put", "object": {**prompted["object"], "key": "new"}})
    assert edited.json() == {"version": 1}
    searched = post(served, f"/api/pictures/{number}/prompt", model="roads", point=[30, 30]).json()
    assert searched["object"]["box"] == searched["regions"][0]
    whole = edit(served, number, 1, {"kind": "put", "object": {**searched["object"], "key": "region"}})
    assert whole.json() == {"version": 2}
    assert all(one["rle"] for one in served.get(f"/api/pictures/{number}").json()["objects"])


def test_label_maps_are_painted_and_packed(painted: TestClient) -> None:
    entry = first(painted)
    document = painted.get(f"/api/pictures/{entry['id']}").json()
    with Image.open(io.BytesIO(painted.get(document["label_map"]).content)) as picture:
        before = np.array(picture)
    assert edit(painted, entry["id"], 0, patch(np.full((3, 4), 2), 5, 6)).json() == {"version": 1}
    before[6:9, 5:9] = 2
    document = painted.get(f"/api/pictures/{entry['id']}").json()
    with Image.open(io.BytesIO(painted.get(document["label_map"]).content)) as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.array(picture), before)
    packed = zipfile.ZipFile(io.BytesIO(painted.get("/api/export").content))
    with Image.open(io.BytesIO(packed.read(f"labels/{Path(entry['file']).with_suffix('.png')}"))) as picture:
        assert np.array_equal(np.array(picture), before)
    proposed = post(painted, f"/api/pictures/{entry['id']}/propose", model="roads").json()
    assert isinstance(proposed["label_map"], str)


def test_corrections_are_exported(served: TestClient) -> None:
    entry = first(served)
    edit(served, entry["id"], 0, put("one"))
    answer = served.get("/api/export")
    assert "attachment" in answer.headers["content-disposition"]
    document = answer.json()
    assert [one["file_name"] for one in document["images"]] == [entry["file"]]
    assert document["annotations"][0]["bbox"] == [10, 10, 30, 20]
    assert [one["name"] for one in document["categories"]] == ["disk", "box"]


def test_events_tell_what_others_did(models: ServedModels, tmp_path: Path) -> None:
    labels = open_labels(raw(tmp_path), models, naming=Naming(classes=("disk", "box")), first_after=0)
    folders.OPENED.append(labels)
    client = TestClient(make_app(models, labels), base_url=ADDRESS)
    number = labels.collection.pictures[0].id

    def work() -> None:
        while not labels.events._listeners:
            time.sleep(0.01)
        labels.edit(labels.collection.pictures[0], 0, "other", [put("one")])
        labels.events.close()

    thread = threading.Thread(target=work)
    thread.start()
    with client.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    thread.join()
    assert [json.loads(line) for line in lines] == [{"kind": "picture", "id": number, "version": 1, "client": "other"}]
    assert labels.events._listeners == []
    labels.store.close()


def test_a_training_is_none_at_first(served: TestClient) -> None:
    status = served.get("/api/training").json()
    assert (status["state"], status["progress"], status["before"], status["run"]) == ("none", 0, None, None)
    assert served.delete("/api/training").json()["state"] == "none"


def test_the_reference_has_every_address_and_its_page_every_value(served: TestClient) -> None:
    document, page = served.get("/openapi.json").json(), served.get("/docs").text
    said = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    routes = [route for route in served.app.routes if isinstance(route, Route)]  # type: ignore[attr-defined]
    there = {(method, route.path) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    ours = {("GET", path) for path in ("/openapi.json", "/docs", "/docs.css")}
    assert said - {("PARAMETERS", path) for path in document["paths"]} == there - ours
    for name in ("Edits", "Mark", "Document", "Minutes"):
        assert f'id="{name}"' in page
    assert set(re.findall(r'href="#(\w+)"', page)) <= set(re.findall(r'id="(\w+)"', page))

"""What is kept stays kept: undo, a killed server, two windows, suggestions, training, and the export."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser
from tests.label.folders import DONE, opened, put, raw
from tests.serve.browsing import Window, document, free_port, labelled, marks, mask_of, near, process, waited
from tests.serve.serving import picture

from delineate.data import read_dataset
from delineate.label import Labels, open_labels
from delineate.serve import ServedModels

BOX, OTHER = ((10, 10), (40, 30)), ((50, 40), (80, 60))


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return opened(raw(tmp_path, 3), ServedModels({}, device="cpu"), task="detect")


@pytest.fixture
def address(labels: Labels) -> Iterator[str]:
    with labelled(labels) as address:
        yield address


@pytest.fixture
def window(browser: Browser, address: str) -> Iterator[Window]:
    window = Window(browser, address)
    yield window
    window.close()


def draw(window: Window, *places: tuple[int, int]) -> None:
    window.press("b")
    window.drag(*places)


def test_changes_are_taken_back_and_made_again(window: Window, labels: Labels) -> None:
    draw(window, *BOX)
    draw(window, *OTHER)
    window.changed("2")
    kept = marks(labels)
    assert [mark.label for mark in kept] == ["disk", "box"]
    window.changed("Control+z")
    assert [mark.label for mark in marks(labels)] == ["disk", "disk"]
    window.changed("Control+z", "Control+z")
    assert marks(labels) == []
    assert window.page.is_disabled("#undo")
    window.changed("Control+Shift+z", "Control+y", "Control+y")
    assert marks(labels) == kept
    assert window.page.is_disabled("#redo")


def test_a_picture_is_done_and_the_next_one_is_open(window: Window, labels: Labels) -> None:
    first, second, third = (one.name for one in labels.collection.pictures)
    window.says("#file", first)
    draw(window, *BOX)
    window.page.focus("#stage")
    window.press("v", "Enter")
    window.says("#file", second)
    window.says("#share-said", "1 of 3 pictures done (33 %)")
    window.press(".")
    window.says("#file", third)
    window.changed("d")
    window.says("#file", second)
    window.changed("d")
    window.says("#status", "All pictures are done")
    assert labels.store.counts() == {"pictures": 3, "done": 3, "changed": 0}
    assert len(marks(labels)) == 1


def test_what_teaches_most_now_is_next(window: Window, labels: Labels) -> None:
    """Models look at pictures while others are marked: the list of before is not what is gone by."""
    first, second, third = labels.collection.pictures
    labels.queue._values |= {second.id: (0.2, 0), third.id: (0.9, 0)}
    window.says("#file", first.name)
    window.changed("d")
    window.says("#file", third.name)
    window.press(",")
    window.says("#file", first.name)  # what was passed stays before it
    window.press(".", ".")
    window.says("#file", second.name)


def test_a_class_is_added_and_others_see_it(browser: Browser, window: Window, address: str, labels: Labels) -> None:
    other = Window(browser, address)
    window.page.fill("#new-class", "sea star")
    window.page.press("#new-class", "Enter")
    other.says("#classes", "sea star")
    window.says("#status", "sea star is what is drawn next")
    window.page.focus("#stage")
    draw(window, *BOX)
    window.saved()
    assert [mark.label for mark in marks(labels)] == ["sea star"]
    window.page.fill("#new-class", "box")
    window.page.click("#add-class button")
    window.says("#status.trouble", "there is 'box' already")
    other.close()


def test_a_broken_picture_is_passed_over(browser: Browser, tmp_path: Path) -> None:
    labels = opened(raw(tmp_path, 3), ServedModels({}, device="cpu"), task="detect")
    first, second, third = labels.collection.pictures
    second.file.write_bytes(b"no picture")
    with labelled(labels) as address:
        window = Window(browser, address)
        window.says("#file", first.name)
        window.press(".")
        window.says("#file", third.name)
        window.changed("d")
        window.says("#file", first.name)
        window.changed("d")
        window.says("#status", "All pictures are done")
        window.close()


def test_keys_of_the_browser_are_not_the_pages(window: Window, labels: Labels) -> None:
    window.press("Alt+d")
    draw(window, *BOX)
    window.saved()
    assert labels.store.counts()["done"] == 0
    window.press("v", "l")
    window.says("#status", "disk, 1 of 1 mark")  # screen readers say what is chosen


def test_two_fingers_zoom_and_what_is_drawn_stays(browser: Browser, tmp_path: Path) -> None:
    labels = opened(raw(tmp_path, 1), ServedModels({}, device="cpu"), task="instance")
    with labelled(labels) as address:
        window = Window(browser, address, has_touch=True)
        touch = window.page.context.new_cdp_session(window.page)

        def pinch() -> None:
            one, other = window.screen(20, 20), window.screen(40, 20)
            for kind, points in (
                ("touchStart", [one]),
                ("touchStart", [one, other]),
                ("touchMove", [one, (other[0] + 40, other[1])]),
                ("touchEnd", [one]),
                ("touchEnd", []),
            ):
                places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

        window.press("g")
        for place in ((10, 10), (50, 10), (50, 40)):
            window.page.touchscreen.tap(*window.screen(*place))
        before = window.ask("() => document.getElementById('stage').dataset.scale")
        pinch()
        window.screen(0, 0)
        assert window.ask("() => document.getElementById('stage').dataset.scale") != before
        window.changed("Enter")
        [mark] = marks(labels)
        assert [len(ring) for ring in mark.polygons] == [3]
        assert near([v for point in mark.polygons[0] for v in point], (10, 10, 50, 10, 50, 40))
        window.press("s")
        asked: list[str] = []
        window.page.on("request", lambda request: asked.append(request.url))
        pinch()
        window.screen(0, 0)
        assert not [url for url in asked if url.endswith("/prompt")]
        window.close()


def test_what_the_server_does_not_answer_is_kept_and_said(window: Window, labels: Labels) -> None:
    window.page.route("**/edits", lambda route: route.abort())
    draw(window, *BOX)
    draw(window, *OTHER)
    window.says("#saved", "2 changes not saved yet: the server does not answer")
    window.page.unroute("**/edits")
    window.saved()
    assert len(marks(labels)) == 2


def test_an_answer_that_was_lost_is_no_second_change(window: Window, labels: Labels) -> None:
    lost: list[int] = []

    def lose(route: Any) -> None:
        lost.append(route.fetch().status)
        route.abort()

    window.page.route("**/edits", lose, times=1)
    draw(window, *BOX)
    window.saved()
    assert lost == [200]
    assert (document(labels).version, len(marks(labels))) == (1, 1)


def test_two_windows_see_each_others_changes(browser: Browser, window: Window, address: str, labels: Labels) -> None:
    other = Window(browser, address)
    draw(window, *BOX)
    other.says("#marks-title", "1 mark")
    draw(other, *OTHER)
    window.says("#marks-title", "2 marks")
    window.saved()
    other.saved()
    assert len(marks(labels)) == 2
    other.close()


def test_neither_of_two_windows_overwrites_the_other(
    browser: Browser, window: Window, address: str, labels: Labels
) -> None:
    draw(window, *BOX)
    window.saved()
    other = Window(browser, address)
    other.page.route("**/edits", lambda route: route.abort())
    other.says("#marks-title", "1 mark")
    draw(other, *OTHER)  # nobody else's
    other.press("v", "l", "2")  # the box of both
    other.says("#saved", "not saved yet")
    window.press("v", "l")
    window.changed("c")
    assert marks(labels)[0].crowd
    other.page.unroute("**/edits")
    other.saved()
    other.says("#status", "theirs stays, 1 change of yours did not")
    first, second = marks(labels)
    assert (first.label, first.crowd) == ("disk", True)
    assert near(second.box, (50, 40, 80, 60))
    other.close()


def test_a_killed_server_loses_nothing(browser: Browser, cells: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    port = free_port()
    with process(port, cells, "--data", tmp_path) as server:
        window = Window(browser, f"http://127.0.0.1:{port}")
        window.press("p")
        window.drag((10, 10), (30, 30))
        window.saved()
        server.kill()
        server.wait()
        window.press("Escape")
        window.drag((40, 20), (60, 20))
        window.says("#saved", "not saved yet")
    with process(port, cells, "--data", tmp_path):
        window.saved()
        again = Window(browser, f"http://127.0.0.1:{port}")
        shown = window.page.locator("#marks-list .name").all_inner_texts()
        assert len(shown) >= 2
        assert sorted(again.page.locator("#marks-list .name").all_inner_texts()) == sorted(shown)
        again.close()
        window.close()


def test_suggestions_that_are_seen_are_taken_when_the_picture_is_done(
    browser: Browser, cells: Path, tmp_path: Path
) -> None:
    for seed in range(2):
        (tmp_path / f"{seed}.png").write_bytes(picture(seed=seed))
    models = ServedModels({"cells": cells}, device="cpu")
    labels = open_labels(tmp_path, models, first_after=0)
    with labelled(labels) as address:
        window = Window(browser, address)
        window.says("#marks-title", "suggestion")
        number = [one.name for one in labels.collection.pictures].index(window.page.inner_text("#file"))
        window.page.locator("#threshold").fill("0.3")
        taken = window.page.locator("#marks-list .name").count()
        assert taken > 0
        assert document(labels, number).version == 0  # nobody has taken them yet
        window.press("l")
        window.changed("1")
        assert [mark.score for mark in marks(labels, number)] == [None] * taken
        window.changed("Control+z")
        window.says("#marks-title", "suggestion")
        assert (marks(labels, number), document(labels, number).state) == ([], "new")
        window.page.locator("#threshold").fill("1")
        window.changed("d")
        assert (marks(labels, number), document(labels, number).state) == ([], "done")
        window.press("s")
        window.drag((10, 10), (40, 30))  # a rough box, for the mask head
        window.says("#status", "found")
        window.saved()
        assert any(mark.rle is not None for mark in marks(labels, 1 - number))
        window.close()


def test_what_is_exported_is_read_back_equal(browser: Browser, tmp_path: Path) -> None:
    labels = opened(raw(tmp_path, 2), ServedModels({}, device="cpu"), task="instance")
    with labelled(labels) as address:
        window = Window(browser, address)
        window.press("g")
        window.click((10, 10), (50, 10), (50, 50), (10, 50), (10, 10))
        window.press("o")
        window.click((20, 20), (40, 20), (40, 40), (20, 40))
        window.changed("Enter", "Escape", "2", "p")
        window.drag((60, 20), (80, 60))
        window.drag((15, 59), (30, 59))  # another part
        window.changed("c")
        with window.page.expect_download() as download:
            window.page.click("text=Export what is marked")
        exported = Path(download.value.path()).read_text()
        window.close()
    kept = marks(labels)
    (tmp_path / "annotations").mkdir(exist_ok=True)
    (tmp_path / "annotations" / "instances_train.json").write_text(exported)
    [sample] = read_dataset(tmp_path, "train")
    assert sample.target.labels.tolist() == [
        labels.collection.categories.class_names.index(mark.label) for mark in kept
    ]
    assert sample.target.crowd.tolist() == [mark.crowd for mark in kept] == [False, True]
    assert sample.target.masks is not None
    for mask, mark in zip(sample.target.masks, kept, strict=True):
        assert torch.equal(mask, mask_of(labels, mark))


def test_training_goes_on_from_the_page(browser: Browser, cells: Path, tmp_path: Path) -> None:
    models = ServedModels({"cells": cells}, device="cpu")
    for seed in range(6):
        (tmp_path / f"{seed}.png").write_bytes(picture(seed=seed))
    labels = open_labels(tmp_path, models, first_after=0, device="cpu")
    square = [[(10.0, 10.0), (40.0, 10.0), (40.0, 40.0), (10.0, 40.0)]]
    for one in labels.collection.pictures:
        labels.edit(one, 0, "me", [put("a", "cat", (10, 10, 40, 40), polygons=square), DONE])
    with labelled(labels) as address:
        window = Window(browser, address)
        window.page.fill("#minutes", "0.1")
        window.page.click("#train")
        window.says("#training-said", "% of the time")
        assert window.page.is_visible("#stop")
        waited(lambda: not labels.training.running, 120)
        assert labels.training.status.error is None
        window.says(
            "#training-said", re.compile(r"It is done. AP.* on the pictures held out: [\d.]+ before, [\d.]+ after")
        )
        window.page.reload()  # and what there was to see is there again
        window.says("#training-said", "It is done")
        assert len(labels.training.status.losses) > 1
        assert window.page.is_visible("#losses")
        version = models["cells"].loaded.version
        window.page.click("#accept")
        window.says("#status", "cells now marks pictures as it was trained to")
        assert models["cells"].loaded.version != version
        window.close()

"""Each way of correcting, in a browser: what the page draws is what is kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import Browser
from tests.label.folders import mask_folder, opened, raw
from tests.serve.browsing import Window, labelled, marks, mask_of, near, values_of

from delineate.label import Labels
from delineate.label.opening import Naming
from delineate.serve import ServedModels


class Desk:
    """A window, and what is kept of its folder."""

    def __init__(self, browser: Browser, folder: Path, **naming: Any) -> None:
        self.labels: Labels = opened(folder, ServedModels({}, device="cpu"), **naming)
        self._served = labelled(self.labels)
        self.window = Window(browser, self._served.__enter__())

    def close(self) -> None:
        try:
            self.window.close()
        finally:
            self._served.__exit__(None, None, None)


@pytest.fixture
def desk(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    task: str = request.param
    folder = mask_folder(tmp_path) if task == "segment" else raw(tmp_path, 2)
    naming: Naming = (
        {"keypoints": ["left_eye", "right_eye", "nose"], "skeleton": [(0, 2), (1, 2)]} if task == "keypoints" else {}
    )
    desk = Desk(browser, folder, **({"classes": ()} if task == "segment" else {"task": task}), **naming)
    yield desk
    desk.close()


def only(desk: Desk) -> Any:
    [mark] = marks(desk.labels)
    return mark


@pytest.mark.parametrize("desk", ["detect"], indirect=True)
def test_boxes(desk: Desk) -> None:
    window = desk.window
    window.press("b")
    window.drag((10, 10), (40, 30))
    window.saved()
    assert (only(desk).label, near(only(desk).box, (10, 10, 40, 30))) == ("disk", True)
    window.press("v")
    window.drag((25, 20), (30, 26))  # moved
    window.saved()
    assert near(only(desk).box, (15, 16, 45, 36))
    x1, y1, x2, y2 = only(desk).box
    window.drag((x2, y2), (55, 50))  # by its corner
    window.saved()
    assert near(only(desk).box, (x1, y1, 55, 50))
    window.drag((x1, (y1 + 50) / 2), (5, 40))  # by its left side
    window.saved()
    assert near(only(desk).box, (5, y1, 55, 50))
    window.changed("2", "c", "i")
    assert (only(desk).label, only(desk).crowd, only(desk).ignore) == ("box", True, True)
    window.page.select_option("#chosen select", "disk")
    window.page.uncheck("#chosen input >> nth=0")
    window.saved()
    assert (only(desk).label, only(desk).crowd) == ("disk", False)
    window.changed("Delete")
    assert marks(desk.labels) == []
    window.changed("Control+z")
    assert only(desk).label == "disk"


@pytest.mark.parametrize("desk", ["detect"], indirect=True)
def test_boxes_by_the_keyboard_alone(desk: Desk) -> None:
    window = desk.window
    window.page.focus("#stage")
    window.changed("n")
    x1, y1, x2, y2 = only(desk).box
    window.changed("ArrowRight", "Shift+ArrowDown", "Alt+ArrowRight")
    assert near(only(desk).box, (x1 + 1, y1 + 10, x2 + 2, y2 + 10), 0.01)
    window.press("b", "Shift+Space", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowDown")
    window.changed("Space")
    assert len(marks(desk.labels)) == 2
    window.press("v", "l", "Delete")
    window.changed("l", "Delete")
    assert marks(desk.labels) == []


@pytest.mark.parametrize("desk", ["detect"], indirect=True)
def test_a_click_finds_a_region_where_there_is_no_model(desk: Desk) -> None:
    window = desk.window
    window.press("s")
    height, width = desk.labels.collection.pictures[0].size
    window.click((width * 0.3, height * 0.35))
    window.says("#marks-title", "1 mark")
    window.saved()
    x1, y1, x2, y2 = only(desk).box
    assert x1 <= width * 0.3 <= x2
    assert y1 <= height * 0.35 <= y2


@pytest.mark.parametrize("desk", ["instance"], indirect=True)
def test_polygons_with_parts_and_holes(desk: Desk) -> None:
    window = desk.window
    window.press("g")
    window.click((10, 10), (50, 10), (50, 50), (10, 50), (10, 10))  # closed by its first corner
    window.saved()
    assert mask_of(desk.labels, only(desk)).sum() == pytest.approx(1600, rel=0.1)
    window.press("o")
    window.click((20, 20), (40, 20), (40, 40), (20, 40))
    window.changed("Enter")
    assert len(only(desk).holes) == 1
    assert not mask_of(desk.labels, only(desk))[25:35, 25:35].any()
    window.press("u")
    window.click((60, 10), (80, 10), (80, 30))
    window.changed("Enter")
    assert (len(only(desk).polygons), only(desk).box[2] > 75) == (2, True)
    window.press("v")
    window.drag((50, 50), (56, 58))  # a corner
    window.saved()
    assert near(only(desk).polygons[0][2], (56, 58))
    window.drag((10, 30), (5, 30))  # the middle of a side becomes a corner
    window.saved()
    assert near(only(desk).polygons[0][4], (5, 30))
    window.changed("a")  # one more behind it
    assert len(only(desk).polygons[0]) == 6
    window.changed("Delete")
    assert len(only(desk).polygons[0]) == 5
    before = only(desk)
    window.drag((15, 15), (19, 15))  # all of it
    window.saved()
    assert near(only(desk).holes[0][0], (before.holes[0][0][0] + 4, before.holes[0][0][1]))


@pytest.mark.parametrize("desk", ["instance"], indirect=True)
def test_brush_and_eraser(desk: Desk) -> None:
    window = desk.window
    window.press("p")
    window.drag((20, 20), (60, 20))
    window.saved()
    painted = mask_of(desk.labels, only(desk))
    assert painted[20, 20:60].all()
    assert not painted[40].any()
    window.drag((20, 50), (60, 50))  # a second part of what is chosen
    window.saved()
    assert mask_of(desk.labels, only(desk))[50, 20:60].all()
    window.press("e", "[", "[")
    window.drag((40, 10), (40, 60))
    window.saved()
    assert not mask_of(desk.labels, only(desk))[:, 40].any()
    assert mask_of(desk.labels, only(desk))[20, 20:33].all()
    kept = mask_of(desk.labels, only(desk))
    window.changed("m")  # corners of what was painted
    assert only(desk).rle is None
    assert (mask_of(desk.labels, only(desk)) ^ kept).sum() < 0.15 * kept.sum()
    window.press("e", *["]"] * 12)
    window.drag((20, 20), (60, 50))
    window.saved()
    assert marks(desk.labels) == []  # nothing is left of it


@pytest.mark.parametrize("desk", ["keypoints"], indirect=True)
def test_joints(desk: Desk) -> None:
    window = desk.window
    window.press("j")
    window.drag((10, 10), (80, 60))
    window.says("#status", "left_eye")
    window.click((30, 30))
    window.page.keyboard.down("Shift")
    window.click((60, 30))  # is hidden
    window.page.keyboard.up("Shift")
    window.says("#status", "nose")
    window.changed("x")  # is left out
    assert list(only(desk).visibility) == [2, 1, 0]
    assert near([v for point in only(desk).keypoints[:2] for v in point], (30, 30, 60, 30))
    window.press("v")
    window.drag((30, 30), (35, 40))
    window.saved()
    assert near(only(desk).keypoints[0], (35, 40))
    window.changed("x")
    assert list(only(desk).visibility) == [1, 1, 0]
    window.page.select_option("select[aria-label='nose is']", "visible")
    window.saved()
    assert list(only(desk).visibility) == [1, 1, 2]


@pytest.mark.parametrize("desk", ["segment"], indirect=True)
def test_label_maps(desk: Desk) -> None:
    window = desk.window
    before = values_of(desk.labels)
    assert set(before.unique().tolist()) == {0, 1, 2, 255}
    window.press("2", "p")
    window.drag((10, 56), (50, 56))
    window.saved()
    after = values_of(desk.labels)
    assert (after[56, 10:50] == 1).all()
    assert (after[:40] == before[:40]).all()
    window.press("e")
    window.drag((30, 46), (30, 62))
    window.saved()
    assert (values_of(desk.labels)[50:60, 30] == 255).all()
    window.press("1", "g")
    window.click((60, 46), (80, 46), (80, 62))
    window.changed("Enter")
    assert values_of(desk.labels)[50, 76] == 0
    window.press("3", "f")
    window.click((20, 2))  # the ignored rows at the top
    window.saved()
    assert (values_of(desk.labels)[:4] == 2).all()
    for _ in range(4):
        window.changed("Control+z")
    assert (values_of(desk.labels) == before).all()

"""The page, where pictures are only looked at: uploads, the threshold, classes, video, and how it is made."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import torch
from PIL import Image
from playwright.sync_api import Browser
from tests.serve.browsing import Window, file_of, labelled, served, waited
from tests.serve.serving import NAMES, picture, record

from delineate.label import open_labels
from delineate.ops.masks import encode_rle
from delineate.serve import ServedModels, make_app
from delineate.serve.app import PAGE
from delineate.viz.palette import NUM_COLORS, hex_color, palette

SHOWN_FROM = 0.05
GUIDE = Path(__file__).parents[2] / "docs" / "labelling.md"


@pytest.fixture(scope="module")
def address(cells: Path, roads: Path) -> Iterator[str]:
    with served(make_app(ServedModels({"cells": cells, "roads": roads}, device="cpu"))) as address:
        yield address


@pytest.fixture
def window(browser: Browser, address: str) -> Iterator[Window]:
    window = Window(browser, address)
    yield window
    window.close()


def test_colours_are_those_of_all_pictures() -> None:
    written = re.findall(r'"(#[0-9a-f]{6})"', (PAGE / "colours.js").read_text())
    assert written == [hex_color(color) for color in palette(NUM_COLORS).tolist()]


def test_nothing_is_loaded_from_elsewhere() -> None:
    for file in PAGE.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, file.name
        assert not re.search(r"style=|onclick=|<script>|innerHTML|eval\(", text) or file.suffix == ".js", file.name


def test_uploads_the_threshold_and_classes(window: Window, cells: Path, tmp_path: Path) -> None:
    found = record(cells, picture(), min_score=SHOWN_FROM)
    window.page.set_input_files("#files", file_of(tmp_path, picture(), "one.png"))
    window.says("#status", f"{len(found['boxes'])} found")
    shown = window.page.locator("#marks-list .name")

    def shows(least: float, *names: str) -> bool:
        wanted = [
            label
            for label, score in zip(found["labels"], found["scores"], strict=True)
            if score >= least and label in names
        ]
        return shown.count() == len(wanted)

    def counted() -> int:
        return sum(int(text or 0) for text in window.page.locator("#classes .count").all_inner_texts())

    assert shows(0.5, *NAMES)  # the run's own
    assert counted() == shown.count() < len(found["scores"])
    window.says("#threshold-runs", "the run's own: 0.50")
    window.page.locator("#threshold").fill(str(SHOWN_FROM))
    assert shows(SHOWN_FROM, *NAMES)
    assert counted() == shown.count() > 1
    window.page.uncheck("input[aria-label='show cat']")
    assert shows(SHOWN_FROM, "dog")
    window.page.click("#threshold-own")
    assert shows(0.5, "dog")
    assert not window.page.is_visible("#done")  # nothing is kept


def test_a_label_map_is_looked_at(window: Window, tmp_path: Path) -> None:
    window.page.select_option("#model", "roads")
    window.page.wait_for_selector("#threshold-panel", state="hidden")  # it has no scores
    files = [file_of(tmp_path, picture(seed=seed), f"{seed}.png") for seed in range(2)]
    window.page.set_input_files("#files", files)
    window.says("#status", "marked")
    tinted = """() => document.getElementById("marks").getContext("2d").getImageData(0, 0, 2000, 2000)
        .data.some((value) => value > 0)"""
    waited(lambda: window.ask(tinted))
    window.page.click("#dropped button >> nth=1")
    window.says("#status", "1.png: marked")


def test_what_is_no_picture_is_said(window: Window, tmp_path: Path) -> None:
    window.page.set_input_files("#files", file_of(tmp_path, b"no picture", "broken.png"))
    window.says("#status.trouble", "broken.png: ")


def test_the_camera_and_a_video_are_marked_as_they_play(window: Window, tmp_path: Path) -> None:
    window.page.locator("#threshold").evaluate(
        "(slider) => { slider.value = 0.05; slider.dispatchEvent(new Event('input')); }"
    )
    window.page.click("#camera")
    window.says("#player-said", re.compile(r"\d looks a second, [1-9]"))
    window.page.set_input_files("#files", _video(tmp_path / "clip.webm"))
    window.says("#file", "clip.webm")
    window.says("#player-said", re.compile(r"\d looks a second, \d"))
    window.says("#pause", "Play")  # at its end
    window.page.set_input_files("#files", file_of(tmp_path, picture(), "one.png"))
    window.says("#status", "one.png: ")
    assert not window.page.is_visible("#player")


def test_masks_are_read_and_written_as_coco_has_them(window: Window) -> None:
    sizes = [(1, 1), (1, 9), (9, 1), (7, 5), (40, 30), (31, 64)]
    masks = [torch.rand(size) < share for size in sizes for share in (0.0, 0.1, 0.6, 1.1)]
    rles = [encode_rle(mask[None])[0] for mask in masks]
    script = """async (rles) => {
        const { cut, decode, encode } = await import("./rle.js");
        return rles.map((rle) => {
            const [height, width] = rle.size;
            const bits = decode(rle);
            return [encode(bits, height, width).counts, [...cut(bits, [0, 0, width, height]).data]];
        });
    }"""
    for (counts, values), rle, mask in zip(window.ask(script, rles), rles, masks, strict=True):
        assert counts == rle["counts"]
        assert values == mask.flatten().int().tolist()


def test_traced_borders_fill_to_the_same_mask(window: Window) -> None:
    masks = [torch.rand(12, 17) < share for share in (0.2, 0.5, 0.8)]
    script = """async (rles) => {
        const { cut, decode } = await import("./rle.js");
        const { rasterised, traced } = await import("./shapes.js");
        return rles.map((rle) => {
            const { polygons, holes } = traced(decode(rle), 0);
            return [...cut(rasterised([...polygons, ...holes], 17, 12), [0, 0, 17, 12]).data];
        });
    }"""
    for values, mask in zip(window.ask(script, [encode_rle(mask[None])[0] for mask in masks]), masks, strict=True):
        assert values == mask.flatten().int().tolist()


def test_a_border_may_have_any_number_of_points(window: Window) -> None:
    script = """async () => {
        const { boxAround } = await import("./shapes.js");
        return boxAround(Array.from({ length: 400000 }, (_, at) => [at % 700, at % 300 + 5]));
    }"""
    assert window.ask(script) == [0, 5, 699, 304]


def test_parts_that_overlap_are_filled_once_and_holes_are_not(window: Window) -> None:
    script = """async (places) => {
        const { app } = await import("./app.js");
        const { mark, opened } = await import("./documents.js");
        const { paintMarks } = await import("./marks.js");
        const ring = (x1, y1, x2, y2) => [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
        const object = mark({
            label: "cat",
            box: [10, 10, 90, 60],
            polygons: [ring(10, 10, 60, 60), ring(40, 20, 90, 50).reverse()],
            holes: [ring(15, 15, 30, 30), ring(25, 25, 35, 35)],
        });
        app.doc = opened({ file: "", width: 100, height: 70, objects: [object] }, null);
        app.view.show(null, 100, 70);
        const context = new OffscreenCanvas(2000, 2000).getContext("2d");
        paintMarks(context, null);
        return places.map(([x, y]) => context.getImageData(...app.view.toScreen(x, y), 1, 1).data[3]);
    }"""
    one, other, both = (12, 50), (80, 35), (50, 35)
    hole, two_holes, outside = (20, 20), (28, 28), (80, 55)
    filled = window.ask(script, [one, other, both, hole, two_holes, outside])
    assert filled == [round(0.45 * 255)] * 3 + [0] * 3


def test_a_joint_that_is_moved_leaves_the_box_of_a_mask(window: Window) -> None:
    """The server takes a box that is another one beside the same mask for a thing that was moved, without its mask."""
    script = """async (polygons) => {
        const { withJoint } = await import("./reshaping.js");
        const object = { box: [5, 5, 20, 20], polygons, rle: null, keypoints: [[6, 6]], visibility: [2] };
        const { box, keypoints } = withJoint(object, 0, [30, 4], 2);
        return [box, keypoints];
    }"""
    assert window.ask(script, [[[5, 5], [20, 5], [20, 20]]]) == [[5, 5, 20, 20], [[30, 4]]]
    assert window.ask(script, None) == [[5, 4, 30, 20], [[30, 4]]]


def test_many_changes_are_posted_in_parts_that_the_server_takes(window: Window) -> None:
    script = """async (lengths) => {
        const { batched } = await import("./saving.js");
        const edits = lengths.map((length) => ({ kind: "put", object: { label: "x".repeat(length) } }));
        return (await batched(edits)).length;
    }"""
    assert window.ask(script, [5_000_000] * 3) == 1
    assert window.ask(script, [3_000_000] * 3) == 2
    assert window.ask(script, [20_000_000, 1]) == 1
    assert window.ask(script, [10] * 600) == 500


def test_all_controls_have_names_and_all_keys_are_listed(window: Window) -> None:
    unnamed = """() => [...document.querySelectorAll("button, select, input")].filter((one) =>
        ![one.textContent, one.ariaLabel, one.closest("label")?.textContent, one.getAttribute("aria-labelledby")]
            .some((name) => name?.trim())).map((one) => one.outerHTML)"""
    assert window.ask(unnamed) == []
    window.press("?")
    assert window.page.is_visible("#keys")
    listed = window.page.locator("#key-rows tr").all_inner_texts()
    assert len(listed) > 30
    assert any("Ctrl+z" in line and "takes the last change back" in line for line in listed)
    _guide_has_only(listed, window.page.locator("#key-rows kbd").all_inner_texts())
    window.press("Escape")
    assert not window.page.is_visible("#keys")


def _guide_has_only(listed: list[str], keys: list[str]) -> None:
    """What the guide says of tools and keys is so."""
    guide = GUIDE.read_text(encoding="utf-8").partition("## Marking, by pointer or by keyboard")[2]
    section = guide.partition("\n## ")[0]
    tools = {
        (key.lower(), title.lower()) for title, key in re.findall(r"^\| (\w+) \| `(\w)` \|", section, re.MULTILINE)
    }
    assert tools == {found for line in listed for found in re.findall(r"^(\w)\s+takes the tool: (\w+)", line.strip())}
    assert {key.lower() for key in re.findall(r"`([^`]+)`", section)} <= {key.lower() for key in keys}


def test_it_fits_a_phone(browser: Browser, cells: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    models = ServedModels({"cells": cells}, device="cpu")
    with labelled(open_labels(tmp_path, models)) as address:
        window = Window(browser, address, viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
        for tab in ("Pictures", "Training", "Marks"):
            window.page.click(f"#tabs button:has-text('{tab}')")
            assert window.ask("() => document.documentElement.scrollWidth") <= 390
        assert window.page.is_visible("#classes")
        assert not window.page.is_visible("#queue")
        window.close()


def _video(file: Path) -> Path:
    av = pytest.importorskip("av", reason="av is not installed")
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for seed in range(10):
            frame = av.VideoFrame.from_image(Image.open(io.BytesIO(picture(seed=seed))))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file

"""Whether the page stays smooth: milliseconds between its frames, with 200 objects in a picture of 12 megapixels.

`delineate label` serves one picture with objects that are polygons, polygons of two parts with a hole, and masks of
pixels, in turn. A headless Chromium shows all of it, and for `--seconds` each pans, zooms, drags an object of every
kind, and paints a new one; the browser says when it draws frames (`requestAnimationFrame`). The peer is a picture of a
twelfth of the pixels with as many objects: the page is as smooth where both are the same. A screen of 60 Hz has a frame
every 16.7 ms. A headless Chromium draws on the processor, and takes longer than one with a graphics card.

Takes about a minute. Without Chromium, or playwright, it says so and measures nothing.
"""

import argparse
import math
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from delineate.label import open_labels
from delineate.label.marks import Mark
from timing import Row, print_rows

if TYPE_CHECKING:
    from playwright.sync_api import Page

CLASSES = ("disk", "ring", "star")
CORNERS = 48
KINDS = ("polygon", "polygon with a hole", "mask")
RECORD = """() => {
    window.deltas = [];
    let last = 0;
    const tick = (now) => {
        if (last) window.deltas.push(now - last);
        last = now;
        window.ticking = requestAnimationFrame(tick);
    };
    window.ticking = requestAnimationFrame(tick);
}"""
RECORDED = "() => { cancelAnimationFrame(window.ticking); return window.deltas; }"
SEEN = "() => ['scale', 'x', 'y'].map((name) => Number(document.getElementById('stage').dataset[name]))"

Place = tuple[float, float]


def place_of(number: int, objects: int, size: tuple[int, int]) -> Place:
    """The middle of an object: they stand in rows and columns, as far apart as the picture's sides let them."""
    height, width = size
    columns = math.ceil(math.sqrt(objects * width / height))
    rows = math.ceil(objects / columns)
    return (number % columns + 0.5) * width / columns, (number // columns + 0.5) * height / rows


def ring(middle: Place, radius: float, seed: int) -> list[list[float]]:
    """A round border with bumps."""
    angles = np.arange(CORNERS) * 2 * math.pi / CORNERS
    reach = radius * (1 + 0.2 * np.sin(angles * (3 + seed % 5)))
    return [[float(x), float(y)] for x, y in zip(*(m + reach * f(angles) for m, f in _axes(middle)), strict=True)]


def _axes(middle: Place) -> Iterator[tuple[float, Callable[[Any], Any]]]:
    yield from zip(middle, (np.cos, np.sin), strict=True)


def marked(number: int, objects: int, size: tuple[int, int]) -> dict[str, Any]:
    """An object as the page sends it: of each kind in turn."""
    x, y = place_of(number, objects, size)
    radius, kind = 0.35 * math.sqrt(size[0] * size[1] / objects), KINDS[number % len(KINDS)]
    shape: dict[str, Any] = {"polygons": [ring((x, y), radius, number)]}
    if kind == "polygon with a hole":
        shape = {
            "polygons": [ring((x, y), radius, number), ring((x + radius, y + radius), radius / 3, number)],
            "holes": [ring((x + radius / 3, y), radius / 4, number)],
        }
    corners = np.concatenate(shape["polygons"]).clip(0, size[::-1])
    box = [*corners.min(0).tolist(), *corners.max(0).tolist()]
    mark = {"key": f"object-{number}", "label": CLASSES[number % 3], "box": box}
    if kind == "mask":
        return {**mark, "rle": dict(Mark(**mark, **shape).mask(size) or {})}
    return mark | shape


def write_folder(folder: Path, size: tuple[int, int], objects: int) -> Path:
    """One picture of texture, and what is marked in it."""
    noise = np.random.default_rng(0).integers(0, 256, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
    folder.mkdir()
    Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC).save(folder / "a.jpg", quality=90)
    labels = open_labels(folder, naming={"classes": CLASSES, "task": "instance"}, first_after=0)
    marks = [marked(number, objects, size) for number in range(objects)]
    labels.edit(labels.collection.pictures[0], 0, "benchmark", [{"kind": "replace", "objects": marks}])
    labels.close()
    return folder


@contextmanager
def served(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "delineate", "label", str(folder), "--port", "0", "--first-after", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            address = next(found[0] for line in process.stderr if (found := re.search(r"http://[0-9.:]+/", line)))
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield address
        finally:
            process.terminate()
            process.wait(60)


def during(page: "Page", seconds: float, work: Callable[[int], object]) -> list[float]:
    """Milliseconds between the frames while some work is done again and again."""
    page.evaluate(RECORD)
    end = time.monotonic() + seconds
    for step in count():
        work(step)
        if time.monotonic() > end:
            break
    found: list[float] = page.evaluate(RECORDED)
    return found


def frames(page: "Page", seconds: float, objects: int, size: tuple[int, int]) -> dict[str, list[float]]:
    """Milliseconds between the frames of each thing that is done."""
    mouse, box = page.mouse, page.locator("#stage").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def around(place: Place, step: int, radius: float = 60) -> Place:
        return place[0] + radius * math.sin(step / 9), place[1] + radius * math.sin(step / 7)

    def dragged(place: Place, button: Any = "left") -> list[float]:
        mouse.move(*place)
        mouse.down(button=button)
        found = during(page, seconds, lambda step: mouse.move(*around(place, step)))
        mouse.up(button=button)
        return found

    def on_screen(number: int) -> Place:
        scale, x, y = page.evaluate(SEEN)
        there = place_of(number, objects, size)
        return box["x"] + there[0] * scale + x, box["y"] + there[1] * scale + y

    found = {"pan": dragged(middle, "right")}
    mouse.move(*middle)
    found["zoom"] = during(page, seconds, lambda step: mouse.wheel(0, -60 if step % 80 < 40 else 60))
    page.keyboard.press("0")
    page.wait_for_timeout(200)
    for number, kind in enumerate(KINDS):
        found[f"drag a {kind}"] = dragged(on_screen(number + 3 * (objects // 6)))
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    found["paint"] = dragged(middle)
    return found


def measured(
    folder: Path, chromium: str, seconds: float, objects: int, size: tuple[int, int]
) -> dict[str, list[float]]:
    """Serve a picture of a size, and do all of it."""
    from playwright.sync_api import sync_playwright

    with served(write_folder(folder, size, objects)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.locator("#marks-title", has_text=f"{objects} marks").wait_for()
        page.wait_for_timeout(500)
        found = frames(page, seconds, objects, size)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=[3000, 4000], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("There is no Chromium on this machine: nothing was measured.")
    height, width = arguments.size
    small = max(1, round(height / math.sqrt(12))), max(1, round(width / math.sqrt(12)))
    with tempfile.TemporaryDirectory() as folder:
        given = chromium, arguments.seconds, arguments.objects
        ours = measured(Path(folder, "large"), *given, (height, width))
        peer = measured(Path(folder, "small"), *given, small)
    rows: list[Row] = []
    for name in ours:
        for said, of in (("median", statistics.median), ("longest", max)):
            mine, its = float(of(ours[name])), float(of(peer[name]))
            rows.append({"name": f"{name}, {said} ms", "ours": mine, "peer": its, "ratio": its / mine})
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()

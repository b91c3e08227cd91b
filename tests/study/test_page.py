import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from tests.models.systems import system_of
from tests.study.samples import result

from delineate.data import read_dataset, synthesise
from delineate.study import write_study
from delineate.study.page import family_of, read_findings, short_names, time_row, write_plot
from delineate.study.results import Findings, write_tables
from delineate.values import InputError

RESULTS = [result("faster_rcnn", 0.5, 3.0), result("ssd", 0.45, 40.0), result("yolov2", 0.3, 35.0)]
LONG = "fast_rcnn backbone=tf_efficientnet_lite0 roi_features=align proposer=selective_search"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    results = [*RESULTS, result(LONG, 0.2, 1.0)]
    findings = Findings(results=results, failures={"rcnn, seed 0": "a <i>bad</i> picture"}, facts={"data": "cells"})
    write_study(tmp_path / "report.html", findings)
    return tmp_path / "report.html"


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_the_page_says_everything_and_needs_nothing(page: Path) -> None:
    html = page.read_text()
    parser = Cells()
    parser.feed(html)
    for name in ("faster_rcnn", "ssd", "yolov2", "dog <b>", "a <i>bad</i> picture", "rcnn, seed 0", "classification"):
        assert name in parser.words
    assert "For accuracy alone: faster_rcnn (AP 0.500, 3 pictures/s, most between 2.5 and 3.33)." in parser.words
    assert html.count("<svg") == html.count('role="img"') == html.count("<title>AP by ") == 4
    assert not re.search(r"""(src|href)=["']https?:""", html)


def test_the_front_joins_what_is_not_beaten(tmp_path: Path) -> None:
    write_plot(tmp_path / "plot.svg", RESULTS)
    write_plot(tmp_path / "plot.png", RESULTS)
    assert "faster_rcnn" in (tmp_path / "plot.svg").read_text()
    with Image.open(tmp_path / "plot.png") as plot:
        assert plot.size[0] > 800


def test_families_are_the_folders_of_the_systems() -> None:
    assert [family_of(name) for name in ("unet", "localizer", "rcnn", "yolov1", "detr")] == [
        *("segmentation", "regression", "two_stage", "one_stage", "queries")
    ]


def test_times_are_milliseconds_in_figures_that_one_can_read() -> None:
    assert time_row(result("ssd", 0.4, 40.0))["total"] == "25 (22.5–30)"
    assert time_row(result("rcnn", 0.4, 0.1))["total"] == "10,000 (9,000–12,000)"


def test_points_are_named_by_what_tells_them_apart() -> None:
    names = ["unet plain nearest", "unet plain bilinear", "ssd smallest_scale=0.08 320", "yolov2 320", "yolov2 416"]
    assert short_names(names) == ["unet nearest", "unet bilinear", "ssd", "yolov2 320", "yolov2 416"]


def test_several_studies_are_merged(tmp_path: Path) -> None:
    for folder, results in (("a", RESULTS[:2]), ("b", [*RESULTS[1:], result("detr", 0.2, 5.0)])):
        (tmp_path / folder).mkdir()
        write_tables(tmp_path / folder, Findings(results=results, facts={"data": folder}))
    merged = read_findings([tmp_path / "a", tmp_path / "b"])
    assert [its.name for its in merged.results] == ["faster_rcnn", "ssd", "ssd (b)", "yolov2", "detr"]
    assert merged.facts == {"a: data": "a", "b: data": "b"}
    (tmp_path / "c").mkdir()
    write_tables(tmp_path / "c", Findings(results=[result("unet", 0.2, 5.0, metric="mIoU", metrics={"mIoU": 0.2})]))
    with pytest.raises(InputError, match="measured by AP, mIoU; merge those of one task"):
        read_findings([tmp_path / "a", tmp_path / "c"])
    with pytest.raises(InputError, match=r"no study, there is no results\.json"):
        read_findings([tmp_path])


def test_nothing_finished_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no entry came to its end"):
        write_study(tmp_path / "report.html", Findings(results=[]))


def test_pictures_in_which_nothing_is_likely_say_so(tmp_path: Path) -> None:
    synthesise(tmp_path / "data", num_images=20, image_size=(64, 64))
    system_of("ssd").save(tmp_path / "run" / "best.safetensors")
    findings = Findings(results=[result("ssd", 0.1, 40.0, folders=[str(tmp_path / "run")])])
    write_study(tmp_path / "report.html", findings, read_dataset(tmp_path / "data", "val"))
    parser = Cells()
    parser.feed((tmp_path / "report.html").read_text())
    assert "ssd: nothing above 0.5" in parser.words
    assert "ssd" not in parser.words[parser.words.index("The same pictures") :]


PROBE = """<script>
const place = thing => document.querySelector(thing).getBoundingClientRect();
const title = [document.documentElement.scrollWidth, innerWidth, place("#systems tbody td").right];
const table = document.querySelector("#systems").parentElement;
table.scrollLeft = table.scrollWidth;
title.push(place("#systems tbody th").left, place("#systems tbody td:last-child").right);
title.push(place(".advice li").left - place(".advice").left);
title.push(getComputedStyle(table).overflowX === "auto" ? 1 : 0);
document.title = title.map(Math.round).join(" ");
document.querySelector("#systems th:nth-child(4)").click();
</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1200, 380])
def test_a_browser_shows_it_without_scrolling_sideways(page: Path, tmp_path: Path, width: int) -> None:
    """The page's own script writes what it measured where the dump of the page shows it."""
    (tmp_path / "probe.html").write_text(page.read_text().replace("</body>", PROBE + "</body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    command = ["chromium", *options, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"]
    dumped = subprocess.run(
        [*command, "--dump-dom", f"file://{tmp_path / 'probe.html'}"], capture_output=True, text=True, timeout=120
    ).stdout
    values = re.search(r"<title>([-\d ]+)</title>", dumped)[1].split()
    content, window, first, name, last, indent, scrolls = map(int, values)
    assert content <= window
    assert first <= window, "a number is seen beside its name"
    assert name >= 0, "and the name stays where it is while the table moves"
    assert scrolls, "by whoever looks at it"
    assert last <= window, "until its last column is seen"
    assert indent >= 30, "marks of the advice lie within its frame"
    systems = dumped[dumped.index('id="systems"') :]
    assert 'aria-sort="descending"' in systems[: systems.index("</thead>")]
    order = [systems.index(f'<th scope="row">{name}</th>') for name in ("ssd", "yolov2", "faster_rcnn")]
    assert order == sorted(order)  # by pictures/s

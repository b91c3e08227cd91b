import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from math import nan
from pathlib import Path

import torch
from PIL import Image

from delineate.viz import Exhibit, Report, write_report
from delineate.viz.palette import class_colors

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """The tags, the words and the pictures of a page, whose tags must match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.pictures: list[Image.Image] = []
        self.styles: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attrs)
        self.styles.append(values.get("style") or "")
        if tag == "img":
            data = (values["src"] or "").removeprefix("data:image/jpeg;base64,")
            self.pictures.append(Image.open(BytesIO(base64.b64decode(data))))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and "style" not in self.open:
            self.words.append(data.strip())


def written(tmp_path: Path, report: Report) -> tuple[str, Page]:
    write_report(tmp_path / "runs" / "report.html", report)
    text = (tmp_path / "runs" / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def full_report() -> Report:
    return Report(
        title="unet <script>alert(1)</script>",
        summary="Trained & measured.",
        headline={"mean IoU": 0.68349, "pixel accuracy": 0.9, "pictures": 12345.0},
        facts={"seed": "7", "machine": "2 cores"},
        command='delineate train unet "my data"',
        history=[{"train/loss": 2.0, "val/mean_iou": 0.1}, {"train/loss": 1.0, "val/mean_iou": 0.3}],
        per_class={
            "--><marquee>disc": {"IoU": 0.25, "num_pixels": 1200},
            "bar": {"IoU": nan},
            "background": {"IoU": 0.9, "num_pixels": 3},
        },
        confusion=torch.tensor([[1, 2, 0], [0, 5, 0], [0, 0, 1]]),
        confusion_names=("--><marquee>disc", "bar", "background"),
        precision_recall={"--><marquee>disc": torch.tensor([1.0, 0.5]), "background": torch.tensor([1.0, 0.0])},
        errors={"missed <em>": 0.125, "background": 0.0},
        error_counts={"missed <em>": 17, "background": 0},
        colors=class_colors(("--><marquee>disc", "bar")),
        advice="F1 is best.",
        protocol="all of it",
        worst_pictures=[Exhibit("worst <em>", [("", torch.zeros(3, 40, 10, dtype=torch.uint8))])],
        pictures=[
            Exhibit("best <em>", [("truth", torch.zeros(3, 20, 30, dtype=torch.uint8))]),
            Exhibit("wide", [("truth", torch.zeros(3, 20, 3200, dtype=torch.uint8))]),
        ],
    )


def test_all_that_was_given_is_said(tmp_path: Path) -> None:
    _, page = written(tmp_path, full_report())
    for word in (
        "0.683",
        "0.900",
        "12,345",
        "mean IoU",
        "7",
        "2 cores",
        'delineate train unet "my data"',
        "1,200",
        "–",
    ):
        assert word in page.words
    assert [picture.size for picture in page.pictures] == [(10, 40), (30, 20), (1600, 10)]


def test_detection_has_its_figures_and_their_notes(tmp_path: Path) -> None:
    text, page = written(tmp_path, full_report())
    assert page.words.count("Detection") == 1
    assert "F1 is best." in page.words
    assert any(word.endswith("and the number of these errors. Detections of every score count.") for word in page.words)
    assert text.count("<svg") == 2 + 2 + 1
    _, page = written(tmp_path, Report(title="a", errors={"missed": 0.5}))
    assert any(word.endswith("were mended. Detections of every score count.") for word in page.words)
    assert "Beside each class its average precision." not in page.words


def test_what_was_given_cannot_become_markup(tmp_path: Path) -> None:
    _, page = written(tmp_path, full_report())
    assert not page.tags & {"script", "marquee", "em"}
    assert "unet <script>alert(1)</script>" in page.words
    assert "--><marquee>disc" in page.words
    assert {"best <em>", "worst <em>"} <= set(page.words)


def test_bars_show_shares_and_swatches_the_colours_of_the_pictures(tmp_path: Path) -> None:
    _, page = written(tmp_path, full_report())
    assert [style for style in page.styles if style.startswith("width")] == ["width: 25.0%", "width: 90.0%"]
    swatches = [style for style in page.styles if style.startswith("background")]
    shown = [f"background: {color}" for color in full_report().colors.values()]
    assert swatches == [*shown, *shown], "in the table, and in the legend of the pictures"


def test_analysis_comes_before_pictures_of_which_few_are_open(tmp_path: Path) -> None:
    picture = torch.zeros(3, 8, 8, dtype=torch.uint8)
    report = replace(full_report(), pictures=[Exhibit(f"{number}.png", [("truth", picture)]) for number in range(7)])
    text, page = written(tmp_path, report)
    order = [page.words.index(word) for word in ("Classes", "Confusion matrix", "Most disagreement", "Pictures")]
    assert order == sorted(order)
    assert "3 more" in page.words
    assert text.index("3.png") < text.index("<summary>3 more") < text.index("4.png")


def test_each_picture_opens_larger_and_closes(tmp_path: Path) -> None:
    text, _ = written(tmp_path, full_report())
    targets, links = (set(re.findall(pattern, text)) for pattern in (r'id="([^"]+)"', r'href="#([^"]+)"'))
    assert {f"picture-{number}" for number in (1, 2, 3)} <= links
    assert links <= targets


def test_the_protocol_is_folded_and_joints_are_no_classes(tmp_path: Path) -> None:
    text, page = written(tmp_path, replace(full_report(), row="joint"))
    assert text.index("<summary>How it is measured") < text.index("all of it")
    assert {"Joints", "joint"} <= set(page.words)
    assert "Classes" not in page.words


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    text, _ = written(tmp_path, full_report())
    addresses = set(re.findall(r"""(?:href|src|url)\s*[=(]\s*["']?([^"')\s>]{1,60})""", text))
    assert {address for address in addresses if not address.startswith(("#", "data:"))} == set()
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "prefers-color-scheme: dark" in text


def test_parts_that_are_empty_are_left_out(tmp_path: Path) -> None:
    _, page = written(tmp_path, Report(title="nothing yet"))
    assert page.words == ["nothing yet", "nothing yet"]

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from delineate.viz import illegible, scripts
from delineate.viz.report import Report, write_report
from delineate.viz.scripts import DEJAVU, families, font_file, legible
from delineate.viz.text import draw_text, text_size

CJK = "血小板"


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No font is installed, and nothing is remembered of those that are."""
    installed(monkeypatch)


def installed(monkeypatch: pytest.MonkeyPatch, *paths: str) -> None:
    monkeypatch.setattr(scripts.font_manager, "findSystemFonts", lambda: list(paths))
    for function in (scripts.font_file, scripts._legible, scripts._installed):
        function.cache_clear()


def test_scripts_that_dejavu_has_are_written_as_they_are() -> None:
    names = ("Rød blodcelle", "Лейкоцит", "κύτταρο", "خلية", "תא")
    assert legible(names) == names
    assert illegible(names) == []


def test_what_no_font_has_is_written_in_words_or_by_its_number() -> None:
    names = ("cat", CJK, "🐈", "👩\u200d🌾", "㎏", "猫 cat")
    assert legible(names) == ("cat", "class 1", "cat", "woman ear of rice", "kg", "class 5")
    (line,) = illegible(names)
    assert line.startswith("pictures: no installed font has the letters of some names, '血小板' is 'class 1', '🐈' is")


def test_an_installed_font_is_taken_where_it_has_the_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "_has", lambda path, letters: "Noto" in path or max(letters) < "\u3000")
    names = ("odd.ttf", "NotoSerif-Regular.ttf", "NotoSans-Bold.ttf", "NotoSans-Regular.ttf")
    installed(monkeypatch, *(f"/f/{name}" for name in names))
    assert font_file(CJK) == "/f/NotoSans-Regular.ttf"
    assert font_file("cat") == DEJAVU
    assert legible([CJK]) == (CJK,)
    assert illegible([CJK]) == []


def test_fonts_that_are_broken_or_not_there_are_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    installed(monkeypatch, str(broken), str(tmp_path / "gone.ttf"))
    assert font_file(CJK) is None
    assert families([CJK, "cat"]) == ["DejaVu Sans"]


def test_letters_are_drawn_within_their_line() -> None:
    for text in ("Ågypj", "خلية"):
        canvas = Image.new("RGB", (100, 60))
        draw_text(ImageDraw.Draw(canvas), (10, 10), text, 16, (255, 255, 255))
        left, top, right, bottom = canvas.getbbox() or (0, 0, 0, 0)
        width, height = text_size(text, 16)
        assert left >= 9
        assert top >= 10
        assert right <= 11 + width
        assert bottom <= 10 + height


def test_a_report_of_names_that_no_font_has_is_written_without_a_warning(tmp_path: Path) -> None:
    names = (CJK, "cat")
    curves = {name: torch.linspace(1, 0, 11) for name in names}
    report = Report(
        title="a", confusion=torch.eye(2, dtype=torch.int64), confusion_names=names, precision_recall=curves
    )
    write_report(tmp_path / "report.html", report)
    assert (tmp_path / "report.html").stat().st_size > 1000

from itertools import pairwise
from math import nan
from pathlib import Path

import pytest
import torch
from PIL import Image

from delineate.values import InputError
from delineate.viz import plot_confusion, plot_curves
from delineate.viz.confusion import confusion_figure
from delineate.viz.curves import curve_figures, inline_svg, style

HISTORY = [
    {"train/loss": 2.0, "learning_rate": 0.01},
    {"train/loss": 1.0, "val/loss": 1.5, "val/mean_iou": 0.4, "learning_rate": 0.005, "seconds": 30.0},
    {"train/loss": 0.5, "val/loss": nan, "val/mean_iou": 0.6, "learning_rate": 0.0, "seconds": 31.0},
]


def test_losses_metrics_and_the_rest_have_their_panels() -> None:
    panels = [figure.axes[0] for figure in curve_figures(HISTORY)]
    assert [axes.get_title(loc="left") for axes in panels] == ["loss", "metrics", "learning rate", "seconds"]
    train, val = panels[0].lines
    assert train.get_xydata().tolist() == [[1, 2.0], [2, 1.0], [3, 0.5]]
    assert val.get_xydata().tolist() == [[2, 1.5]], "what was not measured is not drawn"
    assert panels[1].get_ylim() == (0, 1)


def test_epochs_may_be_given() -> None:
    (figure,) = curve_figures([{"epoch": 4, "loss": 1.0}, {"epoch": 9, "loss": 0.5}])
    assert figure.axes[0].lines[0].get_xdata().tolist() == [4, 9]


def test_names_at_the_ends_of_equal_curves_keep_apart() -> None:
    (figure,) = curve_figures([{f"metric_{index}": 1.0 for index in range(6)}])
    heights = sorted(text.get_position()[1] for text in figure.axes[0].texts if text.get_text() != "●")
    assert len(heights) == 6
    assert min(high - low for low, high in pairwise(heights)) > 0.07
    assert heights[-1] <= 1


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(InputError, match="history: no numbers to draw"):
        curve_figures([{"loss": nan}])


def test_curves_as_files(tmp_path: Path) -> None:
    plot_curves(HISTORY, tmp_path / "run" / "curves.png")
    with Image.open(tmp_path / "run" / "curves.png") as picture:
        assert picture.size[0] > 4 * 500
    plot_curves(HISTORY, tmp_path / "a.svg")
    plot_curves(HISTORY, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    with pytest.raises(InputError, match=r"curves\.pdf: curves are written as \.png or \.svg"):
        plot_curves(HISTORY, tmp_path / "curves.pdf")


def test_confusion_is_percent_of_the_row_with_counts_and_precision() -> None:
    axes = confusion_figure(torch.tensor([[3, 1], [0, 40_000]]), ["$a$", "b"]).axes[0]
    words = [text.get_text() for text in axes.texts]
    assert words[:6] == ["75", "3", "25", "1", "100", "40k"]
    assert words[6:9] == ["count", "4", "40k"], "of each row"
    assert words[9:] == ["count", "precision", "3", "100", "40k", "100"], "of each column"
    assert axes.yaxis_inverted()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("prediction", "truth")


def test_a_column_that_is_never_right_has_no_precision_where_it_means_missed() -> None:
    matrix = torch.tensor([[3, 1, 2], [0, 0, 4], [1, 1, 0]])
    texts = confusion_figure(matrix, ["a", "b", "background"]).axes[0].texts
    assert [text.get_text() for text in texts[-6:]] == ["4", "75", "2", "0", "6", "–"]
    many = confusion_figure(torch.eye(20, dtype=torch.int64), [f"class {number}" for number in range(20)]).axes[0]
    assert [text.get_text() for text in many.texts].count("1") == 40, "only rows and columns of many have counts"


def test_names_of_any_kind_are_drawn(tmp_path: Path) -> None:
    plot_confusion(torch.eye(3, dtype=torch.int64), ["$a", "_b", "猫"], tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as picture:
        assert len(set(picture.convert("L").tobytes())) > 10


def test_confusion_needs_one_name_a_class() -> None:
    with pytest.raises(InputError, match="confusion: 2 rows beside 3 names"):
        confusion_figure(torch.eye(2, dtype=torch.int64), ["a", "b", "c"])


def test_inline_figures_take_the_colour_of_the_page() -> None:
    with style():
        svg = inline_svg(curve_figures(HISTORY)[0])
    assert svg.startswith('<svg role="img"')
    assert "<title>loss</title>" in svg
    assert ">train/loss  0.5</text>" in svg, "text is text"
    assert "currentColor" in svg
    assert "#000000" not in svg
    assert "fill: #ffffff" not in svg

import pytest
import torch
from matplotlib.figure import Figure

from delineate.values import InputError
from delineate.viz.curves import inline_svg, style
from delineate.viz.detection_figures import error_figure, precision_recall_figure


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text() != "●"]


def test_classes_are_listed_by_their_average_precision_after_the_mean() -> None:
    figure = precision_recall_figure({"dog": torch.tensor([1.0, 0.5, 0.0]), "$cat": torch.tensor([1.0, 1.0, 0.4])})
    assert words(figure) == ["mean  0.65", "$cat  0.8", "dog  0.5"]
    dog, _, mean = figure.axes[0].lines
    assert dog.get_xydata().tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert mean.get_ydata().tolist() == pytest.approx([1, 0.75, 0.2])


def test_one_class_is_its_own_mean_and_may_have_its_colour() -> None:
    figure = precision_recall_figure({"dog": torch.ones(101)}, {"dog": "#123456", "cat": "#000000"})
    assert words(figure) == ["dog  1"]
    assert [line.get_color() for line in figure.axes[0].lines] == ["#123456"]


def test_of_very_many_classes_the_best_and_the_worst_are_named() -> None:
    figure = precision_recall_figure({f"class {place}": torch.full((101,), place / 100) for place in range(80)})
    listed = words(figure)
    assert len(figure.axes[0].lines) == 81
    assert listed[1] == "class 79  0.79"
    assert listed[8] == "… 66 more"
    assert listed[-1] == "class 0  0"
    heights = [text.get_position()[1] for text in figure.axes[0].texts]
    assert min(heights) >= 0


def test_the_costliest_error_is_on_top() -> None:
    figure = error_figure({"missed": 0.25, "both": 0, "background": 0.5}, {"missed": 1200, "both": 0, "background": 3})
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["both", "missed", "background"]
    assert [bar.get_width() for bar in axes.patches] == [0, 0.25, 0.5]
    assert words(figure) == ["0.000 (0)", "0.250 (1,200)", "0.500 (3)"]
    assert words(error_figure({"missed": 0.25})) == ["0.250"]


def test_a_system_without_errors_is_drawn_too() -> None:
    with style():
        assert inline_svg(error_figure({"missed": 0.0})).startswith("<svg")


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(InputError, match="precision_recall: no curve to draw"):
        precision_recall_figure({})
    with pytest.raises(InputError, match="errors: no bar to draw"):
        error_figure({})

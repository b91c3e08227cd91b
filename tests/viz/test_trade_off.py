import pytest
from matplotlib.path import Path
from matplotlib.text import Annotation

from delineate.values import InputError
from delineate.viz.curves import style
from delineate.viz.trade_off import Point, trade_off_figure


def test_names_hide_neither_each_other_nor_a_point_and_stay_inside() -> None:
    values = [0.30, 0.29, 0.28, 0.27, 0.26, 0.05]
    points = [
        Point(name=f"a system with a rather long name, number {i}", family="f", cost=1 + 0.02 * i, value=value)
        for i, value in enumerate(values)
    ]
    with style():
        figure = trade_off_figure(points, [0], cost="seconds", value="AP")
        figure.set_dpi(2 * figure.dpi)  # as files have it
        figure.draw_without_rendering()
        (axes,) = figure.axes
        names = [child for child in axes.get_children() if isinstance(child, Annotation)]
        boxes = [super(Annotation, name).get_window_extent() for name in names]
        assert len(boxes) == 6
        for index, box in enumerate(boxes):
            assert box.count_overlaps(boxes[index + 1 :]) == 0
            assert axes.bbox.x0 <= box.x0
            assert box.x1 <= axes.bbox.x1 + 1
        for point in points:
            x, y = axes.transData.transform((point.cost, point.value))
            assert not any(box.contains(x, y) for box in boxes)


def test_names_do_not_lie_on_the_front() -> None:
    figures = ((0.04, 0.285), (0.8, 0.296), (4.4, 0.317), (0.12, 0.05))
    points = [Point(name=f"system {i}", family="f", cost=cost, value=value) for i, (cost, value) in enumerate(figures)]
    with style():
        figure = trade_off_figure(points, [0, 1, 2], cost="seconds", value="AP")
        figure.draw_without_rendering()
        (axes,) = figure.axes
        names = [child for child in axes.get_children() if isinstance(child, Annotation)]
        front = Path(axes.transData.transform(figures[:3]))
        assert len(names) == 4
        for name in names:
            assert not front.intersects_bbox(super(Annotation, name).get_window_extent(), filled=False)


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(InputError, match="points: nothing to draw"):
        trade_off_figure([], [], cost="seconds", value="AP")

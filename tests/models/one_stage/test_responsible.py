import torch

from delineate.models.one_stage.responsible import centre_cells, first_of_each


def test_the_cell_of_the_centre_answers() -> None:
    # a grid of 2 x 4 cells of 50 x 25 pixels
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [60.0, 30.0, 100.0, 50.0], [100.0, 50.0, 100.0, 50.0]])
    cells, places = centre_cells(boxes, (2, 4), (50, 200))
    assert cells.tolist() == [0, 4 + 1, 4 + 2]
    torch.testing.assert_close(places, torch.tensor([[0.1, 0.2], [0.6, 0.6], [0.0, 1.0]]))


def test_a_centre_on_the_far_border_belongs_to_the_last_cell() -> None:
    cells, places = centre_cells(torch.tensor([[200.0, 50.0, 200.0, 50.0]]), (2, 4), (50, 200))
    assert cells.tolist() == [7]
    assert places.tolist() == [[1.0, 1.0]]


def test_the_first_of_equal_values_is_taken() -> None:
    values = torch.tensor([5, 2, 5, 9, 2])
    first = first_of_each(values)
    assert values[first].tolist() == [5, 2, 9]
    assert first.nonzero()[:, 0].tolist() == [0, 1, 3]
    assert len(first_of_each(values[:0])) == 0

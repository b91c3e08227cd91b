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
    values, first = first_of_each(torch.tensor([5, 2, 5, 9, 2]))
    assert values.tolist() == [2, 5, 9]
    assert first.tolist() == [1, 0, 3]
    values, first = first_of_each(torch.zeros(0, dtype=torch.int64))
    assert len(values) == len(first) == 0

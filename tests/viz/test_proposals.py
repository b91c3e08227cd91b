import torch

from delineate.values import Target
from delineate.viz import draw_proposals
from delineate.viz.proposals import COVERED, MISSED

BLACK = torch.zeros(3, 100, 400, dtype=torch.uint8)
BOXES = torch.tensor([[200.0, 10, 390, 90], [10, 10, 90, 90], [300, 20, 340, 60]])


def count(image: torch.Tensor, color: tuple[int, int, int]) -> int:
    return int((image == torch.tensor(color)[:, None, None]).all(0).sum())


def test_the_likelier_the_brighter() -> None:
    first, second, third = (int(draw_proposals(BLACK, BOXES)[0, y, x]) for x, y in ((200, 50), (10, 50), (300, 40)))
    assert first > second > third > 30
    assert int(draw_proposals(BLACK, BOXES.repeat(50, 1)[20:])[0].amax()) > 200, "the later ones hide none"


def test_covered_and_missed_objects_are_told_apart() -> None:
    target = Target(
        image_size=(100, 400),
        boxes=torch.tensor([[12.0, 12, 88, 88], [100, 40, 140, 80], [150, 40, 190, 80]]),
        labels=torch.tensor([0, 1, 0]),
        crowd=torch.tensor([False, False, True]),
    )
    drawn = draw_proposals(BLACK, BOXES, target)
    assert drawn[:, 50, 10].tolist() == list(COVERED), "the box that covers it, not the object's own"
    assert drawn[:, 60, 100].tolist() == list(MISSED)
    assert count(drawn, MISSED) < 4 * 40 * 2 + 1
    none = draw_proposals(BLACK, BOXES[:0], target)
    assert count(none, COVERED) == 0
    assert count(none, MISSED) > 0


def test_small_and_large_pictures_are_fitted_and_nothing_is_no_error() -> None:
    assert draw_proposals(BLACK[:, :40, :64], torch.tensor([[0.0, 0, 64, 40]])).shape == (3, 240, 384)
    large = torch.zeros(3, 1100, 4100, dtype=torch.uint8)
    assert draw_proposals(large, torch.tensor([[0.0, 0, 4100, 1100]])).shape == (3, 367, 1367)
    empty = Target(image_size=(100, 400))
    assert draw_proposals(BLACK, BOXES[:0], empty).shape == (3, 100, 400)

import torch

from delineate.values import Categories, Detections, Target
from delineate.viz import draw_verdicts
from delineate.viz.verdicts import MISSED, RIGHT, WRONG

NAMES = Categories(class_names=("disc",))
SIZE = (400, 600)


def test_right_wrong_and_missed_differ_in_colour_and_line() -> None:
    boxes = torch.tensor([[20.0, 100, 150, 350], [200, 100, 350, 350], [450, 100, 550, 350]])
    objects = Target(image_size=SIZE, boxes=boxes, labels=torch.zeros(3, dtype=torch.int64))
    found = Detections(
        image_size=SIZE, boxes=boxes[:2], labels=torch.zeros(2, dtype=torch.int64), scores=torch.tensor([0.9, 0.8])
    )
    missed = torch.tensor([False, False, True])
    right, wrong = torch.tensor([True, False]), torch.tensor([False, True])
    image = torch.full((3, *SIZE), 100, dtype=torch.uint8)
    drawn = draw_verdicts(image, found, objects, NAMES, right=right, wrong=wrong, missed=missed)
    shares = []
    for box, color in zip(boxes.int().tolist(), (RIGHT, WRONG, MISSED), strict=True):
        side = drawn[:, box[1] + 30 : box[3] - 30, box[0]]
        shares.append(float((side == torch.tensor(color)[:, None]).all(0).float().mean()))
    assert shares[0] == 1, "a whole line"
    assert 0.52 < shares[1] < 0.68, "dashes of 6 widths, 4 apart"
    assert 0.42 < shares[2] < 0.58, "dots of 2 widths, 2 apart"


def test_a_detection_that_counts_for_nothing_is_not_drawn() -> None:
    box = torch.tensor([[20.0, 100, 150, 350]])
    objects = Target(image_size=SIZE, boxes=box, labels=torch.tensor([0]), difficult=torch.tensor([True]))
    found = Detections(image_size=SIZE, boxes=box, labels=torch.tensor([0]), scores=torch.tensor([0.9]))
    image, no = torch.full((3, *SIZE), 100, dtype=torch.uint8), torch.tensor([False])
    assert torch.equal(draw_verdicts(image, found, objects, NAMES, right=no, wrong=no, missed=no), image)

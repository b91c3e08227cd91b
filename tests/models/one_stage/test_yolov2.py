import math

import pytest
import torch
from torch import Tensor, nn

from delineate.models.contract import Inputs
from delineate.models.one_stage import YOLOv2, yolov2
from delineate.models.one_stage.yolov2 import YOLOv2Raw, darknet_reorg, decode, losses
from delineate.values import InputError, Target, truths_of

SIZE = (64, 96)


def small(**options: int | str | bool) -> YOLOv2:
    return yolov2(
        num_classes=3, **{"backbone": "resnet10t", "image_size": 96, "width": 64, "num_anchors": 2, **options}
    )


def test_the_papers_network_has_13_x_13_cells_of_5_anchors() -> None:
    model = yolov2(num_classes=20, backbone="darknet19", width=1024).eval()
    assert sum(isinstance(module, nn.Conv2d) for module in model.backbone.modules()) == 18  # the 19th classified
    assert model.predict.out_channels == 125
    assert model.join[0].in_channels == 1024 + 256
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 416, 416)).deltas.shape == (1, 13 * 13 * 5, 4)


@pytest.mark.parametrize("passthrough", [True, False])
def test_any_size_of_pictures_goes_through(passthrough: bool) -> None:
    model = small(passthrough=passthrough).eval()
    with torch.inference_mode():
        outputs = model(torch.randn(2, 3, 70, 131))
    assert outputs.deltas.shape == (2, 3 * 5 * 2, 4)
    assert outputs.objectness.shape == (2, 30)
    assert outputs.logits.shape == (2, 30, 3)


def test_boxes_are_where_the_formula_puts_them() -> None:
    model = small()
    model.anchors.copy_(torch.tensor([[1.0, 2.0], [3.0, 1.5]]))
    raw: YOLOv2Raw = model(torch.randn(1, 3, *SIZE))
    deltas = torch.randn(1, 2 * 3 * 2, 4)
    boxes = decode(raw._replace(deltas=deltas))
    for row in range(2):
        for column in range(3):
            for anchor in range(2):
                number = (row * 3 + column) * 2 + anchor
                x, y, w, h = deltas[0, number].tolist()
                centre = (column + 1 / (1 + math.exp(-x))) * 32, (row + 1 / (1 + math.exp(-y))) * 32
                sides = [32 * float(model.anchors[anchor, i]) * math.exp(side) for i, side in enumerate((w, h))]
                expected = [centre[0] - sides[0] / 2, centre[1] - sides[1] / 2]
                expected += [centre[0] + sides[0] / 2, centre[1] + sides[1] / 2]
                assert boxes[0, number].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_deltas_that_lead_to_the_object_cost_nothing() -> None:
    """The loss of boxes is zero exactly where decoding gives the object back: they agree with each other."""
    model = small()
    model.anchors.copy_(torch.tensor([[1.0, 1.0], [2.0, 1.0]]))
    box = torch.tensor([[20.0, 10.0, 70.0, 44.0]])  # the centre is in cell (0, 1), the shape that of anchor 1
    target = Target(image_size=SIZE, boxes=box, labels=torch.tensor([2]))
    outputs = model(torch.randn(1, 3, *SIZE))
    deltas = outputs.deltas.detach().clone()
    number = 1 * 2 + 1
    place = torch.tensor([45 / 32 - 1, 27 / 32])
    deltas[0, number] = torch.cat([place.logit(), torch.tensor([50 / 64, 34 / 32]).log()])
    exact = outputs._replace(deltas=deltas)
    torch.testing.assert_close(decode(exact)[0, number], box[0], rtol=1e-4, atol=1e-4)
    result = losses(exact, decode(exact), truths_of([target]), model.anchors, (2, 3))
    assert result["box"].item() < 1e-8
    objectness = outputs.objectness[0].sigmoid()
    torch.testing.assert_close(result["object"], 5 * (objectness[number] - 1).square() / 2)
    torch.testing.assert_close(result["class"], -outputs.logits[0, number].log_softmax(0)[2])


def test_a_box_that_overlaps_an_object_well_is_no_negative() -> None:
    model = small()
    model.anchors.copy_(torch.tensor([[1.0, 1.0], [2.0, 1.0]]))
    outputs = model(torch.randn(1, 3, *SIZE))
    predicted = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(2 * 3 * 2, 1)
    predicted[7] = torch.tensor([20.0, 10.0, 70.0, 50.0])  # another cell's, IoU 0.85
    predicted[9] = torch.tensor([20.0, 10.0, 46.0, 44.0])  # IoU 0.52
    target = Target(image_size=SIZE, boxes=torch.tensor([[20.0, 10.0, 70.0, 44.0]]), labels=torch.tensor([0]))
    responsible = 1 * 2 + 1  # the second anchor of the cell (0, 1)
    squares = outputs.objectness[0].sigmoid().square()
    result = losses(outputs, predicted[None], truths_of([target]), model.anchors, (2, 3))
    torch.testing.assert_close(result["no_object"], (squares.sum() - squares[7] - squares[responsible]) / 2)


def test_what_a_crowd_covers_is_no_negative() -> None:
    model, inputs = small(), Inputs(torch.randn(1, 3, *SIZE))
    whole = {"boxes": torch.tensor([[0.0, 0.0, 96.0, 64.0]]), "labels": torch.tensor([0])}
    crowd = Target(image_size=SIZE, **whole, crowd=torch.tensor([True]))
    result = model.loss(inputs, truths_of([crowd]))
    assert result["box"] == result["object"] == result["class"] == 0
    assert result["no_object"] < model.loss(inputs, truths_of([Target(image_size=SIZE)]))["no_object"]


def test_reorg_is_darknets_loop() -> None:
    batch, channels, height, width = 2, 8, 4, 6
    x = torch.randn(batch, channels, height, width)
    flat, expected = x.flatten(), torch.zeros(x.numel())
    out_channels = channels // 4
    for b in range(batch):
        for k in range(channels):
            for j in range(height):
                for i in range(width):
                    offset, channel = divmod(k, out_channels)
                    column, row = i * 2 + offset % 2, j * 2 + offset // 2
                    here = i + width * (j + height * (k + channels * b))
                    target = column + width * 2 * (row + height * 2 * (channel + out_channels * b))
                    expected[here] = flat[target]
    mixed = darknet_reorg(x)
    assert mixed.shape == (batch, 4 * channels, height // 2, width // 2)
    assert torch.equal(mixed.flatten(), expected)


class Sizes:
    """Training pictures whose objects have these sizes."""

    def __init__(self, *sizes: tuple[int, int]) -> None:
        self.sizes = torch.tensor(sizes, dtype=torch.float32)

    def object_sizes(self) -> Tensor:
        return self.sizes

    def keypoint_classes(self) -> Tensor:
        raise NotImplementedError

    def class_weights(self) -> Tensor | None:
        raise NotImplementedError


def test_anchors_are_the_shapes_of_the_training_boxes() -> None:
    model = small()
    (line,) = model.begin(Sizes((64, 32), (64, 32), (16, 96)))
    assert line == "anchors: 16 x 96, 64 x 32; their mean IoU with the training boxes is 1.000"
    assert model.anchors.tolist() == [[0.5, 3.0], [2.0, 1.0]]
    with pytest.raises(
        InputError, match="anchors: 1 different sizes cannot make 2 shapes; the pictures hold 2 objects"
    ):
        model.begin(Sizes((64, 32), (64, 32)))


def test_a_backbone_without_the_two_strides_is_refused() -> None:
    with pytest.raises(InputError, match="backbone: darknet24 has maps of strides"):
        small(backbone="darknet24")

"""YOLOv1: Redmon, Divvala, Girshick, Farhadi 2016, "You only look once: unified, real-time object detection".

    picture ─► backbone ─► 3x3, stride 2 ─► fully connected ─► fully connected ─► S x S cells of C + 5 K values ─► NMS

B  pictures    S  cells a side    K  boxes a cell (the paper's B)    C  classes

A cell says which class the object in it has, and each of its boxes where it is and how much it overlaps it. A box is
its centre, as shares of the cell's sides, and the square roots of its own sides, as shares of the picture's.

Where it deviates: any backbone, ResNet-18 by default and 1024 hidden values, with a strided convolution on the way to S
x S where the map is large enough for it; batch norms in its own backbones, as in the published weights. What the head
hides is normalised (layer norm) and its last layer begins small, as the first steps would switch most of it off;
`--head connected` is the published one, without. The paper's head has weights of its own for every cell, which take
thousands of steps; `--head conv`, which is not the paper's, shares them, for short trainings. Colours change by
`--colour`, not by exposure and saturation. Scores are cut to 0..1 in detections; crowds and difficult objects are left
out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.capacity import Capacity
from delineate.models.contract import Inputs, Model, Rows
from delineate.models.naming import SHARED, Named
from delineate.models.one_stage.options import DarknetOneOrTimm, Head, HeadWidth, NumBoxes, NumCells, Width
from delineate.models.one_stage.responsible import CellObjects, centre_cells, first_of_each, not_ignored
from delineate.models.options import ImageSize
from delineate.models.rows import BoxReader
from delineate.nn import backbones
from delineate.nn.backbones.darknet import conv_bn_leaky, darknet
from delineate.ops.boxes import paired_iou
from delineate.values import Thresholds, Truth

COORD_WEIGHT, NO_OBJECT_WEIGHT = 5.0, 0.5
"""Section 2.2 calls them λ_coord and λ_noobj."""


class YOLOv1Raw(NamedTuple):
    """Each of S² cells, row by row, has class scores, and of each box a confidence and `x y √w √h`."""

    classes: Float[Tensor, "b s c"]
    confidences: Float[Tensor, "b s k"]
    boxes: Float[Tensor, "b s k 4"]


@dataclass(frozen=True, kw_only=True)
class YOLOv1Reader(BoxReader[YOLOv1Raw]):
    """A box scores its class times its confidence (equation 1); NMS goes class by class."""

    num_cells: int

    def candidates(self, raw: YOLOv1Raw, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        scores = raw.classes[:, :, None].clamp(0, 1) * raw.confidences[..., None].clamp(0, 1)
        boxes = corners(raw.boxes, self.num_cells, size).flatten(1, 2)
        return scores.flatten(1, 2).transpose(1, 2), boxes[:, None]


class YOLOv1(Model[YOLOv1Raw, Rows]):
    """The network looks once at a picture of `input_size`, and every cell says what is in it.

    The layers of `head` make the `S² (C + 5 K)` values of a map `(B, width, S, S)`: the classes of all cells, then
    confidences, then boxes.
    """

    def __init__(
        self,
        *,
        backbone: backbones.Backbone,
        reduce: nn.Module,
        head: nn.Sequential,
        num_cells: int,
        num_boxes: int,
        num_classes: int,
        input_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.backbone, self.reduce, self.head = backbone, reduce, head
        self.num_cells, self.num_boxes, self.num_classes = num_cells, num_boxes, num_classes
        self.input_size, self.most_objects = input_size, num_cells**2 * num_boxes
        self.reader = YOLOv1Reader(thresholds=Thresholds(score=0.005), num_cells=num_cells)

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> YOLOv1Raw:
        cells = F.adaptive_avg_pool2d(self.reduce(self.backbone(images).levels[-1]), self.num_cells)
        values = self.head(cells).float()
        num_cells = self.num_cells**2
        counts = [num_cells * self.num_classes, num_cells * self.num_boxes, num_cells * self.num_boxes * 4]
        classes, confidences, boxes = values.split(counts, 1)
        return YOLOv1Raw(
            classes.view(-1, num_cells, self.num_classes),
            confidences.view(-1, num_cells, self.num_boxes),
            boxes.view(-1, num_cells, self.num_boxes, 4),
        )

    def named_layers(self) -> Mapping[str, Named]:
        """The last layer has the classes of cell after cell, or of any, and then what is of no class."""
        place, last = [(at, layer) for at, layer in enumerate(self.head) if isinstance(layer, nn.Linear | nn.Conv2d)][
            -1
        ]
        cells = 1 if isinstance(last, nn.Conv2d) else self.num_cells**2
        outputs = [*range(self.num_classes)] * cells + [SHARED] * (5 * self.num_boxes * cells)
        return {f"head.{place}": Named(outputs)}

    def capacity(self, pictures: Sequence[Float[Tensor, "_n 4"]]) -> Capacity:
        grid = (self.num_cells, self.num_cells)
        return Capacity(
            lambda objects, size: ~first_of_each(centre_cells(objects, grid, size)[0]), "another has its cell"
        )

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Add up section 2.2, equation 3, of the mean picture."""
        raw = self(inputs.images)
        height, width = inputs.images.shape[-2:]
        predicted = corners(raw.boxes.detach(), self.num_cells, (height, width))
        objects = CellObjects.of(truths)
        cells, places = centre_cells(objects.boxes, (self.num_cells, self.num_cells), (height, width))
        in_cells = objects.pictures, cells
        learned = first_of_each(objects.pictures * self.num_cells**2 + cells)  # a cell has one class
        best, overlaps = _responsible(predicted[in_cells], objects.boxes)
        shares = (objects.boxes[:, 2:] - objects.boxes[:, :2]) / predicted.new_tensor([width, height])
        responsible = torch.zeros_like(raw.confidences).index_put((*in_cells, best), learned.float(), accumulate=True)
        negative = not_ignored(predicted.flatten(1, 2), truths).view_as(responsible) & (responsible == 0)
        box_errors = raw.boxes[*in_cells, best] - torch.cat([places, shares.sqrt()], 1)
        object_errors = raw.confidences[*in_cells, best] - overlaps
        class_errors = raw.classes[in_cells] - F.one_hot(objects.labels, self.num_classes)
        losses = {
            "box": COORD_WEIGHT * box_errors.square().sum(1).where(learned, 0).sum(),
            "object": object_errors.square().where(learned, 0).sum(),
            "no_object": NO_OBJECT_WEIGHT * raw.confidences.square().where(negative, 0).sum(),
            "class": class_errors.square().sum(1).where(learned, 0).sum(),
        }
        return {name: loss / len(truths) for name, loss in losses.items()}


def corners(boxes: Float[Tensor, "b s k 4"], num_cells: int, image_size: tuple[int, int]) -> Float[Tensor, "b s k 4"]:
    """Decode the boxes of a grid of `num_cells` a side as `x1 y1 x2 y2` in pixels."""
    index = torch.arange(num_cells, device=boxes.device)
    y, x = torch.meshgrid(index, index, indexing="ij")
    centres = (boxes[..., :2] + torch.stack([x, y], -1).view(-1, 1, 2)) / num_cells
    half = boxes[..., 2:].square() / 2
    sides = boxes.new_tensor([image_size[1], image_size[0]])
    return torch.cat([(centres - half) * sides, (centres + half) * sides], -1)


def _responsible(
    predicted: Float[Tensor, "o k 4"], boxes: Float[Tensor, "o 4"]
) -> tuple[Int64[Tensor, " o"], Float[Tensor, " o"]]:
    """Choose the box of the cell that overlaps each object most, or is nearest where none does; add the IoU."""
    targets = boxes[:, None].expand_as(predicted)
    overlaps = paired_iou(predicted, targets)
    distances = (predicted - targets).square().sum(-1)
    best = torch.where(overlaps.amax(1) > 0, overlaps.argmax(1), distances.argmin(1))
    return best, overlaps.gather(1, best[:, None])[:, 0]


class LocallyConnected(nn.Module):
    """A 3x3 convolution has weights of its own at every one of S x S places."""

    def __init__(self, in_channels: int, out_channels: int, side: int) -> None:
        super().__init__()
        fan_in = 9 * in_channels
        self.weight = nn.Parameter(torch.randn(side * side, out_channels, fan_in) * (2 / fan_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(out_channels, side * side))

    def forward(self, x: Float[Tensor, "b c s s"]) -> Float[Tensor, "b d s s"]:
        windows = F.unfold(x, 3, padding=1)
        made = torch.einsum("sdk,bks->bds", self.weight, windows) + self.bias
        return made.view(x.shape[0], -1, *x.shape[-2:])


class CellAfterCell(nn.Module):
    """The maps of a convolution become values in the order of the other heads."""

    def __init__(self, *channels: int) -> None:
        super().__init__()
        self.channels = list(channels)

    def forward(self, x: Float[Tensor, "b v s s"]) -> Float[Tensor, "b _n"]:
        parts = torch.split(x, self.channels, 1)
        return torch.cat([part.flatten(2).transpose(1, 2).flatten(1) for part in parts], 1)


def _head(kind: Head, width: int, hidden: int, num_cells: int, channels: tuple[int, int, int]) -> nn.Sequential:
    """Build what makes the values of each cell from a map of `width` channels; half of what it hides drops.

    `channels` are a cell's classes, confidences and boxes (section 2.2).
    """
    cells, values = num_cells**2, sum(channels)
    layers: list[nn.Module]
    match kind:
        case "direct":
            return nn.Sequential(nn.Flatten(), nn.Linear(width * cells, values * cells))
        case "conv":
            return nn.Sequential(conv_bn_leaky(width, hidden), nn.Conv2d(hidden, values, 1), CellAfterCell(*channels))
        case "local":
            layers = [LocallyConnected(width, hidden, num_cells), nn.LeakyReLU(0.1), nn.Flatten()]
            return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(hidden * cells, values * cells))
        case "connected":
            layers = [nn.Flatten(), nn.Linear(width * cells, hidden), nn.LeakyReLU(0.1)]
        case "normalised":
            layers = [nn.Flatten(), nn.Linear(width * cells, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.1)]
    last = nn.Linear(hidden, values * cells)
    if kind == "normalised":
        nn.init.normal_(last.weight, std=0.01)
    return nn.Sequential(*layers, nn.Dropout(0.5), last)


def yolov1(
    *,
    num_classes: int,
    backbone: DarknetOneOrTimm = "resnet18",
    image_size: ImageSize = 448,
    num_cells: NumCells = 7,
    num_boxes: NumBoxes = 2,
    head: Head = "normalised",
    width: Width = 256,
    head_width: HeadWidth = 1024,
) -> YOLOv1:
    """Build YOLOv1; the paper's is `--backbone darknet24 --head-width 4096`, `--head conv` is for short trainings."""
    body = darknet(backbone, version=1)
    reduce: nn.Module = nn.Identity()
    if -(-image_size // (2 * body.strides[-1])) >= num_cells:
        reduce = conv_bn_leaky(body.channels[-1], width, stride=2)
    else:
        width = body.channels[-1]
    return YOLOv1(
        backbone=body,
        reduce=reduce,
        head=_head(head, width, head_width, num_cells, (num_classes, num_boxes, 4 * num_boxes)),
        num_cells=num_cells,
        num_boxes=num_boxes,
        num_classes=num_classes,
        input_size=(image_size, image_size),
    )

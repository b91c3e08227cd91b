"""YOLOv1: Redmon, Divvala, Girshick, Farhadi 2016, "You only look once: unified, real-time object detection".

    picture ─► backbone ─► 3x3, stride 2 ─► fully connected ─► fully connected ─► S x S cells of C + 5 K values ─► NMS

B  pictures    S  cells a side    K  boxes a cell (the paper's B)    C  classes

A cell says which class the object in it has, and each of its boxes where it is and how much it overlaps it. A box is
its centre, as shares of the cell's sides, and the square roots of its own sides, as shares of the picture's.

Where it deviates: any backbone, with a strided convolution on the way to S x S where the map is large enough for it;
batch norms in its own backbones, as in the published weights; scores are cut to 0..1 in detections; crowds and
difficult objects are left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.models.contract import Model
from delineate.models.one_stage.detections import detections
from delineate.models.one_stage.options import DarknetOneOrTimm, Head, HeadWidth, ImageSize, NumBoxes, NumCells, Width
from delineate.models.one_stage.responsible import centre_cells, first_of_each
from delineate.nn import backbones
from delineate.nn.backbones.darknet import conv_bn_leaky, darknet
from delineate.nn.matching import IGNORED_COVER, objects_of
from delineate.ops.boxes import coverage, paired_iou
from delineate.values import Detections, Target

COORD_WEIGHT, NO_OBJECT_WEIGHT = 5.0, 0.5
"""λ_coord and λ_noobj of section 2.2."""


class YOLOv1Outputs(NamedTuple):
    """What each of S² cells says, row by row: class scores, and of its boxes confidences and `x y √w √h`."""

    classes: Float[Tensor, "b s c"]
    confidences: Float[Tensor, "b s k"]
    boxes: Float[Tensor, "b s k 4"]
    image_size: tuple[int, int]


class YOLOv1(Model[YOLOv1Outputs, Detections]):
    """One look at a picture of `input_size`, and every cell says what is in it.

    `head` makes the `S² (C + 5 K)` values of a map `(B, width, S, S)`: all classes, then confidences, then boxes.
    """

    def __init__(
        self,
        *,
        backbone: backbones.Backbone,
        reduce: nn.Module,
        head: nn.Module,
        num_cells: int,
        num_boxes: int,
        num_classes: int,
        input_size: tuple[int, int],
        score_threshold: float = 0.005,
        nms_threshold: float = 0.5,
        max_detections: int = 100,
    ) -> None:
        super().__init__()
        self.backbone, self.reduce, self.head = backbone, reduce, head
        self.num_cells, self.num_boxes, self.num_classes = num_cells, num_boxes, num_classes
        self.input_size = input_size
        self.score_threshold, self.nms_threshold = score_threshold, nms_threshold
        self.max_detections = max_detections

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> YOLOv1Outputs:
        cells = F.adaptive_avg_pool2d(self.reduce(self.backbone(images).levels[-1]), self.num_cells)
        values = self.head(cells).float()
        num_cells = self.num_cells**2
        counts = [num_cells * self.num_classes, num_cells * self.num_boxes, num_cells * self.num_boxes * 4]
        classes, confidences, boxes = values.split(counts, 1)
        return YOLOv1Outputs(
            classes.view(-1, num_cells, self.num_classes),
            confidences.view(-1, num_cells, self.num_boxes),
            boxes.view(-1, num_cells, self.num_boxes, 4),
            (images.shape[-2], images.shape[-1]),
        )

    def corners(self, boxes: Float[Tensor, "b s k 4"], image_size: tuple[int, int]) -> Float[Tensor, "b s k 4"]:
        """The boxes as `x1 y1 x2 y2` in pixels."""
        index = torch.arange(self.num_cells, device=boxes.device)
        y, x = torch.meshgrid(index, index, indexing="ij")
        centres = (boxes[..., :2] + torch.stack([x, y], -1).view(-1, 1, 2)) / self.num_cells
        half = boxes[..., 2:].square() / 2
        sides = boxes.new_tensor([image_size[1], image_size[0]])
        return torch.cat([(centres - half) * sides, (centres + half) * sides], -1)

    def loss(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Section 2.2, equation 3, of the mean picture."""
        outputs = self(images)
        found = self.corners(outputs.boxes.detach(), outputs.image_size)
        by_picture = [self._losses(outputs, found[row], target, row) for row, target in enumerate(targets)]
        return {name: torch.stack([losses[name] for losses in by_picture]).mean() for name in by_picture[0]}

    def _losses(
        self, outputs: YOLOv1Outputs, found: Float[Tensor, "s k 4"], target: Target, row: int
    ) -> dict[str, Tensor]:
        device = found.device
        sides = found.new_tensor([outputs.image_size[1], outputs.image_size[0]])
        objects = objects_of(target)
        boxes, labels = objects.boxes.to(device), objects.labels.to(device)
        cells, places = centre_cells(boxes, (self.num_cells, self.num_cells), outputs.image_size)
        cells, first = first_of_each(cells)  # a cell has one class
        boxes, labels, places = boxes[first], labels[first], places[first]
        best, overlap = _responsible(found[cells], boxes)
        wanted = torch.cat([places, ((boxes[:, 2:] - boxes[:, :2]) / sides).sqrt()], 1)
        negative = coverage(found.flatten(0, 1), target.boxes[target.ignored].to(device)) <= IGNORED_COVER
        negative = negative.view(found.shape[:2])
        negative[cells, best] = False
        confidences = outputs.confidences[row]
        classes = F.one_hot(labels, self.num_classes).float()
        return {
            "box": COORD_WEIGHT * (outputs.boxes[row, cells, best] - wanted).square().sum(),
            "object": (confidences[cells, best] - overlap).square().sum(),
            "no_object": NO_OBJECT_WEIGHT * confidences[negative].square().sum(),
            "class": (outputs.classes[row, cells] - classes).square().sum(),
        }

    def postprocess(self, outputs: YOLOv1Outputs, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Class times confidence (equation 1), NMS class by class, and the way back to the original size."""
        scores = outputs.classes[:, :, None].clamp(0, 1) * outputs.confidences[..., None].clamp(0, 1)
        corners = self.corners(outputs.boxes, outputs.image_size).flatten(1, 2)
        return detections(
            scores.flatten(1, 2),
            corners,
            outputs.image_size,
            sizes,
            score_threshold=self.score_threshold,
            nms_threshold=self.nms_threshold,
            max_detections=self.max_detections,
        )


def _responsible(
    found: Float[Tensor, "n k 4"], boxes: Float[Tensor, "n 4"]
) -> tuple[Int64[Tensor, " n"], Float[Tensor, " n"]]:
    """The box of its cell that overlaps each object most, or is nearest where none does; and its IoU."""
    wanted = boxes[:, None].expand_as(found)
    overlaps = paired_iou(found, wanted)
    distances = (found - wanted).square().sum(-1)
    best = torch.where(overlaps.amax(1) > 0, overlaps.argmax(1), distances.argmin(1))
    return best, overlaps.gather(1, best[:, None])[:, 0]


class LocallyConnected(nn.Module):
    """A 3x3 convolution whose weights are another's at every one of S x S places."""

    def __init__(self, in_channels: int, out_channels: int, side: int) -> None:
        super().__init__()
        fan_in = 9 * in_channels
        self.weight = nn.Parameter(torch.randn(side * side, out_channels, fan_in) * (2 / fan_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(out_channels, side * side))

    def forward(self, x: Float[Tensor, "b c s s"]) -> Float[Tensor, "b d s s"]:
        windows = F.unfold(x, 3, padding=1)
        made = torch.einsum("sdk,bks->bds", self.weight, windows) + self.bias
        return made.view(len(x), -1, *x.shape[-2:])


def _head(kind: Head, width: int, hidden: int, num_cells: int, values: int) -> nn.Sequential:
    """What makes `values` of each cell from a map of `width` channels; half of what is hidden drops (section 2.2)."""
    cells = num_cells**2
    if kind == "direct":
        return nn.Sequential(nn.Flatten(), nn.Linear(width * cells, values * cells))
    if kind == "local":
        local = LocallyConnected(width, hidden, num_cells)
        last = nn.Linear(hidden * cells, values * cells)
        return nn.Sequential(local, nn.LeakyReLU(0.1), nn.Flatten(), nn.Dropout(0.5), last)
    connected, last = nn.Linear(width * cells, hidden), nn.Linear(hidden, values * cells)
    return nn.Sequential(nn.Flatten(), connected, nn.LeakyReLU(0.1), nn.Dropout(0.5), last)


def yolov1(
    *,
    num_classes: int,
    backbone: DarknetOneOrTimm = "resnet18",
    image_size: ImageSize = 448,
    num_cells: NumCells = 7,
    num_boxes: NumBoxes = 2,
    head: Head = "connected",
    width: Width = 256,
    head_width: HeadWidth = 1024,
) -> YOLOv1:
    """YOLOv1; the paper's is `--backbone darknet24 --head-width 4096`."""
    body = darknet(backbone, version=1)
    reduce: nn.Module = nn.Identity()
    if -(-image_size // (2 * body.strides[-1])) >= num_cells:
        reduce = conv_bn_leaky(body.channels[-1], width, stride=2)
    else:
        width = body.channels[-1]
    return YOLOv1(
        backbone=body,
        reduce=reduce,
        head=_head(head, width, head_width, num_cells, num_classes + 5 * num_boxes),
        num_cells=num_cells,
        num_boxes=num_boxes,
        num_classes=num_classes,
        input_size=(image_size, image_size),
    )

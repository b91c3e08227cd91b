"""YOLOv2: Redmon & Farhadi 2017, "YOLO9000: better, faster, stronger", section 2.

    picture ─► backbone ─┬─► stride 16 ─► 1x1 ─► the four places of a cell as channels ─┐
                         └─► stride 32 ─► 3x3 ─► 3x3 ───────────────────────────────────┴─► 3x3 ─► 1x1 ─► NMS

B  pictures    A  anchors    C  classes    N  boxes: cell by cell of 32 pixels, row by row, anchor by anchor

Of each anchor in each cell: where in the cell the centre lies, how much larger than the anchor the box is, whether
there is an object, and which. Anchors are `(width, height)` in cells; k-means finds them among the training boxes.

Where it deviates: any backbone; trained for detection alone, without WordTree (section 4); boxes are not drawn to their
anchors in the first steps, as Darknet does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_iou

from delineate.models.contract import Model
from delineate.models.one_stage.detections import detections
from delineate.models.one_stage.options import DarknetOrder, DarknetOrTimm, ImageSize, NumAnchors, Passthrough, Width
from delineate.models.one_stage.responsible import centre_cells, first_of_each
from delineate.nn import backbones
from delineate.nn.backbones.darknet import conv_bn_leaky, darknet
from delineate.nn.matching import IGNORED_COVER, objects_of
from delineate.ops.anchors import shape_iou
from delineate.ops.boxes import coverage, paired_iou
from delineate.values import Detections, InputError, Target

STRIDE, FINE_STRIDE = 32, 16
OBJECT_WEIGHT, NO_OBJECT_WEIGHT, IGNORED_IOU = 5.0, 1.0, 0.6
"""Darknet's `object_scale`, `noobject_scale` and `thresh`: a box that overlaps an object by more is no negative."""
LARGEST_RATIO = 8.0
"""No box is larger than its anchor by more than this, in logarithms: `exp` must not overflow."""
VOC_ANCHORS = ((1.3221, 1.73145), (3.19275, 4.00944), (5.05587, 8.09892), (9.47112, 4.84053), (11.2364, 10.0071))
"""Those of VOC, which published weights have; training takes its own data's."""


class YOLOv2Outputs(NamedTuple):
    """What is said of each anchor of each cell of a picture of that size."""

    deltas: Float[Tensor, "b n 4"]
    objectness: Float[Tensor, "b n"]
    logits: Float[Tensor, "b n c"]
    image_size: tuple[int, int]


class YOLOv2(Model[YOLOv2Outputs, Detections]):
    """A fully convolutional grid of cells of 32 pixels, for pictures of any size.

    `deep` goes on from the map of stride 32, `passthrough` from that of stride 16; `join` takes both. Without
    `passthrough` it takes what `deep` makes.
    """

    anchors: Tensor

    def __init__(
        self,
        *,
        backbone: backbones.Backbone,
        deep: nn.Module,
        passthrough: nn.Module | None,
        join: nn.Module,
        predict: nn.Module,
        num_anchors: int,
        num_classes: int,
        input_size: tuple[int, int],
        darknet_order: bool = False,
        score_threshold: float = 0.005,
        nms_threshold: float = 0.45,
        max_candidates: int = 400,
        max_detections: int = 100,
    ) -> None:
        super().__init__()
        self.backbone, self.deep, self.passthrough, self.join = backbone, deep, passthrough, join
        self.predict = predict
        self.num_classes, self.input_size, self.darknet_order = num_classes, input_size, darknet_order
        self.score_threshold, self.nms_threshold = score_threshold, nms_threshold
        self.max_candidates, self.max_detections = max_candidates, max_detections
        spread = torch.linspace(0, len(VOC_ANCHORS) - 1, num_anchors).round().long()
        self.register_buffer("anchors", torch.tensor(VOC_ANCHORS)[spread])

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> YOLOv2Outputs:
        height, width = images.shape[-2:]
        levels = self.backbone(F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE))).levels
        x = self.deep(levels[self.backbone.strides.index(STRIDE)])
        if self.passthrough is not None:
            fine = self.passthrough(levels[self.backbone.strides.index(FINE_STRIDE)])
            x = torch.cat([darknet_reorg(fine) if self.darknet_order else F.pixel_unshuffle(fine, 2), x], 1)
        values = self.predict(self.join(x)).float()
        values = values.unflatten(1, (len(self.anchors), -1)).permute(0, 3, 4, 1, 2).flatten(1, 3)
        return YOLOv2Outputs(values[..., :4], values[..., 4], values[..., 5:], (height, width))

    def grid(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """The rows and columns of cells over a picture, the last ones padded."""
        return -(-image_size[0] // STRIDE), -(-image_size[1] // STRIDE)

    def decode(self, deltas: Float[Tensor, "b n 4"], image_size: tuple[int, int]) -> Float[Tensor, "b n 4"]:
        """The boxes in pixels; a centre stays in its cell (section 2, "Direct location prediction")."""
        rows, columns = (torch.arange(count, device=deltas.device) for count in self.grid(image_size))
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        cells = torch.stack([x, y], -1).view(-1, 1, 2).expand(-1, len(self.anchors), -1).flatten(0, 1)
        anchors = self.anchors.repeat(len(rows) * len(columns), 1)
        centres = (deltas[..., :2].sigmoid() + cells) * STRIDE
        half = deltas[..., 2:].clamp(max=LARGEST_RATIO).exp() * anchors * STRIDE / 2
        return torch.cat([centres - half, centres + half], -1)

    def loss(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Squared errors of place, size and objectness, and the log loss of classes, of the mean picture."""
        outputs = self(images)
        found = self.decode(outputs.deltas, outputs.image_size).detach()
        by_picture = [self._losses(outputs, found[row], target, row) for row, target in enumerate(targets)]
        return {name: torch.stack([losses[name] for losses in by_picture]).mean() for name in by_picture[0]}

    def _losses(
        self, outputs: YOLOv2Outputs, found: Float[Tensor, "n 4"], target: Target, row: int
    ) -> dict[str, Tensor]:
        grid = self.grid(outputs.image_size)
        objects = objects_of(target)
        boxes, labels = objects.boxes.to(found.device), objects.labels.to(found.device)
        negative = coverage(found, target.boxes[target.ignored].to(found.device)) <= IGNORED_COVER
        negative &= (box_iou(found, boxes) <= IGNORED_IOU).all(1)
        cells, places = centre_cells(boxes, grid, (grid[0] * STRIDE, grid[1] * STRIDE))
        sides = (boxes[:, 2:] - boxes[:, :2]) / STRIDE
        shapes = shape_iou(sides, self.anchors).argmax(1)
        rows, first = first_of_each(cells * len(self.anchors) + shapes)  # a box learns one object
        boxes, labels, places, sides, shapes = boxes[first], labels[first], places[first], sides[first], shapes[first]
        negative[rows] = False
        deltas = outputs.deltas[row, rows]
        errors = torch.cat(
            [deltas[:, :2].sigmoid() - places, deltas[:, 2:] - torch.log(sides / self.anchors[shapes])], 1
        )
        small = 2 - sides.prod(1) / (grid[0] * grid[1])
        objectness = outputs.objectness[row].sigmoid()
        overlaps = paired_iou(found[rows], boxes)
        return {
            "box": (small[:, None] * errors.square()).sum() / 2,
            "object": OBJECT_WEIGHT * (objectness[rows] - overlaps).square().sum() / 2,
            "no_object": NO_OBJECT_WEIGHT * objectness[negative].square().sum() / 2,
            "class": F.cross_entropy(outputs.logits[row, rows], labels, reduction="sum"),
        }

    def postprocess(self, outputs: YOLOv2Outputs, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Objectness times class probability, NMS class by class, and the way back to the original size."""
        scores = outputs.objectness.sigmoid()[..., None] * outputs.logits.softmax(-1)
        decoded = self.decode(outputs.deltas, outputs.image_size)
        return detections(
            scores,
            decoded,
            outputs.image_size,
            sizes,
            score_threshold=self.score_threshold,
            nms_threshold=self.nms_threshold,
            max_detections=self.max_detections,
            max_candidates=self.max_candidates,
        )


def darknet_reorg(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b _c4 _h2 _w2"]:
    """Four times the channels at half the size, in the order of Darknet's `reorg`.

    It reads the map as if it were that of a quarter of the channels at twice the size, so that neighbours part.
    """
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels // 4, height, 2, width, 2).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(batch, 4 * channels, height // 2, width // 2)


def yolov2(
    *,
    num_classes: int,
    backbone: DarknetOrTimm = "resnet18",
    image_size: ImageSize = 416,
    num_anchors: NumAnchors = 5,
    width: Width = 256,
    passthrough: Passthrough = True,
    darknet_order: DarknetOrder = False,
) -> YOLOv2:
    """YOLOv2; the paper's is `--backbone darknet19 --width 1024`.

    Raises `InputError` for a backbone without maps of stride 16 and 32.
    """
    body = darknet(backbone, version=2)
    channels = dict(zip(body.strides, body.channels, strict=True))
    if not {FINE_STRIDE, STRIDE} <= set(channels):
        raise InputError(f"backbone: {backbone} has maps of strides {body.strides}; YOLOv2 looks at 16 and 32")
    deep, fine, joined = nn.Sequential(), None, channels[STRIDE]
    if passthrough:
        squeezed = max(4, width // 64 * 4)  # 64 of 1024, and always a multiple of 4
        deep = nn.Sequential(conv_bn_leaky(channels[STRIDE], width), conv_bn_leaky(width, width))
        fine = conv_bn_leaky(channels[FINE_STRIDE], squeezed, 1)
        joined = 4 * squeezed + width
    return YOLOv2(
        backbone=body,
        deep=deep,
        passthrough=fine,
        join=conv_bn_leaky(joined, width),
        predict=nn.Conv2d(width, num_anchors * (5 + num_classes), 1),
        num_anchors=num_anchors,
        num_classes=num_classes,
        input_size=(image_size, image_size),
        darknet_order=darknet_order,
    )

"""YOLOv2: Redmon & Farhadi 2017, "YOLO9000: better, faster, stronger", section 2.

    picture ─► backbone ─┬─► stride 16 ─► 1x1 ─► the four places of a cell as channels ─┐
                         └─► stride 32 ─► 3x3 ─► 3x3 ───────────────────────────────────┴─► 3x3 ─► 1x1 ─► NMS

B  pictures    A  anchors    C  classes    N  boxes: cell by cell of 32 pixels, row by row, anchor by anchor

Of each anchor in each cell: where in the cell the centre lies, how much larger than the anchor the box is, whether
there is an object, and which. Anchors are `(width, height)` in cells; k-means finds them among the training boxes.

Where it deviates: any backbone; trained for detection alone, without WordTree (section 4); a new size for every batch,
not every ten, as nothing is cheaper by keeping one; boxes are not drawn to their anchors in the first steps, as Darknet
does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_iou

from delineate.models.capacity import Capacity, Objects
from delineate.models.contract import Inputs, Model, Rows, TrainingPictures
from delineate.models.naming import SHARED, Named
from delineate.models.one_stage.options import DarknetOrder, DarknetOrTimm, NumAnchors, Passthrough, Width
from delineate.models.one_stage.responsible import CellObjects, centre_cells, first_of_each, not_ignored
from delineate.models.options import ImageSize
from delineate.models.rows import BoxReader
from delineate.nn import backbones
from delineate.nn.backbones.darknet import conv_bn_leaky, darknet
from delineate.nn.blocks import padded_to
from delineate.nn.classifying import ClassLoss, Compare, log_loss
from delineate.ops.anchors import cluster_shapes, shape_iou
from delineate.ops.boxes import paired_iou
from delineate.values import InputError, Thresholds, Truth

STRIDE, FINE_STRIDE = 32, 16
OBJECT_WEIGHT, NO_OBJECT_WEIGHT, IGNORED_IOU = 5.0, 1.0, 0.6
"""Darknet calls them `object_scale`, `noobject_scale`, and `thresh`: what overlaps an object more is no negative."""
THRESHOLDS = Thresholds(score=0.005, nms_iou=0.45, max_candidates=400)
LARGEST_RATIO = 8.0
"""No box is larger than its anchor by more than this, in logarithms: `exp` must not overflow."""
VOC_ANCHORS = ((1.3221, 1.73145), (3.19275, 4.00944), (5.05587, 8.09892), (9.47112, 4.84053), (11.2364, 10.0071))
"""Published weights have these of VOC; training finds those of the data at hand."""


class YOLOv2Raw(NamedTuple):
    """Each anchor of each cell has deltas, objectness and logits; `cells` are the cells' `(x, y)`."""

    deltas: Float[Tensor, "b n 4"]
    objectness: Float[Tensor, "b n"]
    logits: Float[Tensor, "b n c"]
    cells: Int64[Tensor, "n 2"]
    anchors: Float[Tensor, "n 2"]


@dataclass(frozen=True, kw_only=True)
class YOLOv2Reader(BoxReader[YOLOv2Raw]):
    """A box scores its objectness times its class probability; NMS goes class by class."""

    def candidates(self, raw: YOLOv2Raw, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        scores = raw.objectness.sigmoid()[..., None] * raw.logits.softmax(-1)
        return scores.transpose(1, 2), decode(raw)[:, None]


class YOLOv2(Model[YOLOv2Raw, Rows]):
    """The network is fully convolutional: a grid of cells of 32 pixels over pictures of any size.

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
    ) -> None:
        super().__init__()
        self.backbone, self.deep, self.passthrough, self.join = backbone, deep, passthrough, join
        self.predict = predict
        self.num_classes, self.input_size, self.darknet_order = (
            num_classes,
            input_size,
            darknet_order and passthrough is not None,
        )
        self.reader = YOLOv2Reader(thresholds=THRESHOLDS)
        self.class_loss = ClassLoss(num_classes)
        spread = torch.linspace(0, len(VOC_ANCHORS) - 1, num_anchors).round().long()
        self.register_buffer("anchors", torch.tensor(VOC_ANCHORS)[spread])

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> YOLOv2Raw:
        levels = self.backbone(padded_to(images, STRIDE)).levels
        x = self.deep(levels[self.backbone.strides.index(STRIDE)])
        if self.passthrough is not None:
            fine = self.passthrough(levels[self.backbone.strides.index(FINE_STRIDE)])
            x = torch.cat([darknet_reorg(fine) if self.darknet_order else F.pixel_unshuffle(fine, 2), x], 1)
        values = self.predict(self.join(x)).float()
        rows, columns = (torch.arange(side, device=x.device) for side in values.shape[-2:])
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        num_anchors = self.anchors.shape[0]
        cells = torch.stack([x, y], -1)[:, :, None].expand(-1, -1, num_anchors, -1).flatten(0, 2)
        anchors = self.anchors.expand(*y.shape, -1, -1).flatten(0, 2)
        values = values.unflatten(1, (num_anchors, -1)).permute(0, 3, 4, 1, 2).flatten(1, 3)
        return YOLOv2Raw(values[..., :4], values[..., 4], values[..., 5:], cells, anchors)

    def named_layers(self) -> Mapping[str, Named]:
        """Each anchor has a box and objectness, which are of no class, and then the logits."""
        return {"predict": Named(([SHARED] * 5 + [*range(self.num_classes)]) * len(self.anchors))}

    def begin(self, pictures: TrainingPictures) -> list[str]:
        """Find the anchors by k-means on the objects' sizes (section 2, "Dimension Clusters"), unless they are chosen.

        Raises `InputError` where the pictures hold fewer different sizes than there are anchors.
        """
        sizes = pictures.object_sizes()
        if sizes is None:
            return []
        try:
            anchors = cluster_shapes(sizes, self.anchors.shape[0])
        except ValueError as error:
            raise InputError(f"anchors: {error}; the pictures hold {len(sizes)} objects") from None
        self.anchors.copy_(anchors / STRIDE)
        shapes = ", ".join(f"{width:.0f} x {height:.0f}" for width, height in anchors.tolist())
        mean_iou = float(shape_iou(sizes, anchors).amax(1).mean())
        return [f"anchors: {shapes}; their mean IoU with the training boxes is {mean_iou:.3f}"]

    def capacity(self, pictures: Sequence[Float[Tensor, "_n 4"]]) -> Capacity:
        """Cluster the anchors among all objects, as a training does; with too few of them they stay as they are."""
        sides = torch.cat([torch.zeros(0, 4), *pictures])
        sides = (sides[:, 2:] - sides[:, :2]).clamp(min=1)
        count = len(self.anchors)
        enough = len(torch.unique(sides, dim=0)) >= count
        anchors = cluster_shapes(sides, count) if enough else self.anchors * STRIDE

        def lost(objects: Objects, size: tuple[int, int]) -> Bool[Tensor, " _g"]:
            cells, _ = centre_cells(objects, (size[0] // STRIDE, size[1] // STRIDE), size)
            return ~first_of_each(cells * count + shape_iou(objects[:, 2:] - objects[:, :2], anchors).argmax(1))

        return Capacity(lost, "another has its anchor of its cell")

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Add up squared errors of place, size and objectness, and the log loss of classes, of the mean picture."""
        raw = self(inputs.images)
        height, width = inputs.images.shape[-2:]
        grid = -(-height // STRIDE), -(-width // STRIDE)
        return losses(raw, decode(raw).detach(), truths, self.anchors, grid, self.class_loss)


def decode(raw: YOLOv2Raw) -> Float[Tensor, "b n 4"]:
    """Decode the boxes in pixels; a centre stays in its cell (section 2, "Direct location prediction")."""
    centres = (raw.deltas[..., :2].sigmoid() + raw.cells) * STRIDE
    half = raw.deltas[..., 2:].clamp(max=LARGEST_RATIO).exp() * raw.anchors * STRIDE / 2
    return torch.cat([centres - half, centres + half], -1)


def losses(
    raw: YOLOv2Raw,
    predicted: Float[Tensor, "b n 4"],
    truths: Sequence[Truth],
    anchors: Float[Tensor, "a 2"],
    grid: tuple[int, int],
    class_loss: Compare = log_loss,
) -> dict[str, Tensor]:
    """Compare what the network says, and the boxes that are `predicted` by it, with the objects of the pictures."""
    objects = CellObjects.of(truths)
    cells, places = centre_cells(objects.boxes, grid, (grid[0] * STRIDE, grid[1] * STRIDE))
    sides = (objects.boxes[:, 2:] - objects.boxes[:, :2]) / STRIDE
    shapes = shape_iou(sides, anchors).argmax(1)
    rows = objects.pictures, cells * anchors.shape[0] + shapes
    learned = first_of_each(rows[0] * predicted.shape[1] + rows[1])  # a box learns one object
    negative = not_ignored(predicted, truths) & ~_overlapping(predicted, truths)
    negative = negative.index_put(rows, torch.zeros_like(learned))
    deltas, objectness = raw.deltas[rows], raw.objectness.sigmoid()
    errors = torch.cat([deltas[:, :2].sigmoid() - places, deltas[:, 2:] - torch.log(sides / anchors[shapes])], 1)
    small = 2 - sides.prod(1) / (grid[0] * grid[1])
    object_errors = objectness[rows] - paired_iou(predicted[rows], objects.boxes)
    class_losses = class_loss(raw.logits[rows], objects.labels)
    sums = {
        "box": (small * errors.square().sum(1)).where(learned, 0).sum() / 2,
        "object": OBJECT_WEIGHT * object_errors.square().where(learned, 0).sum() / 2,
        "no_object": NO_OBJECT_WEIGHT * objectness.square().where(negative, 0).sum() / 2,
        "class": class_losses.where(learned, 0).sum(),
    }
    return {name: total / len(truths) for name, total in sums.items()}


def _overlapping(predicted: Float[Tensor, "b n 4"], truths: Sequence[Truth]) -> Bool[Tensor, "b n"]:
    """Tell which boxes overlap an object of their picture by more than `IGNORED_IOU`."""
    pairs = zip(predicted, truths, strict=True)
    return torch.stack([(box_iou(boxes, truth.boxes) > IGNORED_IOU).any(1) for boxes, truth in pairs])


def darknet_reorg(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b _c4 _h2 _w2"]:
    """Make four times the channels at half the size, in the order of Darknet's `reorg`.

    It reads the map as if it were that of a quarter of the channels at twice the size, so that neighbours part.
    """
    batch, channels, height, width = x.shape
    # flattened first: else an export takes for granted that height and width differ from the channels
    x = x.flatten(1).view(batch, channels // 4, height, 2, width, 2).permute(0, 3, 5, 1, 2, 4)
    return x.flatten(1).view(batch, 4 * channels, height // 2, width // 2)


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
    """Build YOLOv2; the paper's is `--backbone darknet19 --width 1024`.

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

"""Localization: the class and the box of the one object, or of the largest, by regression.

    picture ─► backbone ─► 7 x 7 ─┬─► fully connected ─► class        softmax loss
                                  └─► fully connected ─► cx cy w h    L2 loss, weighed

B  pictures    C  classes    K  boxes a picture: one, or one for each class

As in Sermanet et al. 2014, "OverFeat", sections 4.1 and 4.2 (a regression network on a classifier's features, one box a
class), over the whole picture instead of windows. Boxes are shares of the picture's sides in here alone.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_convert

from delineate.models.contract import Model
from delineate.models.regression.heads import Flattened, Head, place_loss, sides
from delineate.models.regression.options import Backbone, BoxLoss, BoxWeight, ClassSpecific, Hidden, ImageSize, Width
from delineate.nn import backbones
from delineate.values import Detections, Target

SMALLEST = 1e-3
"""No side of a box is a smaller share of the picture's."""


class LocalizerOutputs(NamedTuple):
    """The class scores of each picture, and its boxes `cx cy w h`."""

    logits: Float[Tensor, "b c"]
    boxes: Float[Tensor, "b k 4"]


class Localizer(Model[LocalizerOutputs, Detections]):
    """One object a picture, always."""

    finds_many = False

    def __init__(
        self,
        *,
        backbone: backbones.Backbone,
        width: int,
        hidden: int,
        num_classes: int,
        class_specific: bool,
        box_loss: Literal["l2", "smooth_l1"],
        box_weight: float,
        input_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.backbone, self.class_specific, self.input_size = backbone, class_specific, input_size
        self.box_loss: Literal["l2", "smooth_l1"] = box_loss
        self.box_weight = box_weight
        self.flatten = Flattened(backbone.channels[-1], width)
        self.classify = Head(self.flatten.num_values, hidden, num_classes)
        self.regress = Head(self.flatten.num_values, hidden, 4 * (num_classes if class_specific else 1), begin=0.5)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> LocalizerOutputs:
        values = self.flatten(self.backbone(images).levels[-1])
        return LocalizerOutputs(self.classify(values), self.regress(values).unflatten(1, (-1, 4)))

    def loss(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The log loss of the class and the loss of the box, of the mean picture that has an object."""
        outputs = self(images)
        device = outputs.logits.device
        objects = [target.largest() for target in targets]
        pictures = torch.tensor([row for row, its in enumerate(objects) if len(its)], dtype=torch.int64, device=device)
        labels = torch.cat([its.labels for its in objects]).to(device)
        corners = torch.cat([its.boxes for its in objects]).to(device)
        limit = sides((images.shape[-2], images.shape[-1]), corners).repeat(2)
        found = outputs.boxes[pictures, labels if self.class_specific else torch.zeros_like(labels)]
        box = place_loss(found, box_convert(corners / limit, "xyxy", "cxcywh"), self.box_loss).sum()
        count = max(1, len(pictures))
        return {
            "class": F.cross_entropy(outputs.logits[pictures], labels, reduction="sum") / count,
            "box": self.box_weight * box / count,
        }

    def postprocess(self, outputs: LocalizerOutputs, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """The likeliest class of each picture and its box, which is cut at the borders."""
        scores, labels = outputs.logits.softmax(1).max(1)
        rows = labels if self.class_specific else torch.zeros_like(labels)
        boxes = outputs.boxes[torch.arange(len(rows), device=rows.device), rows]
        centres, halves = boxes[:, :2].clamp(0, 1), boxes[:, 2:].clamp(min=2 * SMALLEST) / 2
        corners = torch.cat([centres - halves, centres + halves], 1).clamp(0, 1)
        return [
            Detections(
                image_size=size,
                boxes=(corners[row] * sides(size, corners).repeat(2))[None],
                labels=labels[row, None],
                scores=scores[row, None],
            )
            for row, size in enumerate(sizes)
        ]


def localizer(
    *,
    num_classes: int,
    backbone: Backbone = "resnet18",
    image_size: ImageSize = 224,
    width: Width = 128,
    hidden: Hidden = 256,
    class_specific: ClassSpecific = False,
    box_loss: BoxLoss = "smooth_l1",
    box_weight: BoxWeight = 5.0,
) -> Localizer:
    """A localizer; the lecture's has `--box-loss l2`."""
    return Localizer(
        backbone=backbones.timm_backbone(backbone),
        width=width,
        hidden=hidden,
        num_classes=num_classes,
        class_specific=class_specific,
        box_loss=box_loss,
        box_weight=box_weight,
        input_size=(image_size, image_size),
    )

"""Localization finds the class and the box of the one object, or of the largest, by regression.

    picture ─► backbone ─► 7 x 7 ─┬─► fully connected ─► class        softmax loss
                                  └─► fully connected ─► cx cy w h    L2 loss, weighed

B  pictures    C  classes    K  boxes a picture: one, or one for each class

As in Sermanet et al. 2014, "OverFeat", sections 4.1 and 4.2 (a regression network on a classifier's features, one box a
class), over the whole picture instead of windows. Boxes are shares of the picture's sides in here alone.

Where it deviates: there is one look at the whole picture, and not many windows whose boxes are merged, as the one
object is all that is asked for. By default the box is the same for all classes, and its loss smooth L1. What the heads
hide is normalised (layer norm): the first steps would switch most of it off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Unpack

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_convert

from delineate.models.contract import Inputs, Model, Rows
from delineate.models.naming import Named
from delineate.models.options import filled
from delineate.models.regression.heads import Flattened, Head, place_loss, sides
from delineate.models.regression.options import BoxLoss, BoxWeight, ClassSpecific, Hidden, PictureOptions
from delineate.models.rows import RowReader
from delineate.nn.backbones import Backbone, timm_backbone
from delineate.values import Truth

SMALLEST = 1e-3
"""No side of a box is a smaller share of the picture's."""


class LocalizerRaw(NamedTuple):
    """Each picture has class scores, and boxes `cx cy w h`."""

    logits: Float[Tensor, "b c"]
    boxes: Float[Tensor, "b k 4"]


@dataclass(frozen=True, kw_only=True)
class LocalizerReader(RowReader[LocalizerRaw]):
    """Each picture has one object, always: the likeliest class and the box."""

    def find(self, raw: LocalizerRaw, size: tuple[int, int]) -> Rows:
        """Make one row a picture, whose box is cut at the borders."""
        scores, labels = raw.logits.softmax(1).max(1, keepdim=True)
        rows = _box_rows(labels, raw.boxes)[..., None].expand(-1, -1, 4)
        boxes = raw.boxes.gather(1, rows)
        centres, halves = boxes[..., :2].clamp(0, 1), boxes[..., 2:].clamp(min=2 * SMALLEST) / 2
        corners = torch.cat([centres - halves, centres + halves], 2).clamp(0, 1)
        return Rows(corners * sides(size, corners).repeat(2), scores, labels)


class Localizer(Model[LocalizerRaw, Rows]):
    """Each picture has a class and a box; with `class_specific` it has a box for each class."""

    def __init__(
        self,
        *,
        backbone: Backbone,
        width: int,
        hidden: int,
        num_classes: int,
        class_specific: bool,
        box_loss: Literal["l2", "smooth_l1"],
        box_weight: float,
        input_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.reader = LocalizerReader()
        self.backbone, self.input_size = backbone, input_size
        self.box_loss: Literal["l2", "smooth_l1"] = box_loss
        self.box_weight = box_weight
        self.num_classes, self.class_specific = num_classes, class_specific
        self.flatten = Flattened(backbone.channels[-1], width)
        self.classify = Head(self.flatten.num_values, hidden, num_classes)
        self.regress = Head(self.flatten.num_values, hidden, 4 * (num_classes if class_specific else 1), begin=0.5)

    def forward(
        self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None
    ) -> LocalizerRaw:
        values = self.flatten(self.backbone(images).levels[-1])
        return LocalizerRaw(self.classify(values), self.regress(values).unflatten(1, (-1, 4)))

    def named_layers(self) -> Mapping[str, Named]:
        """The boxes have classes where they are `class_specific`: four values of each."""
        layers = {"classify.last": Named(range(self.num_classes))}
        if self.class_specific:
            layers["regress.last"] = Named([label for label in range(self.num_classes) for _ in range(4)])
        return layers

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Average the log loss of the class and the loss of the box over the pictures that have an object."""
        raw = self(inputs.images)
        having = [picture for picture, truth in enumerate(truths) if truth.boxes.shape[0]]
        pictures = torch.tensor(having, dtype=torch.int64, device=raw.logits.device)
        rows = [truth.largest() for truth in truths]
        labels = torch.cat([truth.labels[row] for truth, row in zip(truths, rows, strict=True)])
        corners = torch.cat([truth.boxes[row] for truth, row in zip(truths, rows, strict=True)])
        limit = sides((inputs.images.shape[-2], inputs.images.shape[-1]), corners).repeat(2)
        predicted = raw.boxes[pictures, _box_rows(labels, raw.boxes)]
        box = place_loss(predicted, box_convert(corners / limit, "xyxy", "cxcywh"), self.box_loss).sum()
        count = max(1, len(having))
        return {
            "class": F.cross_entropy(raw.logits[pictures], labels, reduction="sum") / count,
            "box": self.box_weight * box / count,
        }


def _box_rows(labels: Int64[Tensor, "*n"], boxes: Float[Tensor, "b k 4"]) -> Int64[Tensor, "*n"]:
    """Tell the row of each class's box: where a picture has but one box, it is every class's."""
    return labels.clamp(max=boxes.shape[1] - 1)


def localizer(
    *,
    num_classes: int,
    hidden: Hidden = 256,
    class_specific: ClassSpecific = False,
    box_loss: BoxLoss = "smooth_l1",
    box_weight: BoxWeight = 5.0,
    **options: Unpack[PictureOptions],
) -> Localizer:
    """Build a localizer; the lecture's has `--box-loss l2`."""
    given = filled(PictureOptions, options)
    return Localizer(
        backbone=timm_backbone(given["backbone"]),
        width=given["width"],
        hidden=hidden,
        num_classes=num_classes,
        class_specific=class_specific,
        box_loss=box_loss,
        box_weight=box_weight,
        input_size=(given["image_size"], given["image_size"]),
    )

"""Joints are found by regression: Toshev & Szegedy 2014, "DeepPose: human pose estimation via deep neural networks".

    crop of one body ─► backbone ─► 7 x 7 ─► fully connected ─► x y of each joint ─┐
                           └─► map of stride 8 ─► what is around each joint ───────┴─► fully connected ─► moved

B  bodies    K  joints    L  stages: one, or two with refinement

Joints are shares of the crop's sides in here alone.

Where it deviates: the second stage (section 3.2) looks at the first one's feature map around a joint, where the paper
has another network that looks at the picture itself, which takes much more time. What the heads hide is normalised
(layer norm): the first steps would switch most of it off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Unpack

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.ops import roi_align

from delineate.models.contract import Inputs, Model, Rows
from delineate.models.naming import Named
from delineate.models.options import filled
from delineate.models.regression.heads import Flattened, Head, place_loss, sides
from delineate.models.regression.options import Hidden, JointLoss, PictureOptions, Refine
from delineate.models.rows import RowReader
from delineate.nn.backbones import Backbone, timm_backbone
from delineate.nn.blocks import conv_bn_relu
from delineate.values import Truth

WINDOW, WINDOW_CELLS = 0.25, 5
"""The second stage looks at a quarter of the crop around a joint, in 5 x 5 values."""
FINE_STRIDE = 8


class PoseRaw(NamedTuple):
    """Each picture has the joints of one body, stage by stage; the last stage's are the result."""

    stages: Float[Tensor, "b l k 2"]


@dataclass(frozen=True, kw_only=True)
class PoseReader(RowReader[PoseRaw]):
    """Each picture has one body, always, as large as the picture."""

    def find(self, raw: PoseRaw, size: tuple[int, int]) -> Rows:
        """Make one row a picture; joints outside of it are moved to its border."""
        limit = sides(size, raw.stages)
        joints = raw.stages[:, -1:].clamp(0, 1) * limit
        scores = joints.new_ones(joints.shape[:2])
        boxes = scores[..., None] * torch.cat([torch.zeros_like(limit), limit])
        posed = torch.ones_like(scores, dtype=torch.bool)
        return Rows(boxes, scores, torch.zeros_like(posed, dtype=torch.int64), keypoints=joints, posed=posed)


class PoseRegressor(Model[PoseRaw, Rows]):
    """It finds the joints of one body a picture, which is its crop."""

    def __init__(
        self,
        *,
        backbone: Backbone,
        flatten: Flattened,
        regress: Head,
        refine: "Refinement | None",
        num_keypoints: int,
        joint_loss: Literal["l1", "l2", "smooth_l1"],
        input_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.reader = PoseReader()
        self.backbone, self.flatten, self.regress, self.refine = backbone, flatten, regress, refine
        self.num_keypoints, self.input_size = num_keypoints, input_size
        self.joint_loss: Literal["l1", "l2", "smooth_l1"] = joint_loss

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> PoseRaw:
        levels = self.backbone(images).levels
        joints: Tensor = self.regress(self.flatten(levels[-1])).view(-1, self.num_keypoints, 2)
        if self.refine is None:
            return PoseRaw(joints[:, None])
        return PoseRaw(torch.stack([joints, self.refine(levels, joints.detach())], 1))

    def named_layers(self) -> Mapping[str, Named]:
        """Each joint has an x and a y, and with refinement what moves it."""
        joints = range(self.num_keypoints)
        layers = {"regress.last": Named([joint for joint in joints for _ in range(2)], of="keypoint")}
        return layers if self.refine is None else {**layers, "refine.move": Named(joints, of="keypoint")}

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Average the loss over the annotated joints, of each stage: `joints` and `refined`."""
        stages = self(inputs.images).stages
        bodies = [_body(truth, self.num_keypoints, stages) for truth in truths]
        places, known = (torch.stack(parts) for parts in zip(*bodies, strict=True))
        count = known.sum().clamp(min=1)
        losses = [(place_loss(joints, places, self.joint_loss) * known).sum() / count for joints in stages.unbind(1)]
        return dict(zip(("joints", "refined"), losses, strict=False))


class Refinement(nn.Module):
    """Around each joint, the map of stride 8 says how far it has to move."""

    def __init__(self, backbone: Backbone, width: int, hidden: int, num_keypoints: int) -> None:
        super().__init__()
        fine = max(FINE_STRIDE, backbone.strides[0])
        self.level = max(row for row, stride in enumerate(backbone.strides) if stride <= fine)
        self.project = conv_bn_relu(backbone.channels[self.level], width, 1)
        self.look = nn.Sequential(nn.Linear(width * WINDOW_CELLS**2, hidden), nn.ReLU(inplace=True))
        self.move = nn.Parameter(0.01 * torch.randn(num_keypoints, hidden, 2))

    def forward(self, levels: Sequence[Tensor], joints: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
        x = self.project(levels[self.level]).float()
        limit = sides((x.shape[-2], x.shape[-1]), joints)
        windows = torch.cat([joints - WINDOW / 2, joints + WINDOW / 2], 2) * limit.repeat(2)
        pictures = torch.arange(joints.shape[0], dtype=windows.dtype, device=windows.device)
        rois = torch.cat([pictures[:, None, None].expand(-1, joints.shape[1], 1), windows], 2)
        seen = roi_align(x, rois.flatten(0, 1), WINDOW_CELLS, sampling_ratio=0, aligned=True)
        with torch.autocast(x.device.type, enabled=False):  # as in `Head`
            seen = self.look(seen.float().flatten(1)).view(*joints.shape[:2], -1)
            moved: Tensor = joints + WINDOW * torch.einsum("bkh,khd->bkd", seen, self.move)
        return moved


def _body(truth: Truth, num_keypoints: int, like: Tensor) -> tuple[Float[Tensor, "k 2"], Bool[Tensor, " k"]]:
    """Take the joints of a picture's largest annotated body, zeros where they are not annotated, and which are."""
    if truth.keypoints is None or truth.visibility is None or not truth.boxes.shape[0]:
        return like.new_zeros(num_keypoints, 2), torch.zeros(num_keypoints, dtype=torch.bool, device=like.device)
    annotated = truth.visibility > 0
    areas = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1).where(annotated.any(1), -1)
    largest = areas.argmax(0, keepdim=True)
    known = annotated[largest][0]
    return truth.keypoints[largest][0].where(known[:, None], 0) / sides(truth.image_size, like), known


def pose_regressor(
    *,
    num_keypoints: int,
    hidden: Hidden = 512,
    joint_loss: JointLoss = "smooth_l1",
    refine: Refine = False,
    **options: Unpack[PictureOptions],
) -> PoseRegressor:
    """Build a pose regressor; the paper's has `--joint-loss l2 --refine`."""
    given = filled(PictureOptions, options)
    backbone = timm_backbone(given["backbone"])
    flatten = Flattened(backbone.channels[-1], given["width"])
    return PoseRegressor(
        backbone=backbone,
        flatten=flatten,
        regress=Head(flatten.num_values, hidden, 2 * num_keypoints, begin=0.5),
        refine=Refinement(backbone, given["width"], hidden // 4, num_keypoints) if refine else None,
        num_keypoints=num_keypoints,
        joint_loss=joint_loss,
        input_size=(given["image_size"], given["image_size"]),
    )

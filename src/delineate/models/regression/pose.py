"""Pose by regression: Toshev & Szegedy 2014, "DeepPose: human pose estimation via deep neural networks".

    crop of one body ─► backbone ─► 7 x 7 ─► fully connected ─► x y of each joint ─┐
                           └─► map of stride 8 ─► what is around each joint ───────┴─► fully connected ─► moved

B  bodies    K  joints    L  stages: one, or two with refinement

Joints are shares of the crop's sides in here alone.

Where it deviates: the second stage (section 3.2) looks at the first one's feature map around a joint, where the paper
has another network that looks at the picture there.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.ops import roi_align

from delineate.models.contract import Model
from delineate.models.regression.heads import Flattened, Head, place_loss, sides
from delineate.models.regression.options import Backbone, Hidden, ImageSize, JointLoss, Refine, Width
from delineate.nn import backbones
from delineate.nn.blocks import conv_bn_relu
from delineate.values import Detections, Target

WINDOW, WINDOW_CELLS = 0.25, 5
"""The second stage looks at a quarter of the crop around a joint, in 5 x 5 values."""
FINE_STRIDE = 8
VISIBLE = 2


class PoseRegressor(Model[Tensor, Detections]):
    """The joints `(L, B, K, 2)` of one body a picture, which is its crop; the last stage's are the result."""

    finds_many = False

    def __init__(
        self,
        *,
        backbone: backbones.Backbone,
        flatten: Flattened,
        regress: nn.Module,
        refine: "Refinement | None",
        num_keypoints: int,
        joint_loss: Literal["l1", "l2", "smooth_l1"],
        input_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.backbone, self.flatten, self.regress, self.refine = backbone, flatten, regress, refine
        self.num_keypoints, self.input_size = num_keypoints, input_size
        self.joint_loss: Literal["l1", "l2", "smooth_l1"] = joint_loss

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "l b k 2"]:
        levels = self.backbone(images).levels
        joints: Tensor = self.regress(self.flatten(levels[-1])).view(-1, self.num_keypoints, 2)
        if self.refine is None:
            return joints[None]
        return torch.stack([joints, self.refine(levels, joints.detach())])

    def loss(self, images: Float[Tensor, "b 3 h w"], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The loss of the mean annotated joint, of each stage: `joints` and `refined`."""
        stages = self(images)
        places, known = _truth(targets, self.num_keypoints, stages)
        count = known.sum().clamp(min=1)
        losses = [place_loss(joints[known], places[known], self.joint_loss).sum() / count for joints in stages]
        return dict(zip(("joints", "refined"), losses, strict=False))

    def postprocess(self, outputs: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """One body a picture, as large as the picture; joints outside of it are moved to its border."""
        results = []
        for joints, size in zip(outputs[-1].clamp(0, 1), sizes, strict=True):
            limit = sides(size, joints)
            results.append(
                Detections(
                    image_size=size,
                    boxes=torch.cat([torch.zeros_like(limit), limit])[None],
                    labels=torch.zeros(1, dtype=torch.int64, device=joints.device),
                    scores=joints.new_ones(1),
                    keypoints=(joints * limit)[None],
                    visibility=torch.full((1, len(joints)), VISIBLE, device=joints.device),
                )
            )
        return results


class Refinement(nn.Module):
    """Around each joint, the map of stride 8 says how far it has to move."""

    def __init__(self, backbone: backbones.Backbone, width: int, hidden: int, num_keypoints: int) -> None:
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
        seen = roi_align(x, list(windows), WINDOW_CELLS, aligned=True)
        with torch.autocast(x.device.type, enabled=False):  # as in `Head`
            seen = self.look(seen.float().flatten(1)).view(*joints.shape[:2], -1)
            moved: Tensor = joints + WINDOW * torch.einsum("bkh,khd->bkd", seen, self.move)
        return moved


def _truth(
    targets: Sequence[Target], num_keypoints: int, like: Tensor
) -> tuple[Float[Tensor, "b k 2"], Bool[Tensor, "b k"]]:
    """The joints of the largest annotated body of each picture, and which of them are annotated."""
    places = like.new_zeros(len(targets), num_keypoints, 2)
    known = torch.zeros(len(targets), num_keypoints, dtype=torch.bool, device=like.device)
    for row, target in enumerate(targets):
        if target.visibility is None or target.keypoints is None:
            continue
        body = target[(target.visibility > 0).any(1)].largest()
        if len(body) and body.keypoints is not None and body.visibility is not None:
            places[row] = body.keypoints[0].to(like) / sides(target.image_size, like)
            known[row] = body.visibility[0].to(like.device) > 0
    return places, known


def pose_regressor(
    *,
    num_keypoints: int,
    backbone: Backbone = "resnet18",
    image_size: ImageSize = 224,
    width: Width = 128,
    hidden: Hidden = 512,
    joint_loss: JointLoss = "smooth_l1",
    refine: Refine = False,
) -> PoseRegressor:
    """A pose regressor; the paper's has `--joint-loss l2 --refine`."""
    body = backbones.timm_backbone(backbone)
    flatten = Flattened(body.channels[-1], width)
    return PoseRegressor(
        backbone=body,
        flatten=flatten,
        regress=Head(flatten.num_values, hidden, 2 * num_keypoints, begin=0.5),
        refine=Refinement(body, width, hidden // 4, num_keypoints) if refine else None,
        num_keypoints=num_keypoints,
        joint_loss=joint_loss,
        input_size=(image_size, image_size),
    )

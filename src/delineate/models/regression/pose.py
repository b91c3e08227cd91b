"""Joints are found by regression: Toshev & Szegedy 2014, "DeepPose: human pose estimation via deep neural networks".

    crop of one body ─► backbone ─► 7 x 7 ─► fully connected ─► x y of each joint
                           └─► map of stride 8 ─► window around each joint ─► fully connected ─► moved ─► ... again

B  bodies    K  joints    L  stages

Joints are shares of the crop's sides in here alone. A later stage (section 3.2) looks at a window around each joint
that is as large as a share of the pose's diameter. It learns from windows around displaced true joints, whose errors
are drawn as the stage before makes them: by a normal distribution of their mean and variance, joint by joint.

Where it deviates: later stages look at the first one's feature map, where the paper has another network for each that
looks at the picture itself, which takes much more time; the errors are those of the last steps, as all stages learn at
once. A pose's diameter is the diagonal of the box around its joints, and windows are half of it: not every body has
the paper's torso, of which windows are one or two. What the heads hide is normalised (layer norm), as the first steps
would switch most of it off, and 0.5 of it drops, where the paper has 0.6. The loss is smooth L1 by default: by L2, the
paper's, fewer joints were found in as many minutes (docs/results.md, "One object").
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
from delineate.models.regression.options import Dropout, Hidden, JointLoss, PictureOptions, Stages
from delineate.models.rows import RowReader
from delineate.nn.backbones import Backbone, timm_backbone
from delineate.nn.blocks import conv_bn_relu
from delineate.values import InputError, Truth

WINDOW, WINDOW_CELLS = 0.5, 5
"""A later stage looks at this share of the pose's diameter around a joint (the paper's sigma), in 5 x 5 values."""
SMALLEST_DIAMETER = 0.1
"""No pose is a smaller share of its crop."""
FINE_STRIDE = 8
FIRST_ERROR, KEPT = 0.1, 0.98
"""Until errors are known, joints are displaced by a tenth of the diameter; each step moves what is known by 0.02."""


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
    """It finds the joints of one body a picture, which is its crop; each of `refinements` moves them."""

    def __init__(
        self,
        *,
        backbone: Backbone,
        flatten: Flattened,
        regress: Head,
        refinements: Sequence["Refinement"],
        num_keypoints: int,
        joint_loss: Literal["l1", "l2", "smooth_l1"],
        input_size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.reader = PoseReader()
        self.backbone, self.flatten, self.regress = backbone, flatten, regress
        self.refinements = nn.ModuleList(refinements)
        self.num_keypoints, self.input_size = num_keypoints, input_size
        self.joint_loss: Literal["l1", "l2", "smooth_l1"] = joint_loss

    def forward(self, images: Float[Tensor, "b 3 h w"], proposals: Float[Tensor, "b p 4"] | None = None) -> PoseRaw:
        levels = self.backbone(images).levels
        stages = [self._first(levels)]
        for refine in self.refinements:
            joints = stages[-1].detach()
            side = WINDOW * diameter(joints)
            stages.append(joints + side * refine(levels, joints, side))
        return PoseRaw(torch.stack(stages, 1))

    def _first(self, levels: Sequence[Tensor]) -> Float[Tensor, "b k 2"]:
        joints: Tensor = self.regress(self.flatten(levels[-1])).view(-1, self.num_keypoints, 2)
        return joints

    def named_layers(self) -> Mapping[str, Named]:
        """Each joint has an x and a y, and in later stages what moves it and the errors that it is learned from."""
        joints = range(self.num_keypoints)
        layers = {"regress.last": Named([joint for joint in joints for _ in range(2)], of="keypoint")}
        for row in range(len(self.refinements)):
            for part in ("move", "mean", "variance"):
                layers[f"refinements.{row}.{part}"] = Named(joints, of="keypoint")
        return layers

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        """Average the loss over the annotated joints, of each stage: `joints`, `refined_2`, `refined_3` ...

        Of later stages it is that of shares of their windows (equation 6).
        """
        levels = self.backbone(inputs.images).levels
        joints = self._first(levels)
        bodies = [_body(truth, self.num_keypoints, joints) for truth in truths]
        places, known = (torch.stack(parts) for parts in zip(*bodies, strict=True))
        count = known.sum().clamp(min=1)
        losses = {"joints": (place_loss(joints, places, self.joint_loss) * known).sum() / count}
        pose = places.where(known[..., None], joints.detach())
        side = WINDOW * diameter(pose)
        errors = joints.detach() - pose
        for row, refine in enumerate(self.refinements):
            assert isinstance(refine, Refinement)
            if self.training:
                refine.observe(errors / side, known)
            displaced = refine.simulated(len(pose))
            moved = refine(levels, pose + side * displaced, side)
            losses[f"refined_{row + 2}"] = (place_loss(moved, -displaced, self.joint_loss) * known).sum() / count
            errors = side * (displaced + moved.detach())
        return losses


def diameter(joints: Float[Tensor, "b k 2"]) -> Float[Tensor, "b 1 1"]:
    """Measure the diagonal of the box around the joints of each pose, and at least `SMALLEST_DIAMETER`."""
    sides_of_box = joints.amax(1) - joints.amin(1)
    diagonals: Tensor = torch.linalg.vector_norm(sides_of_box, dim=1).clamp(min=SMALLEST_DIAMETER)
    return diagonals[:, None, None]


class Refinement(nn.Module):
    """Around each joint, the map of stride 8 says by what share of the window it has to move.

    `mean` and `variance` are those of the errors of the stage before, as shares of the window.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, backbone: Backbone, width: int, hidden: int, num_keypoints: int, dropout: float) -> None:
        super().__init__()
        fine = max(FINE_STRIDE, backbone.strides[0])
        self.level = max(row for row, stride in enumerate(backbone.strides) if stride <= fine)
        self.project = conv_bn_relu(backbone.channels[self.level], width, 1)
        self.look = nn.Sequential(
            nn.Linear(width * WINDOW_CELLS**2, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)
        )
        self.move = nn.Parameter(0.01 * torch.randn(num_keypoints, hidden, 2))
        self.register_buffer("mean", torch.zeros(num_keypoints, 2))
        self.register_buffer("variance", torch.full((num_keypoints, 2), (FIRST_ERROR / WINDOW) ** 2))

    def forward(
        self, levels: Sequence[Tensor], joints: Float[Tensor, "b k 2"], side: Float[Tensor, "b 1 1"]
    ) -> Float[Tensor, "b k 2"]:
        """Say how far each joint is moved, as shares of its window, whose `side` is a share of the picture."""
        x = self.project(levels[self.level]).float()
        limit = sides((x.shape[-2], x.shape[-1]), joints)
        windows = torch.cat([joints - side / 2, joints + side / 2], 2) * limit.repeat(2)
        pictures = torch.arange(joints.shape[0], dtype=windows.dtype, device=windows.device)
        rois = torch.cat([pictures[:, None, None].expand(-1, joints.shape[1], 1), windows], 2)
        seen = roi_align(x, rois.flatten(0, 1), WINDOW_CELLS, sampling_ratio=2, aligned=True)
        with torch.autocast(x.device.type, enabled=False):  # as in `Head`
            seen = self.look(seen.float().flatten(1)).view(*joints.shape[:2], -1)
            moved: Tensor = torch.einsum("bkh,khd->bkd", seen, self.move)
        return moved

    @torch.no_grad()
    def observe(self, errors: Float[Tensor, "b k 2"], known: Bool[Tensor, "b k"]) -> None:
        """Move what is known of the errors of annotated joints towards those of a step."""
        counts = known.sum(0)[:, None]
        mean = errors.where(known[..., None], 0).sum(0) / counts.clamp(min=1)
        variance = (errors - self.mean).square().where(known[..., None], 0).sum(0) / counts.clamp(min=1)
        weight = (1 - KEPT) * (counts > 0)
        self.mean.lerp_(mean, weight.expand_as(mean))
        self.variance.lerp_(variance, weight.expand_as(variance))

    def simulated(self, count: int) -> Float[Tensor, "b k 2"]:
        """Draw errors, as shares of the window, within which the true joint is still to be seen."""
        noise = torch.randn(count, *self.mean.shape, device=self.mean.device)
        return (self.mean + noise * self.variance.sqrt()).clamp(-0.5, 0.5)


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
    stages: Stages = 3,
    dropout: Dropout = 0.5,
    joint_loss: JointLoss = "smooth_l1",
    **options: Unpack[PictureOptions],
) -> PoseRegressor:
    """Build a pose regressor of three stages; the paper's loss is `--joint-loss l2`.

    Raises `InputError` for no stage and for a dropout out of range.
    """
    if stages < 1:
        raise InputError(f"stages: {stages} is too small; give 1 or more")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout: {dropout} is no share; give 0 or more, and less than 1")
    given = filled(PictureOptions, options)
    backbone = timm_backbone(given["backbone"])
    flatten = Flattened(backbone.channels[-1], given["width"])
    return PoseRegressor(
        backbone=backbone,
        flatten=flatten,
        regress=Head(flatten.num_values, hidden, 2 * num_keypoints, begin=0.5, dropout=dropout),
        refinements=[
            Refinement(backbone, given["width"], hidden // 4, num_keypoints, dropout) for _ in range(stages - 1)
        ],
        num_keypoints=num_keypoints,
        joint_loss=joint_loss,
        input_size=(given["image_size"], given["image_size"]),
    )

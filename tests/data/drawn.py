"""Pictures of which it is known where everything is, to see that it stays together."""

import torch
from torch import Tensor

from delineate.values import Categories, Sample, Target

CATEGORIES = Categories(
    class_names=("thing",),
    label_map_names=("thing", "background"),
    keypoint_names=("nose", "left_ear", "right_ear"),
)
FLIP_ORDER = CATEGORIES.flip_order


def drawn(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> Sample:
    """White rectangles on black, with keypoints at their centre, top left and bottom right."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    corners = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    keypoints = torch.stack([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, :2], corners[:, 2:]], 1)
    target = Target(
        image_size=size,
        boxes=corners,
        labels=torch.arange(len(boxes)),
        masks=masks,
        keypoints=keypoints,
        visibility=torch.full((len(boxes), 3), 2),
        crowd=torch.arange(len(boxes)) % 2 == 1,
        label_map=(~masks.any(0)).long(),
    )
    image = (masks.any(0) * 255).to(torch.uint8).expand(3, -1, -1).contiguous()
    return Sample(image=image, target=target, file="drawn.png")


def box_of(mask: Tensor) -> Tensor:
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()


def proposed(size: tuple[int, int], *boxes: tuple[float, float, float, float]) -> Sample:
    """A picture whose objects were proposed, each by its very box."""
    corners = torch.tensor(boxes).view(-1, 4)
    target = Target(image_size=size, boxes=corners, labels=torch.arange(len(boxes)), proposals=corners.clone())
    return Sample(image=torch.zeros(3, *size, dtype=torch.uint8), target=target, file="proposed.png")

"""Random pictures with objects, and what a poor detector says of them."""

import torch

from delineate.ops.masks import encode_rle
from delineate.values import Detections, Target

SIZE = (240, 320)


def random_boxes(count: int) -> torch.Tensor:
    """Of all of COCO's sizes."""
    height, width = SIZE
    sides = (torch.rand(count, 2) * 2 + 2.2).exp() * torch.tensor([1.0, 0.7])
    corner = torch.rand(count, 2) * (torch.tensor([width, height]) - sides).clamp(min=1)
    return torch.cat([corner, (corner + sides).minimum(torch.tensor([width, height]))], dim=1)


def moved(boxes: torch.Tensor, share: float) -> torch.Tensor:
    """Each box with its corners off by a share of its sides."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    height, width = SIZE
    corners = (boxes + torch.randn(len(boxes), 4) * sides * share).minimum(torch.tensor([width, height] * 2)).clamp(0)
    return torch.where((corners[:, 2:] - corners[:, :2] > 1).all(1, keepdim=True), corners, boxes)


def ellipses(boxes: torch.Tensor) -> torch.Tensor:
    """A mask in each box, of at least one pixel."""
    height, width = SIZE
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    x1, y1, x2, y2 = boxes[:, :, None, None].unbind(1)
    return ((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2 <= 1


def random_picture(
    num_objects: int,
    num_classes: int = 4,
    *,
    masks: bool = False,
    num_keypoints: int = 0,
    crowd: float = 0.1,
    difficult: float = 0.0,
    num_false: int = 6,
) -> tuple[Detections, Target]:
    """Detections two for an object, off by little or much, a few of another class, and some in the blue."""
    boxes, labels = random_boxes(num_objects), torch.randint(0, num_classes, (num_objects,))
    found = torch.cat([moved(boxes, 0.06), moved(boxes, 0.2), random_boxes(num_false)])
    said = torch.cat([labels, labels, torch.randint(0, num_classes, (num_false,))])
    said = torch.where(torch.rand(len(said)) < 0.2, torch.randint(0, num_classes, (len(said),)), said)
    scores = (torch.rand(len(found)) * 50).round() / 50  # some are equal
    scores, order = scores.sort(descending=True)
    points, seen, said_points, said_seen = (None,) * 4
    if num_keypoints:
        sides = boxes[:, None, 2:] - boxes[:, None, :2]
        points = boxes[:, None, :2] + torch.rand(num_objects, num_keypoints, 2) * sides
        seen = torch.randint(0, 3, (num_objects, num_keypoints)) * (torch.rand(num_objects, 1) < 0.8)
        wrong = torch.rand(num_false, num_keypoints, 2) * 200
        near = [points + torch.randn_like(points) * sides * share for share in (0.02, 0.08)]
        said_points = torch.cat([*near, wrong])[order]
        said_seen = torch.full(said_points.shape[:2], 2)
    detections = Detections(
        image_size=SIZE,
        boxes=found[order],
        labels=said[order],
        scores=scores,
        rles=encode_rle(ellipses(found[order])) if masks else None,
        keypoints=said_points,
        visibility=said_seen,
    )
    target = Target(
        image_size=SIZE,
        boxes=boxes,
        labels=labels,
        masks=ellipses(boxes) if masks else None,
        keypoints=points,
        visibility=seen,
        crowd=torch.rand(num_objects) < crowd,
        difficult=torch.rand(num_objects) < difficult,
    )
    return detections, target


def objects(*rows: tuple[int, list[float]], crowd: tuple[int, ...] = (), difficult: tuple[int, ...] = ()) -> Target:
    """A target of (label, box) rows; `crowd` and `difficult` are rows."""
    rows_of = range(len(rows))
    return Target(
        image_size=SIZE,
        boxes=torch.tensor([box for _, box in rows]).view(-1, 4).float(),
        labels=torch.tensor([label for label, _ in rows], dtype=torch.int64),
        crowd=torch.tensor([row in crowd for row in rows_of], dtype=torch.bool),
        difficult=torch.tensor([row in difficult for row in rows_of], dtype=torch.bool),
    )


def found(*rows: tuple[float, int, list[float]]) -> Detections:
    """Detections of (score, label, box) rows."""
    return Detections(
        image_size=SIZE,
        boxes=torch.tensor([box for *_, box in rows]).view(-1, 4).float(),
        labels=torch.tensor([label for _, label, _ in rows], dtype=torch.int64),
        scores=torch.tensor([score for score, *_ in rows]).float(),
    )

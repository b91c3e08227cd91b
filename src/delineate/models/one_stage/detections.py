"""From the scored boxes of every picture of a batch to its detections."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from delineate.ops.boxes import scale_boxes
from delineate.ops.nms import select
from delineate.values import Detections


def detections(
    scores: Float[Tensor, "b n c"],
    boxes: Float[Tensor, "b n 4"],
    image_size: tuple[int, int],
    sizes: Sequence[tuple[int, int]],
    *,
    score_threshold: float,
    nms_threshold: float,
    max_detections: int,
    max_candidates: int | None = None,
) -> list[Detections]:
    """NMS class by class, and the way from a picture of `image_size` `(height, width)` to the original ones, `sizes`.

    The thresholds are those of `select`; boxes are `x1 y1 x2 y2` in pixels of `image_size`.
    """
    results = []
    for its_scores, its_boxes, size in zip(scores, boxes, sizes, strict=True):
        found = select(
            its_scores,
            lambda rows, _, its_boxes=its_boxes: its_boxes[rows],  # type: ignore[misc]
            image_size,
            score_threshold=score_threshold,
            nms_threshold=nms_threshold,
            max_detections=max_detections,
            max_candidates=max_candidates,
        )
        original = scale_boxes(found.boxes, image_size, size)
        results.append(Detections(image_size=size, boxes=original, labels=found.labels, scores=found.scores))
    return results

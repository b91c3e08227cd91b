"""Few of many boxes carry the loss."""

import torch
from jaxtyping import Bool, Int64
from torch import Tensor


def sample_balanced(
    positive: Bool[Tensor, " a"], negative: Bool[Tensor, " a"], *, count: int, positive_share: float
) -> tuple[Int64[Tensor, " p"], Int64[Tensor, " n"]]:
    """Draw rows: at most `count * positive_share` positives, filled up to `count` with negatives; each ascending.

    Girshick 2015, Fast R-CNN, section 2.3.
    """
    positives, negatives = positive.nonzero()[:, 0], negative.nonzero()[:, 0]
    num_positive = min(len(positives), int(count * positive_share))
    num_negative = min(len(negatives), count - num_positive)
    return _drawn(positives, num_positive), _drawn(negatives, num_negative)


def _drawn(rows: Tensor, count: int) -> Tensor:
    return rows[torch.randperm(len(rows), device=rows.device)[:count]].sort().values

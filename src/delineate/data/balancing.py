"""Rare classes are seen more often, or count more, by how often they occur.

N  pictures    C  classes
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.data.counting import amounts_by_class
from delineate.data.dataset import Dataset
from delineate.values import counted


def repeat_factors(present: Bool[Tensor, "n c"]) -> Float[Tensor, " n"]:
    """Say how often each picture is to come, as often as its rarest class asks for; the mean of all is 1.

    A class that `f` of the pictures have asks for `max(1, sqrt(t / f))` (Gupta, Dollar & Girshick 2019, LVIS, repeat
    factor sampling). The threshold t is the median f of the classes that occur, no number chosen for 1,203 classes.
    """
    frequency = present.double().mean(0)
    occurs = frequency > 0
    if not occurs.any():
        return torch.ones(len(present))
    threshold = frequency[occurs].quantile(0.5)
    of_class = (threshold / frequency.clamp(min=1e-12)).sqrt().clamp(min=1)
    factors = of_class.where(present, 1.0).amax(1)
    return (factors / factors.mean()).float()


def balanced_order(
    factors: Float[Tensor, " n"], generator: torch.Generator
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"]]:
    """Draw as many pictures as there are, each its factor's number of times, rounded up or down by chance.

    With the pictures, in random order, comes how often each was drawn before in this order.
    """
    num = len(factors)
    shuffled = torch.randperm(num, generator=generator)
    ends = factors[shuffled].double().cumsum(0)
    marks = (torch.arange(num) + torch.rand((), generator=generator).double()) * ends[-1] / num
    drawn = shuffled[torch.searchsorted(ends, marks, right=True).clamp(max=num - 1)]  # one picture's stand together
    begins = torch.searchsorted(marks, torch.cat([torch.zeros(1).double(), ends[:-1]]))
    place = torch.empty(num, dtype=torch.int64).index_put((shuffled,), begins)
    turns = torch.arange(num) - place[drawn]
    mixed = torch.randperm(num, generator=generator)
    return drawn[mixed], turns[mixed]


def balance(dataset: Dataset) -> tuple[Float[Tensor, " n"], str]:
    """Compute the repeat factors of a data set's pictures, and say in a line what they do."""
    _, names, amounts, _ = amounts_by_class(dataset)
    present = torch.from_numpy(amounts > 0)
    factors = repeat_factors(present)
    of_class = [
        f"{name} {float(factors[present[:, label]].mean()):.2f}"
        for label, name in enumerate(names)
        if present[:, label].any()
    ]
    num_more = int((factors > 1).sum())
    return factors, (
        f"sampler class_balanced: {num_more} of {counted(len(dataset), 'picture')} come up to "
        f"{float(factors.max()):.2f} times an epoch, the others less; times that pictures of each class come: "
        f"{', '.join(of_class)}"
    )


def object_weights(dataset: Dataset) -> tuple[Float[Tensor, " c"], str]:
    """Weigh the classes of objects by `median(f) / f`, and say in a line what they are.

    `f` is a class's share of the objects in the pictures that it occurs in, as Eigen & Fergus 2015, section 6.1, have
    it of pixels. A class that does not occur has weight 1.
    """
    _, names, amounts, _ = amounts_by_class(dataset)
    weights = median_frequency(amounts.sum(0), ((amounts > 0) * amounts.sum(1, keepdims=True)).sum(0))
    said = [
        f"{name} {weight:.2f} ({counted(int(number), 'object')})"
        for name, weight, number in zip(names, weights.tolist(), amounts.sum(0), strict=True)
    ]
    return weights, f"class weights: {', '.join(said)}"


def median_frequency(amounts: Int64[np.ndarray, " c"], seen_with: Int64[np.ndarray, " c"]) -> Float[Tensor, " c"]:
    """Compute `median(f) / f` of `f = amounts / seen_with`, 1 where there is nothing."""
    frequency = torch.from_numpy(amounts / np.maximum(seen_with, 1))
    occurs = frequency > 0
    if not occurs.any():
        return torch.ones(len(frequency))
    return (frequency[occurs].quantile(0.5) / frequency).where(occurs, 1.0).float()

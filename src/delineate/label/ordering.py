"""What a correction teaches most comes first: what a model is unsure of, or two models see differently.

    margin         each object is right, or missed, by its score: how many mistakes that makes, expected
    entropy        of a pixel's class, on average, as a share of the largest (Shannon 1948)
    disagreement   of two models: the share of what either finds that the other one does not

Settles 2009, "Active Learning Literature Survey", sections 3.1 and 3.2: uncertainty sampling, query by committee.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.ops import box_iou

from delineate.models.contract import Scores
from delineate.system.system import System, evaluating
from delineate.values import Detections, LabelMap, Prediction
from delineate.values.thresholds import MIN_SCORE

SAME = 0.5
"""Two boxes of a class that overlap by so much are one object."""


@torch.inference_mode()
def teaches(systems: Sequence[System], image: UInt8[Tensor, "3 h w"]) -> float:
    """Say from 0 to 1 how much a correction of a picture would teach the first of one or two systems."""
    first = systems[0]
    others = [system for system in systems[1:2] if system.task.name == first.task.name]
    has_maps = "label_map" in first.task.needs
    found = None if has_maps and not others else first.infer([image])[0]
    if isinstance(found, Detections):
        mistakes = expected_mistakes(found, first.least)
        values = [mistakes / (1 + mistakes)]
    else:
        values = [entropy(first, image)]
    if found is not None:
        values += [disagreement(found, other.infer([image])[0], first, other) for other in others]
    return max(values)


def expected_mistakes(found: Detections, least: Float[Tensor, " c"] | None = None) -> float:
    """Count the mistakes that are expected: a score is taken for how likely it is, `least` for one half.

    An object that scores more is taken for found, and wrong so often as it is not there; one that scores less is
    missed so often as it is.
    """
    thresholds = torch.full((len(found),), MIN_SCORE) if least is None else least.cpu()[found.labels]
    thresholds = thresholds.clamp(1e-6, 1 - 1e-6)
    below, above = found.scores / (2 * thresholds), 0.5 + (found.scores - thresholds) / (2 * (1 - thresholds))
    likely = torch.where(found.scores < thresholds, below, above)
    return float(torch.minimum(likely, 1 - likely).sum())


def entropy(system: System, image: UInt8[Tensor, "3 h w"]) -> float:
    """Measure how undecided the classes of the pixels are, from 0 to 1."""
    (prepared,) = system.prepare([image])
    with evaluating(system.model):
        outputs = system.find(prepared.inputs)
    assert isinstance(outputs, Scores)
    logs = outputs.logits.float().log_softmax(1)
    return float(-(logs.exp() * logs).sum(1).mean() / math.log(max(2, logs.shape[1])))


def disagreement(one: Prediction, other: Prediction, first: System, second: System) -> float:
    """Measure how much two systems see differently: the share of objects, or pixels, that they do not share."""
    if isinstance(one, LabelMap) or isinstance(other, LabelMap):
        assert isinstance(one, LabelMap)
        assert isinstance(other, LabelMap)
        names = first.categories.label_map_names
        table = torch.tensor([names.index(name) if name in names else -1 for name in second.categories.label_map_names])
        return float((one.label_map != table[other.label_map]).float().mean())
    one = one.above(MIN_SCORE if first.least is None else first.least)
    other = other.above(MIN_SCORE if second.least is None else second.least)
    if not len(one) + len(other):
        return 0.0
    mine = [first.categories.class_names[label] for label in one.labels.tolist()]
    theirs = [second.categories.class_names[label] for label in other.labels.tolist()]
    overlaps = box_iou(one.boxes, other.boxes).tolist()
    pairs = [(iou, a, b) for a, row in enumerate(overlaps) for b, iou in enumerate(row) if mine[a] == theirs[b]]
    left, right = set(range(len(one))), set(range(len(other)))
    for iou, a, b in sorted(pairs, reverse=True):
        if iou >= SAME and a in left and b in right:
            left.discard(a)
            right.discard(b)
    return (len(left) + len(right)) / (len(one) + len(other))

"""The score of a class is chosen on some pictures; drawing these anew, with repetition, says how sure it is.

Efron 1979, Bootstrap Methods: Another Look at the Jackknife. Pictures are drawn, not objects: those of a picture are
alike.

P  pictures    D  detections    S  scores, descending, from which on objects could be taken    B  draws of P pictures
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from delineate.evaluation.operating.aims import Aim, f1_of, shares
from delineate.metrics.matching import match_detections, overlaps, same_class
from delineate.system.operating import ClassPoint, Curve, Estimate
from delineate.values import Detections, Target

MOST, STORED, DRAWS = 512, 65, 1000
"""So many scores are compared, so many points of a curve are kept, and the pictures are drawn so often."""
OUTER = (2.5, 97.5)
"""Between these percentiles of the draws lies what is 19 times in 20."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Each of D detections is right or wrong; those of crowds and difficult objects, which are neither, are left out.

    `objects` counts those of each class in each picture that count.
    """

    scores: Float64[np.ndarray, " d"]
    labels: Int64[np.ndarray, " d"]
    right: Bool[np.ndarray, " d"]
    pictures: Int64[np.ndarray, " d"]
    objects: Float64[np.ndarray, "p c"]

    def of(self, label: int | None) -> "Judged":
        """Keep one class, or with `None` take all together."""
        if label is None:
            everything = {**vars(self), "labels": np.zeros_like(self.labels), "objects": self.objects.sum(1)[:, None]}
            return Judged(**everything)
        rows = self.labels == label
        kept = {name: getattr(self, name)[rows] for name in ("scores", "labels", "right", "pictures")}
        return Judged(**kept, objects=self.objects[:, [label]])


def judged(detections: Sequence[Detections], targets: Sequence[Target], num_classes: int) -> Judged:
    """Match detections with objects of their class by their boxes, as the report does, at an IoU of 0.5."""
    columns: dict[str, list[NDArray[np.generic]]] = {"scores": [], "labels": [], "right": [], "pictures": []}
    objects = np.zeros((len(targets), num_classes))
    for number, (predicted, target) in enumerate(zip(detections, targets, strict=True)):
        matches = match_detections(overlaps(predicted, target) * same_class(predicted, target), target)
        counted = ~matches.neutral
        columns["scores"].append(predicted.scores[counted].double().numpy())
        columns["labels"].append(predicted.labels[counted].numpy())
        columns["right"].append((matches.objects[counted] >= 0).numpy())
        columns["pictures"].append(np.full(int(counted.sum()), number))
        objects[number] = target.labels[~target.ignored].bincount(minlength=num_classes).numpy()
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    return Judged(**joined, objects=objects)


def choose(one: Judged, aim: Aim, seed: int = 0) -> ClassPoint:
    """Choose from which score on objects of what is `one` class are taken, with its range over draws of the pictures.

    There is an object that counts.
    """
    scores = candidates(one.scores[one.right])
    right, taken = (counted_from(scores, one, rows) for rows in (one.right, np.ones_like(one.right)))
    draws = np.random.default_rng(seed).multinomial(len(right), np.full(len(right), 1 / len(right)), size=DRAWS)
    together = np.concatenate([np.ones((1, len(right))), draws])  # the first draw is the pictures themselves
    right, taken, num_objects = together @ right, together @ taken, together @ one.objects
    worth = aim.worth(right, taken, num_objects)
    best = worth.argmax(1)
    precision, recall = shares(right, taken, num_objects)
    f1, row = f1_of(right, taken, num_objects), best[0]
    stored = np.unique(np.append(np.linspace(0, len(scores) - 1, min(STORED, len(scores))).round().astype(int), row))
    return ClassPoint(
        score=estimate(scores[best]),
        precision=estimate(precision[:, row]),
        recall=estimate(recall[:, row]),
        f1=estimate(f1[:, row]),
        num_objects=int(num_objects[0, 0]),
        reached=aim.reached(float(worth[0, row])),
        curve=Curve(
            scores=tuple(scores[stored].tolist()),
            precision=tuple(estimate(precision[:, place]) for place in stored),
            recall=tuple(estimate(recall[:, place]) for place in stored),
        ),
    )


def candidates(scores: Float64[np.ndarray, " d"]) -> Float64[np.ndarray, " s"]:
    """List the scores to choose among, descending: 1, from which on next to nothing is taken, and what right ones have.

    Between two of these no score is better than the higher one, whatever the aim. Of more than `MOST`, those at equal
    distances of rank.
    """
    occurring = np.unique(scores)[::-1]
    if len(occurring) > MOST:
        ranks = np.sort(scores)[::-1]
        occurring = np.unique(ranks[np.linspace(0, len(ranks) - 1, MOST).round().astype(int)])[::-1]
    return occurring if len(occurring) and occurring[0] >= 1 else np.append(1.0, occurring)


def counted_from(
    scores: Float64[np.ndarray, " s"], one: Judged, rows: Bool[np.ndarray, " d"]
) -> Float64[np.ndarray, "p s"]:
    """Count, of each picture's detections that are in `rows`, those of each score or more."""
    places = len(scores) - np.searchsorted(scores[::-1], one.scores[rows], side="right")  # the first score it reaches
    counts = np.zeros((len(one.objects), len(scores) + 1))
    np.add.at(counts, (one.pictures[rows], places), 1)
    return counts[:, :-1].cumsum(1)


def estimate(values: Float64[np.ndarray, " b"]) -> Estimate:
    """Give the first value, which is that of the pictures themselves, with its range over the other draws."""
    low, high = np.percentile(values[1:], OUTER)
    return Estimate(value=float(values[0]), low=float(low), high=float(high))

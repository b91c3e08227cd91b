"""PASCAL VOC measures average precision by rules of its own."""

from collections.abc import Sequence

import numpy as np

from delineate.metrics.matching import Ranking, rank_detections
from delineate.values import Content, Detections, Target

VOC_PROTOCOL = (
    "PASCAL VOC: average precision at IoU 0.50, the mean over the classes that have objects; VOC2007's is the mean of "
    "the largest precision at recalls of 0, 0.1, ... 1 or more, VOC2010's is the area under the interpolated curve; "
    "difficult objects are neither found nor missed, nor is what finds them wrong; IoU without the devkit's '+1'"
)


def voc_metrics(
    detections: Sequence[Detections],
    targets: Sequence[Target],
    names: Sequence[str],
    *,
    kind: Content = "boxes",
) -> dict[str, float]:
    """Compute `voc2007_mAP`, `voc2010_mAP`, and of each class with objects `voc2007_AP/NAME` and `voc2010_AP/NAME`.

    Everingham et al. 2010, The PASCAL Visual Object Classes Challenge, section 4.2, and the devkit's `VOCevaldet.m`:
    a detection belongs to the object it overlaps most; a second one of the same object is wrong; those of *difficult*
    objects (and of crowds, which VOC has not) are left out, as these objects are. The devkit's boxes hold whole
    pixels, so it measures a side as `x2 - x1 + 1`; ours are coordinates, whose IoU is that of the devkit where a reader
    has turned its `xmin` into `xmin - 1`.

    Raises `InputError` where no picture has an object that counts, or masks are asked for and not there.
    """
    rankings = rank_detections(detections, targets, len(names), rule="voc", kind=kind)
    counted = [(name, ranking) for name, ranking in zip(names, rankings, strict=True) if ranking.num_objects]
    result: dict[str, float] = {}
    for year, average_precision in (("2007", eleven_point_ap), ("2010", area_ap)):
        classes = {f"voc{year}_AP/{name}": average_precision(ranking) for name, ranking in counted}
        result |= {f"voc{year}_mAP": sum(classes.values()) / len(classes), **classes}
    return result


def eleven_point_ap(ranking: Ranking) -> float:
    """Average, over the recalls 0, 0.1, ... 1, the largest precision where recall is that or more (VOC2007)."""
    recall, precision = ranking.curve()
    levels = np.arange(11) / 10
    return float(np.where(recall >= levels[:, None], precision, 0).max(axis=1, initial=0).mean())


def area_ap(ranking: Ranking) -> float:
    """Measure the area under the curve of the largest precision at each recall or more (VOC2010 and later)."""
    recall, precision = ranking.curve()
    return float((np.diff(recall, prepend=0) * precision).sum())

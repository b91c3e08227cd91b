"""COCO's metrics of boxes, masks and keypoints, collected picture by picture."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from jaxtyping import Int64
from torch import Tensor

from delineate.metrics.coco_figures import CUSTOM_SIGMA, MOST, coco_figures, most_of_a_class
from delineate.metrics.detection import detection_confusion
from delineate.metrics.kept import Each, Kept, Picture
from delineate.metrics.matching import NOTHING
from delineate.ops.masks import encode_rle
from delineate.values import Content, Detections, InputError, Target

Instances = TypeVar("Instances", Detections, Target)

AT_MOST = f"at most {MOST} detections a class and picture (20 with keypoints)"
COCO_PROTOCOL = (
    "COCO: average precision interpolated at 101 recalls, averaged over IoU 0.50:0.05:0.95 and over the classes that "
    f"have objects; {AT_MOST}; small is below 32^2 pixels, large "
    "above 96^2, by the area of the mask, or of the box where there is none; crowds (by the share of the detection "
    "inside) and difficult objects (by IoU) take any number of detections, which then count neither as right nor as "
    f"wrong; keypoints by OKS with COCO's sigmas for 17 keypoints, else {CUSTOM_SIGMA} (their mean) for each; "
    "OKS divides by the area of the mask, and so asks for nearer keypoints of thin bodies than of others"
)
PREFIXES: Mapping[Content, str] = {"masks": "mask_", "keypoints": "keypoint_", "boxes": ""}
"""The names of metrics begin with these."""


class CocoEvaluation:
    """The evaluation gathers pictures, masks as RLE, on the disk where they are many, and measures them all at once.

    It can be pickled, and what other processes gathered be merged into it. `most` detections of a class and picture
    count, where that is more than COCO's 100; if not given, all where a picture has more objects of a class.
    """

    def __init__(self, most: int | None = None) -> None:
        self._pictures = Kept()
        self.most = most

    def add(self, detections: Detections, target: Target, number: int = 0) -> None:
        """Take one picture, which has the place `number` in the data set.

        Pictures are measured in that order, which decides which of equal scores is ranked first: so the result does
        not depend on which process measured which picture.
        """
        assert detections.image_size == target.image_size, f"{detections.image_size} beside {target.image_size}"
        rles = None if target.masks is None else encode_rle(target.masks)
        target = _on_cpu(replace(target, masks=None, label_map=None, proposals=None))
        self._pictures.append(Picture(number=number, detections=_on_cpu(detections), target=target, rles=rles))

    def merge(self, other: "CocoEvaluation") -> None:
        """Take all pictures of another evaluation."""
        self._pictures.extend(other._pictures)

    @property
    def pictures(self) -> Sequence[Picture]:
        """The pictures are sorted by their numbers, and read again each time that they are asked for."""
        return self._pictures.in_order()

    @property
    def detections(self) -> Sequence[Detections]:
        """The detections are one value a picture."""
        pictures = self.pictures
        return Each(lambda row: pictures[row].detections, range(len(pictures)))

    @property
    def targets(self) -> Sequence[Target]:
        """The targets are one value a picture, without masks, label map and proposals."""
        pictures = self.pictures
        return Each(lambda row: pictures[row].target, range(len(pictures)))

    @property
    def protocol(self) -> str:
        """Say by which rules these pictures are measured: COCO's limit would hide objects of fuller pictures."""
        fullest = most_of_a_class(self.targets)
        if self.most is not None and self.most > MOST:
            asked = f"at most {self.most} detections a class and picture, as was asked for, where COCO takes {MOST}"
            lost = f", of which a picture has {fullest} objects" if fullest > self.most else ""
            return COCO_PROTOCOL.replace(AT_MOST, f"{asked}{lost} (20 with keypoints)")
        if fullest <= MOST:
            return COCO_PROTOCOL
        every = f"every detection, as a picture has {fullest} objects of a class, where COCO takes {MOST} of a picture"
        return COCO_PROTOCOL.replace(AT_MOST, f"{every} (20 with keypoints; AR1, AR10 and AR{MOST} are COCO's)")

    def metrics(self, names: Sequence[str]) -> dict[str, float]:
        """Compute the metrics of COCO's evaluation server (Lin et al. 2014, Microsoft COCO), each in 0..1.

        `AP`, `AP50`, `AP75`, `AP_small`, `AP_medium`, `AP_large`, `AR1`, `AR10`, `AR100`, `AR_small`, `AR_medium`,
        `AR_large` of boxes, and `AP/NAME` of each class; the same with `mask_` before it where detections and targets
        have masks; `keypoint_AP`, `keypoint_AP50`, `keypoint_AP75`, `keypoint_AP_medium`, `keypoint_AP_large`, the
        same with `AR`, and `keypoint_AP/NAME`, where they have keypoints. Pictures whose objects have no masks are
        left out of `mask_`; objects without an annotated keypoint are ignored in `keypoint_`. What no object counts
        for (a class, a size) is left out.

        Where a picture has more than 100 objects of a class, every detection is measured, but in `AR1` to `AR100`;
        where more than 100 are asked for, that many, with an `AR` of that number.
        Raises `InputError` where no picture has an object that counts, and where some detections have masks or
        keypoints and others have none.
        """
        pictures = self.pictures
        there = [_Content.of(picture) for picture in pictures]
        assert all(one.num_classes <= len(names) for one in there), f"a label has no name of {len(names)}"
        most, asked = self._limit, self.most is not None
        result = coco_figures("boxes", pictures, names, most, asked=asked)
        if not result:
            raise InputError(NOTHING)
        if _both_have("rles", [(one.num_found, *one.masks) for one in there]):
            rows = [row for row, one in enumerate(there) if one.masks[1] or not one.num_objects]
            masked = Each(pictures.__getitem__, rows)
            result |= _prefixed("masks", coco_figures("masks", masked, names, most, asked=asked))
        if _both_have("keypoints", [(one.num_found, *one.keypoints) for one in there]):
            result |= _prefixed("keypoints", coco_figures("keypoints", pictures, names))
        return result

    @property
    def _limit(self) -> int:
        if self.most is not None:
            return max(self.most, MOST)
        if most_of_a_class(self.targets) <= MOST:
            return MOST
        return max(MOST, *(len(detections) for detections in self.detections))

    def confusion(self, num_classes: int) -> Int64[Tensor, "n n"]:
        """Count how often objects were taken for others: `detection_confusion` of all pictures, by their boxes."""
        return detection_confusion(self.detections, self.targets, num_classes)


def by_content(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Sort COCO's metrics of the whole: each with its values of boxes, masks and keypoints."""
    rows: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        content, prefix = next((content, prefix) for content, prefix in PREFIXES.items() if name.startswith(prefix))
        metric = name.removeprefix(prefix)
        if "/" not in name and metric.startswith(("AP", "AR")):
            rows.setdefault(metric, {})[content] = value
    return rows


def _prefixed(content: Content, figures: Mapping[str, float]) -> dict[str, float]:
    return {PREFIXES[content] + name: value for name, value in figures.items()}


class _Content(NamedTuple):
    """A picture has so many detections and objects; of masks and keypoints it says whether each side has them."""

    num_found: int
    num_objects: int
    num_classes: int
    masks: tuple[bool, bool]
    keypoints: tuple[bool, bool]

    @classmethod
    def of(cls, picture: Picture) -> "_Content":
        found, target = picture.detections, picture.target
        return cls(
            num_found=len(found),
            num_objects=len(target),
            num_classes=max(int(value.labels.max()) + 1 if len(value) else 0 for value in (found, target)),
            masks=(found.rles is not None, picture.rles is not None),
            keypoints=(found.keypoints is not None, target.keypoints is not None),
        )


def _both_have(field: str, pictures: Sequence[tuple[int, bool, bool]]) -> bool:
    """Tell whether detections and targets have a field; a picture gives their number, and whether each side has it."""
    if not any(predicted for _, predicted, _ in pictures) or not any(true for *_, true in pictures):
        return False
    if any(num_detections and not predicted for num_detections, predicted, _ in pictures):
        raise InputError(f"{field}: the detections of some pictures have them, those of others have none")
    return True


def _on_cpu(value: Instances) -> Instances:
    """Copy the tensors, so that none of them holds, or pickles, a larger one that it is a part of."""
    copies: dict[str, Any] = {
        name: field.detach().cpu().clone() for name, field in vars(value).items() if isinstance(field, Tensor)
    }
    return replace(value, **copies)

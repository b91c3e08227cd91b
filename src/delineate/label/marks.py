"""A mark is one object of a picture as the page draws it and the journal keeps it."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from faster_coco_eval.core import mask as coco_masks
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from delineate.data.formats.coco.segmentations import rasterise, read_segmentations
from delineate.ops.masks import RLE, encode_rle
from delineate.values import Categories, Detections, InputError, Target

MOST_CORNERS = 20_000
NEAR = 1.0
"""A box that is so many pixels from what its mask fills may be what an annotator drew around it."""

Point = tuple[FiniteFloat, FiniteFloat]
Polygon = Annotated[list[Point], Field(min_length=3, max_length=MOST_CORNERS)]


class Mark(BaseModel):
    """A mark has the key that whoever made it gave it, a class by its name, and a box `x1 y1 x2 y2` in pixels.

    Its mask is `polygons` without the `holes`, or COCO's run-length encoding `rle`, which stays as it is until somebody
    edits it. `keypoints` and their `visibility` (0 not annotated, 1 hidden, 2 visible) have a row a joint. A `crowd` is
    a region of many objects; what is `ignore`d is neither learned nor measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(min_length=1, max_length=80)
    label: str
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    polygons: list[Polygon] | None = Field(None, min_length=1, max_length=MOST_CORNERS)
    holes: list[Polygon] | None = None
    rle: dict[str, Any] | None = None
    keypoints: list[Point] | None = None
    visibility: list[Annotated[int, Field(ge=0, le=2)]] | None = None
    crowd: bool = False
    ignore: bool = False
    score: FiniteFloat | None = None

    @model_validator(mode="after")
    def _check(self) -> "Mark":
        if self.polygons is not None and self.rle is not None:
            raise ValueError("polygons and rle are both given; a mask is one of them")
        if self.holes and self.polygons is None:
            raise ValueError("holes are those of polygons; give these, too")
        if len(self.keypoints or ()) != len(self.visibility or ()):
            raise ValueError("keypoints and visibility differ in length")
        return self

    def mask(self, image_size: tuple[int, int]) -> RLE | None:
        """Make the mask of a picture of `(height, width)` as COCO rasterises it; raises `InputError` for none."""
        where = f"object {self.key}"
        if self.rle is not None:
            (shape,) = read_segmentations([self.rle], lambda _: f"{where}: rle")
            mask = rasterise([shape], image_size, lambda _: f"{where}: rle")
            if isinstance(shape["counts"], str):
                return RLE(size=list(image_size), counts=shape["counts"])
            return encode_rle(mask)[0]
        if self.polygons is None:
            return None
        filled = rasterise([_flat(self.polygons)], image_size, lambda _: f"{where}: polygons")
        if self.holes:
            filled = filled & ~rasterise([_flat(self.holes)], image_size, lambda _: f"{where}: holes")
        return encode_rle(filled)[0]

    def record(self) -> dict[str, Any]:
        """Write it as JSON holds it, with all its fields."""
        return self.model_dump(mode="json")


def read_mark(values: Any) -> Mark:
    """Read what a client sent; raises `InputError` naming the field."""
    try:
        return Mark.model_validate(values)
    except ValidationError as error:
        raise InputError(f"object: {first_line(error)}") from None


def first_line(error: ValidationError) -> str:
    """Say the first thing that is wrong with what was sent, and where."""
    problem = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else str(problem["msg"]).removeprefix("Value error, ")


def checked(mark: Mark, categories: Categories, image_size: tuple[int, int], before: Mark | None = None) -> Mark:
    """Check a mark against its picture; its box is cut to the picture, and is around its mask.

    Of one that was there `before` with the same mask and another box, the mask is dropped: it is of a thing that was
    moved. Raises `InputError` naming the object and the field.
    """
    where = f"object {mark.key}"
    if mark.label not in categories.class_names:
        raise InputError(
            f"{where}: label: there is no class '{mark.label}'; there are {', '.join(categories.class_names)}"
        )
    if mark.keypoints and len(mark.keypoints) != len(categories.keypoint_names):
        raise InputError(
            f"{where}: keypoints: {len(mark.keypoints)} are given, and {len(categories.keypoint_names)} have names"
        )
    box = _cut(mark.box, image_size)
    if before is not None and _shape(mark) == _shape(before) is not None and not _close(mark.box, before.box):
        mark = mark.model_copy(update={"polygons": None, "holes": None, "rle": None})
    rle = mark.mask(image_size)
    if rle is not None:
        mark = mark.model_copy(update={"rle": dict(rle)}) if mark.rle is not None else mark
        x, y, width, height = coco_masks.toBbox([rle])[0].tolist()
        if not width * height:
            raise InputError(f"{where}: its mask has no pixel in the picture; draw it, or remove the object")
        around = (x, y, x + width, y + height)
        box = box if _close(box, around) else around
    if box[2] <= box[0] or box[3] <= box[1]:
        raise InputError(
            f"{where}: box: {list(mark.box)} has no area in the picture of {image_size[1]} x {image_size[0]}"
        )
    return mark.model_copy(update={"box": box})


def marks_of(target: Target, categories: Categories) -> list[Mark]:
    """Make marks of what a reader read; keys are the rows."""
    rles = None if target.masks is None else encode_rle(target.masks)
    return [
        Mark(
            key=f"read-{row}",
            label=categories.class_names[int(target.labels[row])],
            box=tuple(target.boxes[row].tolist()),
            rle=None if rles is None else dict(rles[row]),
            crowd=bool(target.crowd[row]),
            ignore=bool(target.difficult[row]),
            **_joints(target.keypoints, target.visibility, row),
        )
        for row in range(len(target))
    ]


def marks_found(found: Detections, categories: Categories) -> list[dict[str, Any]]:
    """Write what a system found as marks without keys, scores descending."""
    marks = [
        Mark(
            key="found",
            label=categories.class_names[int(found.labels[row])],
            box=tuple(found.boxes[row].tolist()),
            rle=None if found.rles is None else dict(found.rles[row]),
            score=float(found.scores[row]),
            **_joints(found.keypoints, found.visibility, row),
        )
        for row in range(len(found))
    ]
    return [{name: value for name, value in mark.record().items() if name != "key"} for mark in marks]


def coco_row(mark: Mark, categories: Categories, image_size: tuple[int, int]) -> dict[str, Any]:
    """Write a mark as COCO's annotation, which has no number yet: polygons stay, unless they have holes."""
    x1, y1, x2, y2 = mark.box
    row: dict[str, Any] = {
        "category_id": categories.class_names.index(mark.label) + 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": int(mark.crowd),
    }
    if mark.ignore:
        row["ignore"] = 1
    rle = mark.mask(image_size)
    if rle is not None:
        as_drawn = mark.polygons is not None and not mark.holes and not mark.crowd
        row |= {"segmentation": _flat(mark.polygons or []) if as_drawn else rle, "area": int(coco_masks.area([rle])[0])}
    if mark.keypoints and mark.visibility:
        joints = zip(mark.keypoints, mark.visibility, strict=True)
        row["keypoints"] = [number for (x, y), seen in joints for number in (x, y, seen)]
        row["num_keypoints"] = sum(seen > 0 for seen in mark.visibility)
    return row


def _joints(keypoints: torch.Tensor | None, visibility: torch.Tensor | None, row: int) -> dict[str, Any]:
    if keypoints is None or visibility is None:
        return {}
    return {"keypoints": keypoints[row].nan_to_num(0, 0, 0).tolist(), "visibility": visibility[row].tolist()}


def _shape(mark: Mark) -> tuple[Any, Any, Any] | None:
    """Give what a mask is made of; `None` where there is none."""
    shape = (mark.polygons, mark.holes or None, mark.rle)
    return None if shape == (None, None, None) else shape


def _cut(box: Sequence[float], image_size: tuple[int, int]) -> tuple[float, float, float, float]:
    height, width = map(float, image_size)
    x1, y1, x2, y2 = box
    return min(max(x1, 0.0), width), min(max(y1, 0.0), height), min(max(x2, 0.0), width), min(max(y2, 0.0), height)


def _close(box: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(side - another) <= NEAR for side, another in zip(box, other, strict=True))


def _flat(polygons: Sequence[Sequence[Sequence[float]]]) -> list[list[float]]:
    return [[number for corner in polygon for number in corner] for polygon in polygons]

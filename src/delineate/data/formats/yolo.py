"""YOLO: `data.yaml`, pictures, and beside them a text file a picture with one line an object (Ultralytics' formats)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.formats import yolo_files
from delineate.data.formats.yolo_files import Line
from delineate.data.formats.yolo_writing import write
from delineate.ops.masks import RLE, decode_rle, paint_label_map
from delineate.values import Categories, Content, InputError, Target
from delineate.values.categories import BACKGROUND

__all__ = ["Yolo", "read", "recognises", "splits", "write"]


def recognises(root: Path) -> bool:
    """Tell whether there is a YAML file with the classes' `names`, or `root` is one."""
    return yolo_files.describing(root) is not None


def splits(root: Path) -> list[str]:
    """List those of `train`, `val` and `test` that the YAML file has, and what else points into `images/`."""
    return yolo_files.splits(yolo_files.load(_source(root)))


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split; the label files are read when asked for.

    `kpt_shape` in the YAML file tells poses. Without it, the first line found tells boxes from polygons. A keypoint of
    two numbers is visible unless both are 0.

    Raises `InputError` naming the file and the line.
    """
    source = _source(root)
    description = yolo_files.load(source)
    files = yolo_files.pictures(source, description, split)
    kpt_shape = yolo_files.kpt_shape(source, description)
    categories = yolo_files.categories(source, description, kpt_shape)
    contents: set[Content] = {"boxes"}
    if kpt_shape is not None:
        contents.add("keypoints")
    elif _has_polygons(files, categories.num_classes):
        contents |= {"masks", "label_map"}
        categories = replace(categories, label_map_names=(*categories.class_names, BACKGROUND))
    return Yolo(needs=needs, files=files, categories=categories, contents=frozenset(contents), kpt_shape=kpt_shape)


@dataclass(kw_only=True)
class Yolo(Dataset):
    """One split. Masks are filled as COCO fills polygons, and label maps painted from them, smaller over larger.

    `problems` are the objects that are left out because they have no area; to know them, all label files are read.
    """

    needs: frozenset[Content]
    files: Sequence[Path]
    categories: Categories
    contents: frozenset[Content]
    kpt_shape: tuple[int, int] | None

    @cached_property
    def problems(self) -> Sequence[str]:  # type: ignore[override]  # read from all files, hence when asked for
        return list(self._without_area())

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        height, width = image_size
        lines = self._lines(index)
        boxes = (_boxes(lines) * torch.tensor([width, height, width, height])).round(decimals=8).float()
        kept = _with_area(boxes)
        labels = torch.tensor([line.label for line in lines], dtype=torch.int64)[kept]
        gives = self.gives
        masks = label_map = keypoints = visibility = None
        if gives & {"masks", "label_map"}:
            masks = _masks(lines, image_size)[kept]
        if masks is not None and "label_map" in gives:
            label_map = paint_label_map(masks, labels, self.categories.num_classes)
        if gives <= {"label_map"}:
            return Target(image_size=image_size, label_map=label_map)
        if self.kpt_shape is not None and "keypoints" in gives:
            keypoints, visibility = _keypoints(lines, self.kpt_shape)
            keypoints, visibility = (keypoints[kept] * torch.tensor([width, height])).float(), visibility[kept]
        return Target(
            image_size=image_size,
            boxes=boxes[kept],
            labels=labels,
            masks=masks if "masks" in gives else None,
            keypoints=keypoints,
            visibility=visibility,
            areas=_areas(lines, image_size)[kept] if "masks" in self.contents - gives else None,
            label_map=label_map,
        )

    def _lines(self, index: int) -> list[Line]:
        path = yolo_files.label_file(self.files[index])
        lines = yolo_files.lines(path, self.categories.num_classes, self.kpt_shape)
        if "masks" in self.contents:
            for line in lines:
                if not line.is_polygon:
                    raise InputError(
                        f"{path}: line {line.number}: a box among polygons; make all lines boxes or polygons"
                    )
        return lines

    def _without_area(self) -> Iterator[str]:
        for index, file in enumerate(self.files):
            lines = self._lines(index)
            for line, kept in zip(lines, _with_area(_boxes(lines)).tolist(), strict=True):
                if not kept:
                    yield f"{yolo_files.label_file(file)}: line {line.number} has no area; left out"


def _source(root: Path) -> Path:
    source = yolo_files.describing(root)
    if source is None:
        raise InputError(f"{root}: no YAML file with the classes' 'names'")
    return source


def _has_polygons(files: Sequence[Path], num_classes: int) -> bool:
    """Tell whether the first line there is has a polygon; a set without lines has boxes."""
    for file in files:
        lines = yolo_files.lines(yolo_files.label_file(file), num_classes, None)
        if lines:
            return lines[0].is_polygon
    return False


def _boxes(lines: Sequence[Line]) -> Float[Tensor, "n 4"]:
    """Take the boxes in 0..1, of a polygon the smallest one around it; in double, so that whole pixels stay whole."""
    return torch.tensor([line.box for line in lines], dtype=torch.float64).view(-1, 4).clamp(0, 1)


def _with_area(boxes: Float[Tensor, "n 4"]) -> Bool[Tensor, " n"]:
    return (boxes[:, 2:] > boxes[:, :2]).all(1)


def _masks(lines: Sequence[Line], image_size: tuple[int, int]) -> Bool[Tensor, "n h w"]:
    """Fill polygons as COCO does."""
    height, width = image_size
    rles = []
    for line in lines:
        corners = torch.tensor(line.values, dtype=torch.float64).view(-1, 2).clamp(0, 1) * torch.tensor([width, height])
        (rle,) = coco_masks.frPyObjects([corners.flatten().tolist()], height, width)
        rles.append(RLE(size=[height, width], counts=rle["counts"].decode()))
    return decode_rle(rles, image_size)


def _areas(lines: Sequence[Line], image_size: tuple[int, int]) -> Float[Tensor, " n"]:
    """Measure the areas of polygons in square pixels, by the shoelace formula."""
    polygons = [torch.tensor(line.values, dtype=torch.float64).view(-1, 2).clamp(0, 1) for line in lines]
    doubled = [float((x * y.roll(-1) - y * x.roll(-1)).sum()) for x, y in (corners.T for corners in polygons)]
    return torch.tensor(doubled, dtype=torch.float64).abs() * (image_size[0] * image_size[1] / 2)


def _keypoints(
    lines: Sequence[Line], kpt_shape: tuple[int, int]
) -> tuple[Float[Tensor, "n k 2"], Int64[Tensor, "n k"]]:
    """Take positions in 0..1 and visibility."""
    values = torch.tensor([line.values[4:] for line in lines], dtype=torch.float64).view(-1, *kpt_shape)
    positions = values[..., :2]
    return positions, values[..., 2].long() if kpt_shape[1] == 3 else 2 * (positions != 0).any(-1).long()

"""A split of YOLO is a data set whose label files are read when asked for."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from faster_coco_eval.core import mask as coco_masks
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.formats.polygons import area
from delineate.data.formats.yolo.description import describe, describing
from delineate.data.formats.yolo.files import find_pictures, label_files_of
from delineate.data.formats.yolo.keypoints import KptShape
from delineate.data.formats.yolo.labels import Line, most_are_polygons, once, read_objects
from delineate.data.formats.yolo.problems import of_folders, of_lines, of_sides, of_turned
from delineate.ops.masks import RLE, decode_rle, paint_label_map
from delineate.values import Categories, Content, InputError, Target
from delineate.values.categories import BACKGROUND


def recognises(root: Path) -> bool:
    """Tell whether `root` is or has a YAML file with `names`, Darknet's `obj.data`, or names beside label files."""
    return describing(root) is not None


def splits(root: Path) -> list[str]:
    """List the splits that the description has, and what else points into `images/`; or those that folders show."""
    return list(describe(root).entries)


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split; the label files are read when asked for.

    `kpt_shape` in the YAML file tells poses. Without it, the first label files tell boxes from polygons, by what most
    of their lines are. A keypoint of two numbers is visible unless both are 0.

    Raises `InputError` naming the file and the line.
    """
    said = describe(root)
    files, notes = find_pictures(said.source, said.bases, said.entries[split])
    label_files = label_files_of(files)
    categories, notes = said.categories, [*said.notes, *notes, *of_folders(said)]
    contents: set[Content] = {"boxes"}
    if said.kpt_shape is not None:
        contents.add("keypoints")
    elif most_are_polygons(label_files):
        contents.add("masks")
        if BACKGROUND in categories.class_names:
            notes.append(f"{said.source}: a class is called {BACKGROUND}, so that no label maps are painted of masks")
        else:
            contents.add("label_map")
            categories = replace(categories, label_map_names=(*categories.class_names, BACKGROUND))
    return Yolo(
        needs=needs,
        files=files,
        label_files=label_files,
        source=said.source,
        categories=categories,
        contents=frozenset(contents),
        kpt_shape=said.kpt_shape,
        notes=notes,
    )


@dataclass(kw_only=True)
class Yolo(Dataset):
    """One split. Masks are filled as COCO fills polygons, and label maps painted from them, smaller over larger.

    `problems` are what was guessed, what pictures and label files lack of each other, and which lines are not read as
    they are written; to know them, all label files are read.
    """

    needs: frozenset[Content]
    files: Sequence[Path]
    label_files: Sequence[Path]
    source: Path
    categories: Categories
    contents: frozenset[Content]
    kpt_shape: KptShape | None
    notes: Sequence[str]

    @cached_property
    def problems(self) -> Sequence[str]:  # type: ignore[override]  # read from all files, hence when asked for
        return [
            *self.notes,
            *of_sides(self.files, self.label_files, self.source.parent),
            *of_lines(self._readable(), "masks" in self.contents),
            *of_turned(self.files),
        ]

    def annotation_file(self, index: int) -> Path:
        return self.label_files[index]

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        height, width = image_size
        lines = once(self._lines(self.label_files[index]))
        boxes = (_boxes(lines) * torch.tensor([width, height, width, height])).round(decimals=8).float()
        kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
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

    def _readable(self) -> Iterator[tuple[Path, Sequence[Line]]]:
        """Give the lines of each label file; whoever reads the target of a broken one meets its error."""
        for path in dict.fromkeys(self.label_files):
            with suppress(InputError):
                yield path, self._lines(path)

    def _lines(self, path: Path) -> list[Line]:
        return read_objects(path, self.categories.class_names, self.kpt_shape)


def _boxes(lines: Sequence[Line]) -> Float[Tensor, "n 4"]:
    """Take the boxes in 0..1, of a polygon the smallest one around it; in double, so that whole pixels stay whole."""
    return torch.tensor([line.box for line in lines], dtype=torch.float64).view(-1, 4).clamp(0, 1)


def _corners(line: Line, image_size: tuple[int, int]) -> list[float]:
    """Take the corners x, y, x, y ... of a polygon, or of a box, in pixels."""
    height, width = image_size
    corners = torch.tensor(line.polygon, dtype=torch.float64).view(-1, 2).clamp(0, 1)
    flat: list[float] = (corners * torch.tensor([width, height])).flatten().tolist()
    return flat


def _masks(lines: Sequence[Line], image_size: tuple[int, int]) -> Bool[Tensor, "n h w"]:
    """Fill polygons as COCO does."""
    rles = []
    for line in lines:
        (rle,) = coco_masks.frPyObjects([_corners(line, image_size)], *image_size)
        rles.append(RLE(size=list(image_size), counts=rle["counts"].decode()))
    return decode_rle(rles, image_size)


def _areas(lines: Sequence[Line], image_size: tuple[int, int]) -> Float[Tensor, " n"]:
    """Measure the areas of polygons in square pixels."""
    return torch.tensor([area(_corners(line, image_size)) for line in lines], dtype=torch.float64)


def _keypoints(
    lines: Sequence[Line], kpt_shape: tuple[int, int]
) -> tuple[Float[Tensor, "n k 2"], Int64[Tensor, "n k"]]:
    """Take positions in 0..1 and visibility."""
    values = torch.tensor([line.values[4:] for line in lines], dtype=torch.float64).view(-1, *kpt_shape)
    positions = values[..., :2]
    return positions, values[..., 2].long() if kpt_shape[1] == 3 else 2 * (positions != 0).any(-1).long()

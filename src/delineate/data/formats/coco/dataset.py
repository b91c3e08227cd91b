"""A split of COCO is a data set whose masks and label maps are decoded when asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.formats.coco.objects import Objects
from delineate.data.formats.coco.packed import Sizes
from delineate.data.images import image_size
from delineate.data.pairing import check_size
from delineate.data.stored import archive_of, is_stored, read_stored
from delineate.data.table import Table
from delineate.io.stores import named
from delineate.ops.masks import paint_label_map
from delineate.values import IGNORE, Content, InputError, Sample, Target


@dataclass(kw_only=True, eq=False)
class Coco(Dataset):
    """One split; `sizes` are the pictures' `(height, width)` in the annotation file `source`, 0 where nobody knows.

    Those of the `measured` rows are what pictures themselves say.

    Where there are many annotation files, `sources` has that of each picture. `lost` has a line for each picture that
    is nowhere, which is said where it is asked for. Masks are decoded when asked for. Label
    maps are painted from them, smaller objects over larger ones: crowds are ignored, and what no object covers is
    background. Targets without masks have the areas that the file gives.
    """

    needs: frozenset[Content]
    files: Sequence[Path]
    sizes: Sequence[tuple[int, int]]
    source: Path
    problems: Sequence[str]
    objects: Objects
    sources: Sequence[Path] = ()
    lost: Mapping[int, str] = field(default_factory=dict)
    measured: Sequence[int] = ()

    def __post_init__(self) -> None:
        self.categories = self.objects.categories
        self.contents = self.objects.contents

    def size(self, index: int) -> tuple[int, int]:
        return self.sizes[index] if 0 not in self.sizes[index] else image_size(self.files[index])

    def check_picture(self, index: int) -> None:
        self._check_there(index)
        super().check_picture(index)

    def groups(self) -> Int64[Tensor, " p"] | None:
        archives = [archive_of(named(file)) for file in self.files[:1]]
        if not any(archives):
            return None
        numbers: dict[str | None, int] = {}
        of_each = (archive_of(named(file)) for file in self.files)
        return torch.tensor([numbers.setdefault(archive, len(numbers)) for archive in of_each])

    def __getitem__(self, index: int) -> Sample:
        self._check_there(index)
        file = self.files[index]
        if not is_stored(named(file)):
            return super().__getitem__(index)
        image = read_stored(file)
        height, width = image.shape[-2:]
        return Sample(image=image, target=self.target(index, (height, width)), file=named(file))

    def _check_there(self, index: int) -> None:
        if index in self.lost:
            raise InputError(self.lost[index])

    def annotation_file(self, index: int) -> Path:
        return self.sources[index] if self.sources else self.source

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        where = f"{self.annotation_file(index)}: image {self.files[index].name}"
        check_size(self.sizes[index], self.files[index], image_size, where)
        objects, gives = self.objects, self.gives
        rows = slice(objects.starts[index], objects.starts[index + 1])
        labels, crowd = objects.labels[rows].clone(), objects.crowd[rows].clone()
        masks = label_map = keypoints = visibility = None
        if gives & {"masks", "label_map"}:
            masks = objects.masks(range(rows.start, rows.stop), image_size, self.source)
        if masks is not None and "label_map" in gives:
            label_map = paint_label_map(masks, labels.masked_fill(crowd, IGNORE), self.categories.background)
        if gives <= {"label_map"}:
            return Target(image_size=image_size, label_map=label_map)
        if objects.keypoints is not None and "keypoints" in gives:
            keypoints, visibility = objects.keypoints[rows, :, :2].clone(), objects.keypoints[rows, :, 2].long()
        return Target(
            image_size=image_size,
            boxes=objects.boxes[rows].clone(),
            labels=labels,
            masks=masks if "masks" in gives else None,
            keypoints=keypoints,
            visibility=visibility,
            crowd=crowd,
            difficult=objects.difficult[rows].clone(),
            areas=objects.areas[rows].clone() if "masks" in self.contents - gives else None,
            label_map=label_map,
        )

    def table(self) -> Table | None:
        sizes = self.all_sizes()
        if "boxes" not in self.gives or self.lost or not sizes.all():
            return None
        objects = self.objects
        annotated = None
        if objects.keypoints is not None and "keypoints" in self.gives:
            annotated = objects.keypoints[..., 2] > 0
        return Table(
            starts=torch.as_tensor(objects.starts),
            boxes=objects.boxes,
            labels=objects.labels,
            crowd=objects.crowd,
            difficult=objects.difficult,
            annotated=annotated,
            sizes=sizes,
        )

    def all_sizes(self) -> Int64[Tensor, "p 2"]:
        """Give the sizes of all pictures."""
        return torch.from_numpy((self.sizes if isinstance(self.sizes, Sizes) else Sizes.of(self.sizes)).array)

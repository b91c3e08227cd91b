"""A split in COCO's JSON files is a data set whose masks and label maps are decoded when asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.formats.coco.document import add_keypoints, load, merge_pictures, uncollected
from delineate.data.formats.coco.files import KINDS, sources
from delineate.data.formats.coco.objects import Objects, read_objects
from delineate.data.formats.coco.pictures import own_size, pictures
from delineate.data.formats.coco.rows import Row
from delineate.data.images import MAX_PIXELS, image_size
from delineate.data.numbers import whole
from delineate.data.pairing import check_size
from delineate.ops.masks import paint_label_map
from delineate.values import IGNORE, Content, InputError, Sample, Target


def recognises(root: Path) -> bool:
    """Tell whether there are annotation files of objects."""
    return bool(sources(root))


def splits(root: Path) -> list[str]:
    """List what follows `instances_`, `person_keypoints_` or nothing in the names of the files, or their folders."""
    return sorted(sources(root))


@uncollected()
def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split; annotations of `instances_X` and `person_keypoints_X` are merged by their id.

    Labels follow the category ids' order. Raises `InputError` naming the file and the annotation or picture.
    """
    found = sources(root)
    source, *others = (found[split][kind] for kind in KINDS if kind in found[split])
    document = load(source)
    problems = [problem for other in others for problem in add_keypoints(document, other)]
    problems += merge_pictures(document, source)
    images = document["images"]
    files, unnamed, lost = pictures(root, split, images, source, found)
    sizes = [_size(image, file, source) for image, file in zip(images, files, strict=True)]
    objects = read_objects(document, sizes, source)
    problems += [*unnamed, *objects.problems]
    return Coco(needs=needs, files=files, sizes=sizes, source=source, problems=problems, objects=objects, lost=lost)


@dataclass(kw_only=True, eq=False)
class Coco(Dataset):
    """One split; `sizes` are the pictures' `(height, width)` in the annotation file `source`, 0 where nobody knows.

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

    def __post_init__(self) -> None:
        self.categories = self.objects.categories
        self.contents = self.objects.contents

    def size(self, index: int) -> tuple[int, int]:
        return self.sizes[index] if 0 not in self.sizes[index] else image_size(self.files[index])

    def check_picture(self, index: int) -> None:
        self._check_there(index)
        super().check_picture(index)

    def __getitem__(self, index: int) -> Sample:
        self._check_there(index)
        return super().__getitem__(index)

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


def _size(image: Row, file: Path, source: Path) -> tuple[int, int]:
    """Take the `(height, width)` that the file says; where it says none, that of the picture, or 0 if it is broken."""
    height, width = (
        whole(image.get(side) or 0, f"{source}: image {image['id']}: {side}") for side in ("height", "width")
    )
    if min(height, width) < 0 or max(height, width) > MAX_PIXELS:
        raise InputError(f"{source}: image {image['id']}: height {height:.6g} and width {width:.6g} are no size")
    return own_size(file) if 0 in (height, width) else (height, width)

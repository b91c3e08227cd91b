"""COCO JSON: `annotations/*.json` beside the pictures, or one JSON file (Lin et al. 2014, Microsoft COCO)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.formats import coco_json
from delineate.data.formats.coco_json import Row
from delineate.data.formats.coco_writing import write
from delineate.data.images import image_size
from delineate.ops.masks import paint_label_map
from delineate.values import IGNORE, Content, InputError, Target

__all__ = ["Coco", "read", "recognises", "splits", "write"]

KINDS = ("instances_", "person_keypoints_", "")
"""One of these precedes the split in a file's name; the first file there is has the objects."""

OTHER_KINDS = ("captions_", "panoptic_", "image_info_")


def recognises(root: Path) -> bool:
    """Tell whether there are annotation files of objects."""
    return bool(_sources(root))


def splits(root: Path) -> list[str]:
    """List what follows `instances_`, `person_keypoints_` or nothing in the names of the annotation files."""
    return sorted(_sources(root))


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split; annotations of `instances_X` and `person_keypoints_X` are merged by their id.

    Labels follow the category ids' order. Raises `InputError` naming the file and the annotation or picture.
    """
    sources = _sources(root)[split]
    source, *others = (sources[kind] for kind in KINDS if kind in sources)
    document = coco_json.load(source)
    problems = [problem for other in others for problem in coco_json.add_keypoints(document, other)]
    images = document["images"]
    files = _picture_files(root, split, images, source)
    sizes = [_size(image, file) for image, file in zip(images, files, strict=True)]
    objects = coco_json.objects(document, sizes, source)
    problems += objects.problems
    return Coco(needs=needs, files=files, sizes=sizes, source=source, problems=problems, objects=objects)


@dataclass(kw_only=True, eq=False)
class Coco(Dataset):
    """One split; `sizes` are the pictures' `(height, width)` in the annotation file `source`.

    Masks are decoded when asked for. Label maps are painted from them, smaller objects over larger ones: crowds are
    ignored, and what no object covers is background. Targets without masks have the areas that the file gives.
    """

    needs: frozenset[Content]
    files: Sequence[Path]
    sizes: Sequence[tuple[int, int]]
    source: Path
    problems: Sequence[str]
    objects: coco_json.Objects

    def __post_init__(self) -> None:
        self.categories = self.objects.categories
        self.contents = self.objects.contents

    def size(self, index: int) -> tuple[int, int]:
        return self.sizes[index]

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        if image_size != self.sizes[index]:
            raise InputError(
                f"{self.files[index]}: its (height, width) is {image_size}, {self.source} says {self.sizes[index]}"
            )
        objects, gives = self.objects, self.gives
        rows = slice(objects.starts[index], objects.starts[index + 1])
        labels, crowd = objects.labels[rows].clone(), objects.crowd[rows].clone()
        masks = label_map = keypoints = visibility = None
        if gives & {"masks", "label_map"}:
            masks = objects.masks(range(rows.start, rows.stop), image_size, self.source)
        if masks is not None and "label_map" in gives:
            label_map = paint_label_map(masks, labels.masked_fill(crowd, IGNORE), self.categories.num_classes)
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


def _sources(root: Path) -> dict[str, dict[str, Path]]:
    """Find the annotation files by split and kind."""
    paths = [root] if root.is_file() and root.suffix == ".json" else sorted(root.glob("annotations/*.json"))
    sources: dict[str, dict[str, Path]] = {}
    for path in paths:
        if not path.name.startswith(OTHER_KINDS):
            kind = next(kind for kind in KINDS if path.stem.startswith(kind))
            sources.setdefault(path.stem.removeprefix(kind), {})[kind] = path
    return sources


def _picture_files(root: Path, split: str, images: Sequence[Row], source: Path) -> list[Path]:
    """Find the pictures in the first of the usual folders that has one of the first pictures."""
    homes = [root] if root.is_dir() else [root.parent, root.parent.parent]
    folders = [home / inner for home in homes for inner in (split, f"images/{split}", "images", ".")]
    for image in images:
        if "file_name" not in image:
            raise InputError(f"{source}: image {image['id']} has no 'file_name'")
    for folder in folders:
        if any((folder / image["file_name"]).is_file() for image in images[:100]):
            return [folder / image["file_name"] for image in images]
    if images:
        looked = ", ".join(str(folder) for folder in folders)
        raise InputError(f"{source}: its pictures ({images[0]['file_name']}, ...) are in none of {looked}")
    return []


def _size(image: Row, file: Path) -> tuple[int, int]:
    return (image["height"], image["width"]) if "height" in image and "width" in image else image_size(file)

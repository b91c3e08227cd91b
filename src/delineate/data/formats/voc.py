"""Pascal VOC: XML boxes, lists of pictures, palette PNGs (Everingham et al. 2010, The Pascal Visual Object Classes)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.files import read_lines
from delineate.data.formats import voc_files
from delineate.data.formats.voc_files import Object
from delineate.data.formats.voc_writing import write
from delineate.data.images import image_size as size_of
from delineate.data.images import pictures_in, read_label_map
from delineate.values import IGNORE, Categories, Content, InputError, Target
from delineate.values.categories import BACKGROUND

__all__ = ["Voc", "read", "recognises", "splits", "write"]


def recognises(root: Path) -> bool:
    """Tell whether there are `JPEGImages` and annotations, here or in a `VOC...` folder within."""
    return bool(voc_files.homes(root))


def splits(root: Path) -> list[str]:
    """Name the lists in `ImageSets/Main` and `ImageSets/Segmentation`; without any, `all`."""
    return list(voc_files.lists(voc_files.home(root))) or ["all"]


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split.

    The classes are those of `classes.txt` or `labels.txt`; else VOC's twenty where all objects are of those; else the
    sorted names of all objects. Label maps and masks are there when every picture of the split has its PNG.

    Raises `InputError` naming the file and the object or pixel.
    """
    home = voc_files.home(root)
    pictures = {path.stem: path for path in pictures_in(home / "JPEGImages")}
    lists = voc_files.lists(home)
    if lists:
        source = lists[split]
        stems = read_lines(source)
        for line, stem in enumerate(stems, start=1):
            if stem not in pictures:
                raise InputError(f"{source}: entry {line}, {stem}, is no picture in {home / 'JPEGImages'}")
    else:
        annotated = {path.stem for folder in ("Annotations", "SegmentationClass") for path in (home / folder).glob("*")}
        stems = sorted(annotated & pictures.keys())
    return Voc(needs=needs, home=home, files=[pictures[stem] for stem in stems])


@dataclass(kw_only=True)
class Voc(Dataset):
    """The pictures `files` of a VOC folder `home`; the annotations of each are read when asked for.

    `problems` are the objects that are left out because they have no area; to know them, all XML files are read.
    """

    needs: frozenset[Content]
    home: Path
    files: Sequence[Path]

    def __post_init__(self) -> None:
        contents, self._partial = voc_files.contents(self.home, [file.stem for file in self.files])
        self.contents = contents
        names = voc_files.class_names(self.home)
        self.categories = Categories(
            class_names=names, label_map_names=(*names, BACKGROUND) if "label_map" in contents else ()
        )

    @cached_property
    def problems(self) -> Sequence[str]:  # type: ignore[override]  # read from all files, hence when asked for
        return [*self._partial, *self._without_area()]

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        stem = self.files[index].stem
        objects = voc_files.objects(self._xml(stem)) if self.gives & {"boxes", "masks"} else []
        boxes = _boxes(objects, image_size)
        kept = voc_files.with_area(boxes)
        masks = label_map = None
        if "masks" in self.gives:
            masks = self._masks(stem, len(objects), image_size)[kept]
        if "label_map" in self.gives:
            label_map = self._label_map(stem, image_size)
        return Target(
            image_size=image_size,
            boxes=boxes[kept],
            labels=self._labels(stem, objects)[kept],
            masks=masks,
            difficult=torch.tensor([thing.difficult for thing in objects], dtype=torch.bool)[kept],
            label_map=label_map,
        )

    def _labels(self, stem: str, objects: Sequence[Object]) -> Int64[Tensor, " n"]:
        names = self.categories.class_names
        for row, thing in enumerate(objects, start=1):
            if thing.name not in names:
                raise InputError(
                    f"{self._xml(stem)}: object {row} is a {thing.name!r}, which is not among the classes; add it to "
                    f"the class list in {self.home}"
                )
        return torch.tensor([names.index(thing.name) for thing in objects], dtype=torch.int64)

    def _label_map(self, stem: str, image_size: tuple[int, int]) -> Int64[Tensor, "h w"]:
        """Read VOC's values, 0 for background, the class + 1, and 255 for the border; ours have background last."""
        num_classes = self.categories.num_classes
        meaning = f"class; the {num_classes} classes are 1..{num_classes}"
        stored = _values(self.home / "SegmentationClass" / f"{stem}.png", image_size, num_classes, meaning)
        return torch.where(stored == IGNORE, IGNORE, torch.where(stored == 0, num_classes, stored - 1))

    def _masks(self, stem: str, count: int, image_size: tuple[int, int]) -> Bool[Tensor, "n h w"]:
        """Read the masks: the pixels of object `i` of the XML file have value `i`, counted from 1."""
        meaning = f"object; {self._xml(stem)} has {count} objects"
        stored = _values(self.home / "SegmentationObject" / f"{stem}.png", image_size, count, meaning)
        return stored == torch.arange(1, count + 1)[:, None, None]

    def _without_area(self) -> Iterator[str]:
        for file in self.files if "boxes" in self.contents else ():
            objects = voc_files.objects(self._xml(file.stem))
            if objects:
                for row in (~voc_files.with_area(_boxes(objects, size_of(file)))).nonzero().flatten().tolist():
                    yield f"{self._xml(file.stem)}: object {row + 1}, {objects[row].name}, has no area; left out"

    def _xml(self, stem: str) -> Path:
        return self.home / "Annotations" / f"{stem}.xml"


def _boxes(objects: Sequence[Object], image_size: tuple[int, int]) -> Float[Tensor, "n 4"]:
    """Clip the boxes to the picture."""
    height, width = image_size
    boxes = torch.tensor([thing.box for thing in objects], dtype=torch.float32).view(-1, 4)
    return boxes.clamp(min=torch.zeros(4), max=torch.tensor([width, height, width, height], dtype=torch.float32))


def _values(path: Path, image_size: tuple[int, int], highest: int, meaning: str) -> Int64[Tensor, "h w"]:
    """Read values up to `highest` and 255; another value raises `InputError` that says it is no `meaning`."""
    values = read_label_map(path)
    if values.shape != image_size:
        raise InputError(f"{path}: its (height, width) is {tuple(values.shape)}, the picture's is {image_size}")
    beyond = values[(values > highest) & (values != IGNORE)]
    if len(beyond):
        raise InputError(f"{path}: value {int(beyond[0])} is no {meaning}")
    return values

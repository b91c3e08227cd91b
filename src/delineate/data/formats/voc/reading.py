"""A split of Pascal VOC is a data set whose annotations are read, picture by picture, when asked for."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.formats.label_values import LabelValues
from delineate.data.formats.split_names import WITHOUT_SPLITS
from delineate.data.formats.voc.classes import classes
from delineate.data.formats.voc.files import Files, both_sides, chosen, contents_of
from delineate.data.formats.voc.layout import Folders, find_parts, recognised
from delineate.data.formats.voc.objects import Tally, boxes_in, first_of_equals, with_area
from delineate.data.formats.voc.xml import Object, read_xml
from delineate.data.images import read_label_map
from delineate.data.pairing import check_size, unread, unsplit
from delineate.values import IGNORE, Categories, Content, InputError, Target
from delineate.values.categories import BACKGROUND

UNNAMED = (
    "no list names the classes in the order of the label maps' values; write classes.txt, one name a line, the first "
    "that of value 1"
)


def recognises(root: Path) -> bool:
    """Tell whether there are pictures and VOC's annotations, here, in a `VOC...` folder within, or a folder a split."""
    return recognised(root)


def splits(root: Path) -> list[str]:
    """Name the lists in `ImageSets/Main` and `ImageSets/Segmentation`, or the folders of splits; without any, `all`."""
    return list(find_parts(root))


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split.

    The classes are those of a list (`classes.txt`, `labels.txt`, ...); else VOC's twenty where all objects are of
    those; else the sorted names of all objects. Label maps and masks are there when every picture of the split has its
    PNG and, for label maps, the order of the classes is known.

    Raises `InputError` naming the file and the object or pixel.
    """
    parts = find_parts(root)
    part = parts[split]
    pictures, xmls = both_sides(part)
    maps = part.pngs("SegmentationClass")
    sides: Mapping[Content, Files] = {"boxes": xmls, "masks": part.pngs("SegmentationObject"), "label_map": maps}
    by_xml = (xmls and needs & {"boxes", "masks"}) or not maps
    keys, left_out = chosen(part, pictures, *((xmls, "XML file") if by_xml else (maps, "label map")))
    contents, partial = contents_of(part, keys, sides, needs)
    left_out = [*unread(part.pictures), *_unlisted(part, split, parts), *left_out, *partial]
    names, values = classes(root, parts, part.home, "label_map" in contents)
    if values is not None and "label_map" in needs:
        values = values.checked(list(maps.values()), part.home)
    elif contents & needs == {"label_map"}:
        raise InputError(f"{part.home}: {UNNAMED}")
    elif "label_map" in contents & needs:
        left_out.append(f"{part.home}: {UNNAMED}, or label maps are left out")
    return Voc(
        needs=needs,
        files=[pictures[key] for key in keys],
        contents=contents if values else contents - {"label_map"},
        class_names=names,
        values=values,
        sides={content: [files.get(key) for key in keys] for content, files in sides.items()},
        part=part,
        left_out=left_out,
    )


@dataclass(kw_only=True)
class Voc(Dataset):
    """The pictures `files` of a VOC folder; the annotations of each, on `sides`, are read when asked for.

    `problems` are what is left out or put right; to know of objects that are, all XML files are read.
    """

    needs: frozenset[Content]
    files: Sequence[Path]
    contents: frozenset[Content]
    class_names: Sequence[str]
    values: LabelValues | None
    sides: Mapping[Content, Sequence[Path | None]]
    part: Folders
    left_out: Sequence[str]

    def __post_init__(self) -> None:
        names = tuple(self.class_names)
        self.categories = Categories(class_names=names, label_map_names=(*names, BACKGROUND) if self.values else ())

    @cached_property
    def problems(self) -> Sequence[str]:  # type: ignore[override]  # read from all files, hence when asked for
        said = [*self.left_out, *(self.values.problems if self.values else ())]
        tally = Tally(self.part.annotations)
        for index, file in enumerate(self.files) if "boxes" in self.gives else ():
            with suppress(InputError):  # whoever reads the picture is told, or skips it
                size = self.size(index)
                tally.add(file, self._file("boxes", index), self._objects(index, size), size, self._merges)
        return [*said, *tally.lines()]

    def annotation_file(self, index: int) -> Path:
        return self._file("boxes" if "boxes" in self.gives or not self.values else "label_map", index)

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        objects = self._objects(index, image_size) if self.gives & {"boxes", "masks"} else ()
        boxes = boxes_in(objects, image_size)
        kept = with_area(boxes)
        if self._merges:
            kept &= first_of_equals(objects)
        masks = label_map = None
        if "masks" in self.gives:
            masks = self._masks(index, len(objects), image_size)[kept]
        if self.values is not None and "label_map" in self.gives:
            label_map = self.values.read(self._file("label_map", index), self.files[index], image_size)
        return Target(
            image_size=image_size,
            boxes=boxes[kept],
            labels=self._labels(index, objects)[kept],
            masks=masks,
            difficult=torch.tensor([thing.difficult for thing in objects], dtype=torch.bool)[kept],
            label_map=label_map,
        )

    @property
    def _merges(self) -> bool:
        """Whether equal objects become one: where objects have masks, their number is that of the mask."""
        return "masks" not in self.contents

    def _objects(self, index: int, image_size: tuple[int, int]) -> Sequence[Object]:
        xml = self._file("boxes", index)
        annotation = read_xml(xml)
        check_size(annotation.size, self.files[index], image_size, f"{xml}: <size>")
        return annotation.objects

    def _labels(self, index: int, objects: Sequence[Object]) -> Int64[Tensor, " n"]:
        names = self.categories.class_names
        for row, thing in enumerate(objects, start=1):
            if thing.name not in names:
                raise InputError(
                    f"{self._file('boxes', index)}: object {row} is a {thing.name!r}, which is not among the classes; "
                    f"add it to the class list in {self.part.home}"
                )
        return torch.tensor([names.index(thing.name) for thing in objects], dtype=torch.int64)

    def _masks(self, index: int, count: int, image_size: tuple[int, int]) -> Bool[Tensor, "n h w"]:
        """Read the masks: the pixels of object `i` of the XML file have value `i`, counted from 1."""
        file = self._file("masks", index)
        values = read_label_map(file)
        check_size(tuple(values.shape), self.files[index], image_size, str(file))
        beyond = values[(values > count) & (values != IGNORE)]
        if len(beyond):
            xml = self._file("boxes", index)
            raise InputError(f"{file}: value {int(beyond[0])} is no object; {xml} has {count} objects")
        return values == torch.arange(1, count + 1)[:, None, None]

    def _file(self, content: Content, index: int) -> Path:
        """Give a file of the picture, or where its XML file would be."""
        file = self.sides[content][index]
        return self.part.annotations / f"{self.files[index].stem}.xml" if file is None else file


def _unlisted(part: Folders, split: str, splits: Collection[str]) -> list[str]:
    """Say which pictures are in no folder of a split, where splits are folders."""
    if part.entries or split == WITHOUT_SPLITS:
        return []
    return unsplit(part.pictures.parent if part.pictures.name == split else part.home.parent, splits)

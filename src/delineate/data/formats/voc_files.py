"""The files of a Pascal VOC folder say which pictures and classes there are, and an XML file which objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from jaxtyping import Bool, Float
from torch import Tensor

from delineate.data.files import read_lines
from delineate.values import Content, InputError
from delineate.values.categories import BACKGROUND

VOC_NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
CLASS_LISTS = ("classes.txt", "labels.txt")
SEGMENTATION = "segmentation_"
"""This precedes the name of a split of `ImageSets/Segmentation` that `ImageSets/Main` has too, of other pictures."""


@dataclass(frozen=True)
class Object:
    """One object of an XML file; its box is `x1 y1 x2 y2`, not yet clipped to the picture."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool


def homes(root: Path) -> list[Path]:
    """Find the VOC folders at `root` or within it, as in `VOCdevkit/VOC2007`."""
    inside = [root, *sorted(root.glob("VOC*")), *sorted(root.glob("VOCdevkit/VOC*"))]
    return [
        home
        for home in inside
        if (home / "JPEGImages").is_dir()
        and any((home / name).is_dir() for name in ("Annotations", "SegmentationClass"))
    ]


def home(root: Path) -> Path:
    """Find the one VOC folder at `root` or within it; raises `InputError` where there is none or several."""
    inside = homes(root)
    if not inside:
        raise InputError(f"{root}: no JPEGImages folder with Annotations or SegmentationClass beside it")
    if len(inside) > 1:
        raise InputError(f"{root}: holds {', '.join(home.name for home in inside)}; give the path of one of them")
    return inside[0]


def lists(home: Path) -> dict[str, Path]:
    """Find the file of each split."""
    by_split = {
        path.stem: path for path in sorted((home / "ImageSets" / "Main").glob("*.txt")) if not _is_of_a_class(path)
    }
    for path in sorted((home / "ImageSets" / "Segmentation").glob("*.txt")):
        if path.stem not in by_split:
            by_split[path.stem] = path
        elif read_lines(path) != read_lines(by_split[path.stem]):
            by_split[SEGMENTATION + path.stem] = path
    return by_split


def _is_of_a_class(path: Path) -> bool:
    """Tell whether this is VOC's `{class}_{split}.txt`, whose lines end with 1, 0 or -1, as it has the class or not."""
    cuts = [place for place, letter in enumerate(path.stem) if letter == "_"]
    if not any(path.with_name(f"{path.stem[cut + 1 :]}.txt").exists() for cut in cuts):
        return False
    lines = read_lines(path)
    return bool(lines) and all(line.endswith((" 1", " 0", " -1")) for line in lines)


def contents(home: Path, stems: Sequence[str]) -> tuple[frozenset[Content], list[str]]:
    """Find what every picture has, and say in a line what only some have."""
    whole: set[Content] = set()
    problems = []
    kinds: tuple[tuple[Content, str, str], ...] = (
        ("boxes", "Annotations", ".xml"),
        ("masks", "SegmentationObject", ".png"),
        ("label_map", "SegmentationClass", ".png"),
    )
    for content, folder, suffix in kinds:
        present = {path.stem for path in (home / folder).glob(f"*{suffix}")}
        count = sum(stem in present for stem in stems)
        if count == len(stems) and present:
            whole.add(content)
        elif count:
            missing = next(stem for stem in stems if stem not in present)
            if content == "boxes":
                raise InputError(
                    f"{home / folder / missing}.xml: there is no such file; remove the picture from the list"
                )
            problems.append(
                f"{home / folder}: {count} of {len(stems)} pictures have a PNG ({missing} has none); left out. A list "
                "in ImageSets/Segmentation of the pictures that have one is a split of its own"
            )
    if "boxes" not in whole:
        whole.discard("masks")
    return frozenset(whole), problems


def class_names(home: Path) -> tuple[str, ...]:
    """Read the names in a class list; else take VOC's where all objects are of those; else all that occur, sorted."""
    for name in CLASS_LISTS:
        if (home / name).is_file():
            return tuple(entry for entry in read_lines(home / name) if entry != BACKGROUND)
    names = {thing.name for path in sorted((home / "Annotations").glob("*.xml")) for thing in objects(path)}
    return VOC_NAMES if names <= set(VOC_NAMES) else tuple(sorted(names))


def objects(path: Path) -> list[Object]:
    """Read the objects of an XML file; raises `InputError` naming the file and the object."""
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: this is no well-formed XML ({error})") from None
    things = []
    for row, element in enumerate(root.findall("object"), start=1):
        texts = [element.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        try:
            x1, y1, x2, y2 = (float(text or "nothing") for text in texts)
        except ValueError:
            raise InputError(f"{path}: object {row}: bndbox {texts} is not four numbers") from None
        name = (element.findtext("name") or "").strip()
        if not name:
            raise InputError(f"{path}: object {row} has no name")
        difficult = (element.findtext("difficult") or "0").strip() == "1"
        # VOC counts pixels from 1, and its boxes end at their last pixel.
        things.append(Object(name, (x1 - 1, y1 - 1, x2, y2), difficult))
    return things


def with_area(boxes: Float[Tensor, "n 4"]) -> Bool[Tensor, " n"]:
    """Tell which boxes exceed one pixel: VOC writes the same numbers for a single pixel and for no area at all."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides > 0).all(1) & (sides > 1).any(1)

"""The folders of a Pascal VOC data set stand where tools put them: `JPEGImages` and `Annotations`, or by other names.

Read are `JPEGImages/` with `Annotations/` or `SegmentationClass/`, `images/` with `annotations/` or `annots/`, XML
files beside their pictures, and one of these for each split, in any capitals.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from delineate.data.files import read_lines
from delineate.data.folders import folders_in, inside, names_in, pictures_in, visible_files
from delineate.data.formats.kinds import kind_of
from delineate.data.formats.split_names import WITHOUT_SPLITS, split_pairs
from delineate.data.images import SUFFIXES
from delineate.values import InputError

PICTURES = ("jpegimages", "images", "image", "imgs", "img")
ANNOTATIONS = ("annotations", "annotation", "annots", "xmls", "xml", "labels")
LABEL_MAPS = ("SegmentationClass", "SegmentationClassPNG", "SegmentationObject", "SegmentationObjectPNG")
SEGMENTATION = "segmentation_"
"""This precedes the name of a split of `ImageSets/Segmentation` that `ImageSets/Main` has too, of other pictures."""


@dataclass(frozen=True)
class Folders:
    """A split has a folder of pictures, one of XML files, and maybe a list of those pictures that are its own.

    `home` holds them, and the folders of label maps.
    """

    home: Path
    pictures: Path
    annotations: Path
    entries: Path | None = None

    def picture_files(self) -> list[Path]:
        """Find the pictures, sorted, those in inner folders too unless pictures and XML files lie in `home` itself."""
        return [path for path in pictures_in(self.pictures) if path.parent == self.home or not self._is_flat]

    def xml_files(self) -> list[Path]:
        """Find the XML files, sorted, in the same folders."""
        files = visible_files(self.annotations) if self.annotations.is_dir() else []
        return [
            path for path in files if path.suffix.lower() == ".xml" and (path.parent == self.home or not self._is_flat)
        ]

    @property
    def _is_flat(self) -> bool:
        return self.annotations == self.pictures == self.home

    def pngs(self, name: str) -> dict[str, Path]:
        """Find the label maps in `SegmentationClass` or `SegmentationObject`, by their stems."""
        for called in (name, f"{name}PNG"):  # labelme2voc has other files in the first
            folder = inside(self.home, [called])
            found = {name[:-4]: folder / name for name in sorted(names_in(folder)) if name.endswith(".png")}
            if found:
                return found
        return {}


def find_parts(root: Path) -> dict[str, Folders]:
    """Find the splits; raises `InputError` where there is no VOC data set, or several."""
    whole = _wholes(root)
    if len(whole) > 1:
        names = ", ".join(part.home.name for part in whole)
        raise InputError(f"{root}: holds {names}; give the path of one of them")
    if not whole:
        by_split = _split_folders(root)
        if not by_split:
            raise InputError(f"{root}: no JPEGImages folder with Annotations or SegmentationClass beside it")
        return by_split
    (part,) = whole
    listed = lists(part.home)
    if listed:
        return {name: replace(part, entries=path) for name, path in listed.items()}
    return _inner_splits(part) or {WITHOUT_SPLITS: part}


def recognised(root: Path) -> bool:
    """Tell whether there is a VOC data set at `root` or within it."""
    return root.is_dir() and bool(_wholes(root) or _split_folders(root))


def lists(home: Path) -> dict[str, Path]:
    """Find the list of each split, by its name."""
    main, segmentation = (inside(inside(home, ["ImageSets"]), [name]) for name in ("Main", "Segmentation"))
    by_split = {path.stem: path for path in sorted(main.glob("*.txt")) if not _is_of_a_class(path)}
    for path in sorted(segmentation.glob("*.txt")):
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


def _wholes(root: Path) -> list[Folders]:
    """Find the VOC data sets at `root` or within it, as in `VOCdevkit/VOC2007`."""
    homes = [root, *sorted(root.glob("VOC*")), *sorted(root.glob("VOCdevkit/VOC*"))]
    return [part for home in homes if home.is_dir() and (part := _part(home))]


def _split_folders(root: Path) -> dict[str, Folders]:
    """Find the folders that are a split each, as Roboflow exports them."""
    folders = [root / name for name in folders_in(root)]
    return {folder.name: part for folder in folders if not lists(folder) and (part := _part(folder))}


def _inner_splits(part: Folders) -> dict[str, Folders]:
    """Find the splits that are folders both of pictures and of XML files."""
    pictures, annotations = (folders_in(place) for place in (part.pictures, part.annotations))
    if part.pictures == part.home:
        return {}
    if part.pictures == part.annotations:
        annotations = [name for name in annotations if next((part.annotations / name).glob("*.xml"), None)]
    return {
        name: replace(part, pictures=part.pictures / name, annotations=part.annotations / other)
        for name, other in sorted(split_pairs(pictures, annotations).items())
    }


def _part(home: Path) -> Folders | None:
    """Find the folders of pictures and of XML files in `home`, if it has them."""
    pictures, annotations = inside(home, PICTURES), inside(home, ANNOTATIONS)
    if pictures.name.lower() == "jpegimages" and pictures.is_dir():
        own = inside(home, ["Annotations"])
        if inside(home, LABEL_MAPS).is_dir() or (own.is_dir() and not next(own.glob("*.json"), None)):
            return Folders(home, pictures, own)
    if pictures.is_dir() and annotations.is_dir() and _has_voc(annotations):
        return Folders(home, pictures, annotations)
    if _has_pairs(home):
        return Folders(home, home, home)
    inner = (pictures, *(pictures / name for name in folders_in(pictures)))
    return Folders(home, pictures, pictures) if any(_has_pairs(place) for place in inner) else None


def _has_voc(folder: Path) -> bool:
    """Tell whether XML files are in the folder or right below, and are not another tool's."""
    first = next(folder.glob("*.xml"), None) or next(folder.glob("*/*.xml"), None)
    return first is not None and kind_of(first) in ("voc", "")


def _has_pairs(folder: Path) -> bool:
    """Tell whether XML files lie beside pictures of their names."""
    if not folder.is_dir():
        return False
    files = list(folder.iterdir())
    stems = {path.stem for path in files if path.suffix.lower() == ".xml"}
    return bool(stems) and any(path.stem in stems for path in files if path.suffix.lower() in SUFFIXES)

"""The classes of a Pascal VOC data set are those of a list, or of its objects."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from delineate.data.files import read_lines
from delineate.data.formats.label_values import CLASS_LISTS, IGNORED_NAME, LabelValues, is_background, label_values
from delineate.data.formats.voc.layout import Folders
from delineate.data.formats.voc.xml import read_xml
from delineate.values import IGNORE, InputError
from delineate.values.categories import BACKGROUND

VOC_NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
CVAT_LIST = "labelmap.txt"


def classes(
    root: Path, parts: Mapping[str, Folders], home: Path, has_label_maps: bool
) -> tuple[tuple[str, ...], LabelValues | None]:
    """Name the classes, and the values of label maps where their order is known: 0 is background, the first class 1."""
    named = class_list((home, root))
    places = {replace(part, entries=None) for part in parts.values()}
    names = named[1] if named else names_in(path for place in places for path in place.xml_files())
    is_known = named or names == VOC_NAMES or len(names) == 1
    if not has_label_maps or not is_known or len(names) >= IGNORE:
        return names, None
    rule = f"the {len(names)} classes are 1..{len(names)}, 0 is background, and {IGNORE} is ignored"
    source = named[0] if named else home
    return names, label_values({0: BACKGROUND, **dict(enumerate(names, start=1))}, [IGNORE], rule, source)


def class_list(folders: Iterable[Path]) -> tuple[Path, tuple[str, ...]] | None:
    """Read the list of classes in the first folder that has one, without the names of background and what is ignored.

    Raises `InputError` where it names no class.
    """
    places = (folder / name for folder in folders for name in (*CLASS_LISTS, CVAT_LIST))
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    entries = [line for line in read_lines(path) if not line.startswith("#")]
    if path.name == CVAT_LIST:  # name:colour:parts:actions
        entries = [entry.split(":")[0].strip() for entry in entries]
    names = tuple(entry for entry in entries if not is_background(entry) and entry != IGNORED_NAME)
    if not names:
        raise InputError(f"{path}: names no class; write one name a line, or remove the file")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{path}: {twice[0]} appears twice; give every class its own name")
    return path, names


def names_in(xmls: Iterable[Path]) -> tuple[str, ...]:
    """Take VOC's names where all objects in the XML files are of those; else all that occur, sorted."""
    names = {thing.name for path in xmls for thing in read_xml(path).objects}
    return VOC_NAMES if names and names <= set(VOC_NAMES) else tuple(sorted(names))

"""The files of a mask folder: which pictures and label maps each split has, and which belong together."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from delineate.data.folders import folders_in, inside, pictures_in, visible_files
from delineate.data.formats.split_names import WITHOUT_SPLITS, split_pairs
from delineate.data.images import EXACT_SUFFIXES, SUFFIXES
from delineate.data.pairing import keyed, unread, unsplit
from delineate.values import InputError

PLACES = (("images", "labels"), ("images", "masks"), ("images", "annotations"), ("leftImg8bit", "gtFine"))

Place = tuple[Path, Path]
"""A folder of pictures, and the folder of their label maps."""


def find_parts(root: Path) -> Mapping[str, Place]:
    """Find the folders of each split, or nothing."""
    place = _place(root)
    if place is None:
        inner = {name: _place(root / name) for name in folders_in(root)}
        return {name: place for name, place in inner.items() if place is not None}
    pictures, labels = place
    pairs = split_pairs(folders_in(pictures), folders_in(labels))
    return {name: (pictures / name, labels / other) for name, other in pairs.items()} or {WITHOUT_SPLITS: place}


def _place(root: Path) -> Place | None:
    """Find the folders of the pictures and of the label maps in a folder."""
    for names in PLACES:
        pictures, labels = (inside(root, [name]) for name in names)
        if pictures.is_dir() and labels.is_dir() and _has_label_maps(labels):
            return pictures, labels
    return None


def _has_label_maps(folder: Path) -> bool:
    """Tell whether there are pictures that keep values; or others, which reading refuses, and no other annotations."""
    suffixes = {path.suffix.lower() for path in visible_files(folder)}
    return bool(suffixes & EXACT_SUFFIXES or (suffixes & SUFFIXES and not suffixes & {".txt", ".xml", ".json"}))


def left_out(root: Path, split: str) -> list[str]:
    """Say what of the pictures is not read, and whose labels are found by another name of the split."""
    pictures, labels = find_parts(root)[split]
    lines = unread(pictures)
    place = _place(root)
    if place is not None and split != WITHOUT_SPLITS:
        lines += unsplit(place[0], sorted(find_parts(root)))
        if labels.name != pictures.name:
            lines.append(f"{labels}: taken for the label maps of {pictures}")
    return lines


def pictures_by_key(folder: Path) -> dict[str, Path]:
    """Find the pictures; raises `InputError` naming two that have the same label map."""
    return _keyed(pictures_in(folder), folder, "_leftImg8bit")


def label_maps_by_key(labels: Path, suffix: str) -> dict[str, Path]:
    """Find the label maps; raises `InputError` naming one of a kind that changes values, where there is no other."""
    found = [path for path in pictures_in(labels) if path.stem.endswith(suffix)]
    files = _keyed([path for path in found if path.suffix.lower() in EXACT_SUFFIXES], labels, suffix)
    for path in found:
        if _key(path, labels, suffix) not in files:
            raise InputError(
                f"{path}: a label map is a PNG; {path.suffix} changes values, so save the original label maps as PNG"
            )
    return files


def _keyed(paths: Sequence[Path], folder: Path, suffix: str) -> dict[str, Path]:
    return keyed(paths, lambda path: _key(path, folder, suffix), "label map's name")


def _key(path: Path, folder: Path, suffix: str) -> str:
    """Name what a picture and its label map share: the path in their folders, without suffixes."""
    relative = path.relative_to(folder)
    return (relative.parent / relative.stem.removesuffix(suffix)).as_posix()

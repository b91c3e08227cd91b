"""The pictures and label files of a YOLO set are compared, and what of their lines is not read is said."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path

from delineate.data.folders import folders_in, names_in, pictures_in
from delineate.data.formats.split_names import USUAL_NAMES, usual_name
from delineate.data.formats.yolo.description import Description
from delineate.data.formats.yolo.files import find
from delineate.data.formats.yolo.labels import OUTSIDE, Line, is_label_file, once
from delineate.data.images import SUFFIXES, is_turned
from delineate.data.pairing import UNTURN, unpaired, unread
from delineate.values import InputError, counted, listed

CACHES = (".cache", ".npy")
NUM_LOOKED_AT = 100
"""Pictures, at equal distances, that are asked whether EXIF turns them."""


def of_sides(files: Sequence[Path], label_files: Sequence[Path], root: Path) -> Iterator[str]:
    """Compare pictures with label files, and say what either lacks; labels that are elsewhere are sought in `root`."""
    present = {folder: names_in(folder) for folder in {path.parent for path in label_files}}
    pairs = list(zip(files, label_files, strict=True))
    missing = {str(path): file for file, path in pairs if path.name not in present[path.parent]}
    for line in unpaired(missing, {}, "label file", "taken as empty"):
        yield line + (f"; {_looked_for(Path(next(iter(missing))), root)}" if 2 * len(missing) > len(files) else "")
    renamed = [path for file, path in pairs if path.name != f"{file.stem}.txt"]
    if renamed:
        yield (
            f"{renamed[0].parent}: {counted(len(renamed), 'label file')} not called .txt after the picture's stem, and "
            f"read: {listed(path.name for path in renamed)}"
        )
    twice = len(label_files) - len(set(label_files))
    if twice:
        yield f"{counted(twice, 'picture')} of the same name as another, with the same label file"
    homes = {file.parent for file in files}
    for home in sorted(home for home in homes if not any(above in homes for above in home.parents)):
        yield from unread(home)
    for folder, pictures in sorted({(path.parent, file.parent) for file, path in pairs}):
        stems = {Path(name).stem for name in names_in(pictures) if Path(name).suffix.lower() in SUFFIXES}
        alone = sorted(present[folder] - {path.name for path in renamed})
        texts = [folder / name for name in alone if name.endswith(".txt") and name[:-4] not in stems]
        yield from unpaired({}, {str(path): path for path in texts if is_label_file(path)}, "label file")
        others = [name for name in alone if not name.endswith((".txt", *CACHES))]
        if others and folder != pictures:
            yield f"{folder}: {counted(len(others), 'file')} beside label files and no .txt, not read: {listed(others)}"


def of_folders(said: Description) -> Iterator[str]:
    """Say which folders have pictures beside those of splits, and are named by no split.

    Where a split is a list of pictures, it is not known which they are.
    """
    places = [
        place for entries in said.entries.values() for entry in entries for place in find(said.bases, entry)[0][:1]
    ]
    if not all(place.is_dir() for place in places):
        return
    named = {place.resolve() for place in places}
    found = {
        str(other): pictures
        for other in sorted({other for place in named for other in _siblings(place, said.bases)})
        if not any(other.is_relative_to(place) or place.is_relative_to(other) for place in named)
        and (pictures := pictures_in(other))
    }
    if found:
        count = counted(sum(map(len, found.values())), "picture")
        yield f"{said.source}: left out {count} in folders that no split names: {listed(found)}"


def _siblings(place: Path, bases: Sequence[Path]) -> Iterator[Path]:
    """Find what may be further splits: `images/test` beside `images/train`, `test/images` beside `train/images`."""
    level, inner = (place.parent, place.name) if place.name.casefold() == "images" else (place, "")
    if not any(level.parent.is_relative_to(base.resolve()) for base in bases):
        return
    for name in folders_in(level.parent):
        if level.parent.name.casefold() == "images" or usual_name(name) in USUAL_NAMES:
            yield level.parent / name / inner


def of_lines(label_files: Iterable[tuple[Path, Sequence[Line]]], has_masks: bool) -> Iterator[str]:
    """Say, one line a kind, which objects are not read as they are written."""
    places: dict[str, list[str]] = {}
    for path, lines in label_files:
        kept = {line.number for line in once(lines)}
        for line in lines:
            for kind in _kinds(line, has_masks) if line.number in kept else ("doubled in their file, read once",):
                places.setdefault(kind, []).append(f"{path.name} line {line.number}")
    for kind, found in places.items():
        yield f"{counted(len(found), 'object')} {kind}: {listed(found)}"


def of_turned(files: Sequence[Path]) -> Iterator[str]:
    """Say which of some pictures are turned by EXIF, as labels, which have no size, may be of the stored picture."""
    looked_at = files[:: -(-len(files) // NUM_LOOKED_AT) or 1]
    turned = []
    for file in looked_at:
        with suppress(InputError):  # raised again where the picture is read
            turned += [file.name] * is_turned(file)
    if turned:
        yield (
            f"of {counted(len(looked_at), 'picture')} looked at, EXIF turns {len(turned)} ({listed(turned)}): their "
            f"labels are taken for those of the turned picture; if they are of the stored one, {UNTURN}"
        )


def _kinds(line: Line, has_masks: bool) -> Iterator[str]:
    x1, y1, x2, y2 = line.box
    if not (min(x2, 1) > max(x1, 0) and min(y2, 1) > max(y1, 0)):
        yield "without area, left out"
    elif min(x1, y1) < -OUTSIDE or max(x2, y2) > 1 + OUTSIDE:
        yield "reaching beyond their picture, cut (a box is its centre and its size, not two corners)"
    if line.has_score:
        yield "with a sixth number, taken for a score and not read"
    if has_masks and not line.is_polygon:
        yield "as boxes among polygons, their masks being the whole boxes"
    if line.is_polygon and not has_masks:
        yield "as polygons among boxes, of which the boxes are read"


def _looked_for(label_file: Path, root: Path) -> str:
    """Say where a label file was looked for, and where else there is one of its name."""
    elsewhere = next(root.rglob(escape(label_file.name)), None)
    return f"{label_file} was looked for" + (f", and there is {elsewhere}" if elsewhere else "")

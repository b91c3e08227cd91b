"""The pictures that a COCO file names are found beside it, and both sides are compared."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path

from delineate.data.folders import folders_in, home_of, pictures_in
from delineate.data.formats.coco.files import Sources
from delineate.data.formats.coco.rows import Row
from delineate.data.formats.coco.stored import are_stored, stored_files
from delineate.data.formats.split_names import USUAL_NAMES, usual_name
from delineate.data.images import SUFFIXES, image_size
from delineate.data.pairing import UNREAD
from delineate.values import InputError, counted, listed

NUM_TRIED = 100
"""So many pictures are looked for in each folder, to choose one."""
NOT_READ = "beside those that it names are of a kind that is not read, left out; save as PNG or JPEG"


def own_size(file: Path) -> tuple[int, int]:
    """Read the `(height, width)` of a picture, or 0 where it is broken, which whoever reads the picture is told."""
    with suppress(InputError):
        return image_size(file)
    return 0, 0


def pictures(
    root: Path, split: str, images: Sequence[Row], source: Path, found: Sources
) -> tuple[list[Path], list[str], dict[int, str]]:
    """Find the files of the pictures in `source`; the lines say which others lie beside them.

    They are in the folder that has most of the first ones; the last are lines about those that are nowhere, by their
    rows. Raises `InputError` where all of the first are nowhere.
    """
    names = [image["file_name"] for image in images]
    if not names:
        return [], [], {}
    folders = usual_folders(root, split, source)
    if are_stored(folders, images, source):
        stored, absent = stored_files(folders, images, source)
        return stored, [], absent
    folder, inner, problems = _home(root, split, names, source)
    places = [name.rpartition("/") for name in inner]
    parents = {head: folder / head for head, _, _ in places}
    files = [parents[head] / tail for head, _, tail in places]
    there = {head: _names_beside(parent) for head, parent in parents.items()}
    beside = {parents[head]: names for head, names in there.items()}
    missing = [row for row, (head, _, tail) in enumerate(places) if tail not in there[head]]
    near = dict(zip(missing, _alike([files[row] for row in missing]), strict=True))
    problems += _in_other_capitals(files, near, source)
    lost = [row for row in missing if files[row].name not in beside.get(files[row].parent, ())]
    for row in lost:
        files[row] = next((path for path in _usual(root, split, source, names[row]) if path.is_file()), files[row])
    lost = [row for row in lost if files[row].name not in beside.get(files[row].parent, {files[row].name})]
    others = [path for other, kinds in found.items() if other != split for path in kinds.values()]
    problems += [*_unnamed(files, beside, source, others), *_without_file(files[0].parent, found)]
    return files, problems, {row: _lost(files[row], near[row], source) for row in lost}


def _lost(file: Path, near: Sequence[str], source: Path) -> str:
    mend = f"there is {listed(near)}: correct the name in" if near else "put it there, or remove its entry from"
    return f"{file}: it is not there; {mend} {source}"


def _in_other_capitals(files: list[Path], near: Mapping[int, Sequence[str]], source: Path) -> list[str]:
    """Put into `files` those of the `near` names of each row that differ in capitals alone, and say so in a line."""
    if not near:
        return []
    taken, said = set(files), []
    for row, names in near.items():
        name = files[row].name
        same = [files[row].with_name(other) for other in names if other.casefold() == name.casefold()]
        if len(same) == 1 and same[0] not in taken:
            files[row] = same[0]
            taken.add(same[0])
            said.append(f"{same[0].name} for {name}")
    count = counted(len(said), "picture")
    return [f"{source}: read {count} whose names differ in capitals ({listed(said)})"] if said else []


def _are_there(paths: Sequence[Path]) -> list[bool]:
    return [path.is_file() for path in paths]


def _alike(paths: Sequence[Path]) -> list[list[str]]:
    """Name for each path the pictures of its stem that are beside it, whatever their capitals and suffix."""
    beside: dict[Path, dict[str, list[str]]] = {}
    for folder in {path.parent for path in paths}:
        stems = beside[folder] = defaultdict(list)
        for name in sorted(_names_beside(folder)):
            if Path(name).suffix.lower() in SUFFIXES:
                stems[Path(name).stem.casefold()].append(name)
    return [beside[path.parent].get(path.stem.casefold(), []) for path in paths]


def _home(root: Path, split: str, names: Sequence[str], source: Path) -> tuple[Path, Sequence[str], list[str]]:
    """Find the folder of the pictures, and their names in it; a line says where these are not those of the file."""
    usual = usual_folders(root, split, source)
    homes = {home_of(root), source.parent}
    others = sorted(home / name for home in homes for name in folders_in(home) if home / name not in usual)
    bare = [name.rpartition("/")[2] for name in names]
    inners = (names, bare) if len(set(bare)) == len(bare) else (names,)
    ways: Sequence[Callable[[Sequence[Path]], Sequence[object]]] = (_are_there, _alike)
    for found, folders, inner in product(ways, (usual, others), inners):
        counts = [sum(map(bool, found([folder / name for name in inner[:NUM_TRIED]]))) for folder in folders]
        if any(counts):
            folder = folders[counts.index(max(counts))]
            said = f"{source}: pictures are found in {folder}, without the folders in their names ({names[0]})"
            return folder, inner, [said] * (inner is bare and bare != list(names))
    raise InputError(
        f"{source}: its pictures ({names[0]}, ...) are in none of {listed(usual, 4)}; put them in the first of these"
    )


def usual_folders(root: Path, split: str, source: Path) -> list[Path]:
    """List the folders in which pictures usually are, the likeliest first, whether they are there or not."""
    return list(dict.fromkeys(_usual(root, split, source)))


def _usual(root: Path, split: str, source: Path, name: str = ".") -> Iterator[Path]:
    """List where pictures usually are, or where one is."""
    calls = [split, *(call for call, usual in USUAL_NAMES.items() if usual == split and call != split)]
    inner = [path for call in calls for path in (call, f"images/{call}", f"{call}/images", f"{call}/data")]
    for home in (root, source.parent) if root.is_dir() else (source.parent, source.parent.parent):
        yield from (home / path / name for path in (*inner, "images", "data", "."))


def _names_beside(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()


def _unnamed(files: Sequence[Path], beside: Mapping[Path, set[str]], source: Path, others: Sequence[Path]) -> list[str]:
    """Say which pictures lie in the same folders and are named in no file."""
    left = set.union(*beside.values()) - {file.name for file in files}
    unread = sorted(name for name in left if Path(name).suffix.lower() in UNREAD)
    said = [f"{source}: {counted(len(unread), 'picture')} {NOT_READ}: {listed(unread)}"] if unread else []
    left = {name for name in left if Path(name).suffix.lower() in SUFFIXES}
    for other in others if left else ():
        named = _names_in(other)
        left = {name for name in left if name.casefold() not in named}
    if not left:
        return said
    return [
        *said,
        f"{source}: left out {counted(len(left), 'picture')} beside those that it names ({listed(sorted(left))})",
    ]


def _without_file(folder: Path, found: Sources) -> Iterator[str]:
    """Say which pictures lie in the folders of other splits that have no annotation file."""
    annotated = {usual_name(split) for split in found}
    if usual_name(folder.name) not in annotated:
        return
    for name in folders_in(folder.parent):
        split = usual_name(name)
        if split in USUAL_NAMES and split not in annotated and (left := pictures_in(folder.parent / name)):
            yield f"{folder.parent / name}: left out {counted(len(left), 'picture')} without an annotation file"


def _names_in(path: Path) -> set[str]:
    """Find the pictures that a file names, in small letters, without reading the rest of it."""
    texts = re.findall(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")', path.read_bytes())
    return {json.loads(text).replace("\\", "/").rpartition("/")[2].casefold() for text in texts}

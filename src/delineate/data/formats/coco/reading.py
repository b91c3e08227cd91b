"""A split in COCO's JSON files is read, and its pictures are found."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from pathlib import Path

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.folders import home_of
from delineate.data.formats.coco.dataset import Coco
from delineate.data.formats.coco.document import add_keypoints, load, merge_pictures
from delineate.data.formats.coco.files import KINDS, Sources, sources
from delineate.data.formats.coco.index import LARGE, indexed
from delineate.data.formats.coco.large import Large
from delineate.data.formats.coco.objects import read_objects
from delineate.data.formats.coco.packed import Paths, Sizes
from delineate.data.formats.coco.pictures import own_size, pictures
from delineate.data.formats.coco.rows import Document, Row
from delineate.data.images import MAX_PIXELS
from delineate.data.numbers import whole
from delineate.io.memory import uncollected
from delineate.values import Content, InputError


def recognises(root: Path) -> bool:
    """Tell whether there are annotation files of objects."""
    return bool(sources(root))


def is_large(root: Path) -> bool:
    """Tell whether there are annotation files of so many bytes that what is read of them is kept."""
    return sum(file.stat().st_size for kinds in sources(root).values() for file in kinds.values()) > LARGE


def splits(root: Path) -> list[str]:
    """List what follows `instances_`, `person_keypoints_` or nothing in the names of the files, or their folders."""
    return sorted(sources(root))


@uncollected()
def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split; annotations of `instances_X` and `person_keypoints_X` are merged by their id.

    Labels follow the category ids' order. What is read of large files is kept beside the data (`index.py`). Raises
    `InputError` naming the file and the annotation or picture.
    """
    found = sources(root)
    files = [found[split][kind] for kind in KINDS if kind in found[split]]
    if sum(file.stat().st_size for file in files) <= LARGE or not all(map(_is_bytewise, files)):
        return _read(root, split, files, found, needs)
    return indexed(root, split, files, found, lambda: _read_large(root, split, files, found, needs), needs)


def _read(root: Path, split: str, files: Sequence[Path], found: Sources, needs: frozenset[Content]) -> Coco:
    source, *others = files
    document = load(source)
    problems = [problem for other in others for problem in add_keypoints(document, other)]
    problems += merge_pictures(document, source)
    paths, sizes, unnamed, lost = _pictures(root, split, document, source, found)
    objects = read_objects(document, sizes, source)
    problems += [*unnamed, *objects.problems]
    return Coco(needs=needs, files=paths, sizes=sizes, source=source, problems=problems, objects=objects, lost=lost)


def _read_large(root: Path, split: str, files: Sequence[Path], found: Sources, needs: frozenset[Content]) -> Coco:
    source, *others = files
    large = Large(source)
    document = large.document()
    for other in others:
        large.add_keypoints(document, other)
    problems = large.merge_pictures(document)
    found_paths, found_sizes, unnamed, lost = _pictures(root, split, document, source, found)
    measured = [row for row, image in enumerate(document["images"]) if not (image.get("height") and image.get("width"))]
    files, sizes = Paths.of(found_paths, home_of(root)), Sizes.of(found_sizes)
    del found_paths, found_sizes  # half a million paths take 400 MB, and annotations are read now
    large.release_pictures(document)
    objects = read_objects(document, sizes, source, large)
    return Coco(
        needs=needs,
        files=files,
        sizes=sizes,
        source=source,
        problems=[
            *(line for other in others for line in large.left_out(other)),
            *problems,
            *unnamed,
            *objects.problems,
        ],
        objects=objects,
        lost=lost,
        measured=measured,
    )


def _is_bytewise(file: Path) -> bool:
    """Tell whether signs are bytes, as in UTF-8; UTF-16 and UTF-32, as Windows' shell writes them, are read whole."""
    with file.open("rb") as start:
        first = start.read(4)
    return 0 not in first and not first.startswith((BOM_UTF16_LE, BOM_UTF16_BE))


def _pictures(
    root: Path, split: str, document: Document, source: Path, found: Sources
) -> tuple[list[Path], list[tuple[int, int]], list[str], dict[int, str]]:
    """Find the files of a document's pictures, and their sizes; see `pictures`."""
    images = document["images"]
    files, unnamed, lost = pictures(root, split, images, source, found)
    return files, [_size(image, file, source) for image, file in zip(images, files, strict=True)], unnamed, lost


def _size(image: Row, file: Path, source: Path) -> tuple[int, int]:
    """Take the `(height, width)` that the file says; where it says none, that of the picture, or 0 if it is broken."""
    height, width = (
        whole(image.get(side) or 0, f"{source}: image {image['id']}: {side}") for side in ("height", "width")
    )
    if min(height, width) < 0 or max(height, width) > MAX_PIXELS:
        raise InputError(f"{source}: image {image['id']}: height {height:.6g} and width {width:.6g} are no size")
    return own_size(file) if 0 in (height, width) else (height, width)

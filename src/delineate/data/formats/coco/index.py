"""What is read of large files is kept beside the data, so that the next time, and in every process, it is only mapped.

DATA/.delineate/coco/NAME-HASH/facts.json    which files it was made of, names, lines, where pictures were found
                               NAME.npy      boxes, labels, sizes, polygons, ... as arrays that processes share

It is made anew when a JSON file, or a folder with pictures or in which some are usually looked for, was changed; of
pictures whose sizes the file does not give, when one of them was.
"""

import hashlib
import json
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from delineate.data.folders import home_of, kept_beside
from delineate.data.formats.coco.dataset import Coco
from delineate.data.formats.coco.files import Sources
from delineate.data.formats.coco.objects import Objects
from delineate.data.formats.coco.packed import Paths, Sizes
from delineate.data.formats.coco.pictures import usual_folders
from delineate.data.formats.coco.shapes import Shapes
from delineate.values import Categories, Content

logger = logging.getLogger(__name__)

LARGE = 2**26
"""Files of more bytes (67 million) are read slice by slice, and kept."""
VERSION = 2
FACTS = "facts.json"
TENSORS = ("boxes", "labels", "crowd", "difficult", "areas")
OF_SHAPES = ("order", "polygons_of", "corners_of", "coordinates", "codes_of", "codes")
MOST_FOLDERS = 10_000
"""Pictures in more folders are looked for each time."""
LEFT_FOR = 3600.0
"""What a killed process was writing so many seconds ago is removed."""

Stamps = dict[str, list[int]]


@dataclass(kw_only=True, eq=False)
class Indexed(Coco):
    """A split whose arrays are files; a process that it is sent to maps them, too, and copies nothing."""

    folder: Path
    home: Path

    def __copy__(self) -> "Indexed":
        same = object.__new__(type(self))
        same.__dict__.update(self.__dict__)
        return same

    def __reduce__(self) -> Any:
        return _opened, (self.folder, self.home, self.source, self.needs)


def indexed(
    root: Path,
    split: str,
    files: Sequence[Path],
    found: Sources,
    read: Callable[[], Coco],
    needs: frozenset[Content],
) -> Coco:
    """Open what was kept of a split, or read and keep it; where nothing can be kept, it is in memory.

    What somebody else kept in a folder that cannot be written to is opened, too. That it is read is logged before, as a
    warning: it is long, and nobody who waits should take it for stuck.
    """
    home, source = home_of(root), files[0]
    key = hashlib.sha256(f"{root} {source.absolute()} {split}".encode()).hexdigest()[:12]
    name = f"{source.stem}-{key}"
    sources = {file for kinds in found.values() for file in kinds.values()}
    homes = {root, source.parent, source.parent.parent}  # in which something else is made now and then
    usual = {*usual_folders(root, split, source)}
    looked = sorted(sources | (usual - homes))
    others = home / ".delineate" / "coco"
    place = kept_beside(root, "coco")
    for there in dict.fromkeys((place, others)):
        kept = None if there is None else _kept(there / name, home, source, needs, looked)
        if kept is not None:
            return kept
    megabytes = f"{sum(file.stat().st_size for file in files) / 1e6:,.0f} MB"
    if place is None:
        logger.warning("%s: reading %s, every time, as nothing can be kept beside the data", source, megabytes)
        return read()
    logger.warning("%s: reading %s, once; %s keeps what is read", source, megabytes, place)
    began, before = time.time_ns(), _stamps(home, looked)
    dataset = read()
    parents = dataset.files.folders() if isinstance(dataset.files, Paths) else {file.parent for file in dataset.files}
    stamps = _stamps(home, {*looked, *parents, *(usual if dataset.lost else ())})
    if len(parents) > MOST_FOLDERS or _was_changed(stamps, before, began):
        return dataset
    try:
        _write(place / name, dataset, home, stamps)
    except OSError:  # a full disk, or another process that was first
        return _kept(place / name, home, source, needs, looked) or dataset
    return _opened(place / name, home, source, needs)


def _kept(
    folder: Path, home: Path, source: Path, needs: frozenset[Content], looked: Sequence[Path]
) -> "Indexed | None":
    """Open what was kept where it is whole, and what it was made of is as it was."""
    if not (folder / FACTS).is_file():
        return None
    with suppress(ValueError, LookupError, TypeError, AttributeError, OSError):
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        stamps: Stamps = facts["stamps"]
        if facts["version"] != VERSION or {_name(path, home) for path in looked} - stamps.keys():
            return None
        if _stamps(home, [home / name for name in stamps]) != stamps:
            return None
        dataset = _opened(folder, home, source, needs)
        if facts["pictures"] == _state_of_pictures(dataset):
            return dataset
    return None


def _stamps(home: Path, paths: Iterable[Path]) -> Stamps:
    """Say when files and folders were last written, and how large files are; -1 for what is not there."""
    return {_name(path, home): _stamp(path) for path in sorted(paths)}


def _stamp(path: Path) -> list[int]:
    try:
        state = path.stat()
    except OSError:
        return [-1, 0]
    return [0 if path.is_dir() else state.st_size, state.st_mtime_ns]


def _was_changed(stamps: Stamps, before: Stamps, began: int) -> bool:
    """Tell whether something was written while it was read, so that nobody knows what was."""
    return any(stamps[name] != before[name] if name in before else stamps[name][1] >= began for name in stamps)


def _state_of_pictures(dataset: Coco) -> str:
    """Say how the pictures are that were asked for their sizes."""
    state = hashlib.sha256()
    for row in dataset.measured:
        state.update(repr(_stamp(dataset.files[row])).encode())
    return state.hexdigest()


def _name(path: Path, home: Path) -> str:
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path.absolute())


def _write(folder: Path, dataset: Coco, home: Path, stamps: Stamps) -> None:
    objects, shapes = dataset.objects, dataset.objects.segmentations
    files = dataset.files if isinstance(dataset.files, Paths) else Paths.of(dataset.files, home)
    sizes = dataset.sizes if isinstance(dataset.sizes, Sizes) else Sizes.of(dataset.sizes)
    arrays = {
        **{name: getattr(objects, name).numpy() for name in TENSORS},
        **{f"shapes_{name}": getattr(shapes, name) for name in OF_SHAPES},
        "starts": np.array(objects.starts, dtype=np.int64),
        "sizes": sizes.array,
        "names": files.text,
        "names_of": files.starts,
    }
    if objects.keypoints is not None:
        arrays["keypoints"] = objects.keypoints.numpy()
    if isinstance(objects.ids, np.ndarray):
        arrays["ids"] = objects.ids
    facts = {
        "version": VERSION,
        "stamps": stamps,
        "pictures": _state_of_pictures(dataset),
        "arrays": sorted(arrays),
        "categories": asdict(objects.categories),
        "contents": sorted(objects.contents),
        "problems": list(dataset.problems),
        "lost": dataset.lost,
        "measured": list(dataset.measured),
        "ids": None if "ids" in arrays else list(objects.ids),
    }
    with _in_place_of(folder) as beside:
        for name, array in arrays.items():
            np.save(beside / f"{name}.npy", array, allow_pickle=False)
        (beside / FACTS).write_text(json.dumps(facts), encoding="utf-8")


@contextmanager
def _in_place_of(folder: Path) -> Iterator[Path]:
    """Give a new folder to write to, which takes the place of an earlier one; who has that mapped keeps it.

    Raises `OSError` where another process was first.
    """
    for left in folder.parent.glob(f".{folder.name}.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_FOR:
                shutil.rmtree(left, ignore_errors=True)
    beside, before = (folder.with_name(f".{folder.name}.{uuid.uuid4().hex}") for _ in range(2))
    try:
        beside.mkdir()
        yield beside
        if folder.exists():
            folder.rename(before)
        beside.rename(folder)
    finally:
        for gone in (beside, before):
            shutil.rmtree(gone, ignore_errors=True)


def _opened(folder: Path, home: Path, source: Path, needs: frozenset[Content]) -> Indexed:
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    arrays = {name: _mapped(folder / f"{name}.npy") for name in facts["arrays"]}
    kept: dict[str, Any] = {name: torch.from_numpy(arrays[name]) for name in (*TENSORS, "keypoints") if name in arrays}
    categories: dict[str, Any] = {
        name: tuple(tuple(one) if isinstance(one, list) else one for one in values)
        for name, values in facts["categories"].items()
    }
    objects = Objects(
        categories=Categories(**categories),
        contents=frozenset(facts["contents"]),
        problems=(),
        starts=arrays["starts"],
        ids=arrays.get("ids", facts["ids"]),
        segmentations=Shapes(**{name: arrays[f"shapes_{name}"] for name in OF_SHAPES}),
        **{"keypoints": None, **kept},
    )
    return Indexed(
        needs=needs,
        files=Paths(home, arrays["names"], arrays["names_of"]),
        sizes=Sizes(arrays["sizes"]),
        measured=facts["measured"],
        source=source,
        problems=facts["problems"],
        objects=objects,
        lost={int(row): line for row, line in facts["lost"].items()},
        folder=folder,
        home=home,
    )


def _mapped(file: Path) -> NDArray[Any]:
    """Map an array; what is written to it stays in this process. One without elements cannot be mapped."""
    try:
        array: NDArray[Any] = np.load(file, mmap_mode="c", allow_pickle=False)
    except ValueError:
        array = np.load(file, allow_pickle=False)
    return array

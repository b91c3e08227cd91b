"""What is read of large files is kept beside the data, so that the next time, and in every process, it is only mapped.

DATA/.delineate/coco/NAME-HASH/facts.json    which files it was made of, names, lines, where pictures were found
                               NAME.npy      boxes, labels, sizes, polygons, ... as arrays that processes share

It is made anew when a JSON file, or a folder with pictures, was changed.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import eq
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from delineate.data.folders import home_of, kept_beside
from delineate.data.formats.coco.dataset import Coco
from delineate.data.formats.coco.files import Sources
from delineate.data.formats.coco.objects import Objects
from delineate.data.formats.coco.shapes import Shapes
from delineate.io.files import folder_beside
from delineate.values import Categories, Content

LARGE = 2**26
"""Files of more bytes (67 million) are read slice by slice, and kept."""
VERSION = 1
FACTS = "facts.json"
TENSORS = ("boxes", "labels", "crowd", "difficult", "areas")
OF_SHAPES = ("order", "polygons_of", "corners_of", "coordinates", "codes_of", "codes")
MOST_FOLDERS = 10_000
"""Pictures in more folders are looked for each time."""


class Paths(Sequence[Path]):
    """Millions of paths are one text, and made when they are asked for."""

    def __init__(self, home: Path, text: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self.home, self._text, self._starts = home, text, starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> list[Path]: ...
    def __getitem__(self, place: int | slice) -> Path | list[Path]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        return self.home / self._text[self._starts[place] : self._starts[place + 1]].tobytes().decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list has none


class Sizes(Sequence[tuple[int, int]]):
    """Millions of `(height, width)` are one array."""

    def __init__(self, array: NDArray[np.int64]) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, place: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[int, int]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, int] | list[tuple[int, int]]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        height, width = self.array[place].tolist()
        return height, width


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

    def all_sizes(self) -> Int64[Tensor, "p 2"]:
        assert isinstance(self.sizes, Sizes)
        return torch.from_numpy(self.sizes.array)


def indexed(
    root: Path,
    split: str,
    files: Sequence[Path],
    found: Sources,
    read: Callable[[], Coco],
    needs: frozenset[Content],
) -> Coco:
    """Open what was kept of a split, or read and keep it; where nothing can be kept, it is in memory."""
    place, home = kept_beside(root, "coco"), home_of(root)
    if place is None:
        return read()
    key = hashlib.sha256(f"{files[0].absolute()} {split}".encode()).hexdigest()[:12]
    folder = place / f"{files[0].stem}-{key}"
    sources = sorted({file for kinds in found.values() for file in kinds.values()})
    if _is_current(folder, home, sources):
        return _opened(folder, home, files[0], needs)
    dataset = read()
    parents = {file.parent for file in dataset.files}
    if len(parents) > MOST_FOLDERS:
        return dataset
    try:
        _write(folder, dataset, home, _stamps(home, [*sources, *parents]))
    except OSError:  # a full disk, or another process that was first
        if not _is_current(folder, home, sources):
            return dataset
    return _opened(folder, home, files[0], needs)


def _is_current(folder: Path, home: Path, sources: Sequence[Path]) -> bool:
    if not (folder / FACTS).is_file():
        return False
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        stamps: dict[str, Any] = facts["stamps"]
        if facts["version"] != VERSION or {_name(file, home) for file in sources} - stamps.keys():
            return False
        return _stamps(home, [home / name for name in stamps]) == stamps
    except (ValueError, LookupError, TypeError, OSError):
        return False


def _stamps(home: Path, paths: Iterable[Path]) -> dict[str, list[int]]:
    """Say when files and folders were last written, and how large files are."""
    states = {_name(path, home): path.stat() for path in sorted(paths)}
    folders = {_name(path, home) for path in paths if path.is_dir()}
    return {name: [0 if name in folders else state.st_size, state.st_mtime_ns] for name, state in states.items()}


def _name(path: Path, home: Path) -> str:
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path.absolute())


def _write(folder: Path, dataset: Coco, home: Path, stamps: dict[str, Any]) -> None:
    objects, shapes = dataset.objects, dataset.objects.segmentations
    names = [_text(file, home) for file in dataset.files]
    arrays = {
        **{name: getattr(objects, name).numpy() for name in TENSORS},
        **{f"shapes_{name}": getattr(shapes, name) for name in OF_SHAPES},
        "starts": np.array(objects.starts, dtype=np.int64),
        "sizes": np.array(dataset.sizes, dtype=np.int64).reshape(-1, 2),
        "names": np.frombuffer(b"".join(names), dtype=np.uint8),
        "names_of": np.cumsum([0, *map(len, names)]),
    }
    if objects.keypoints is not None:
        arrays["keypoints"] = objects.keypoints.numpy()
    if isinstance(objects.ids, np.ndarray):
        arrays["ids"] = objects.ids
    facts = {
        "version": VERSION,
        "stamps": stamps,
        "arrays": sorted(arrays),
        "categories": asdict(objects.categories),
        "contents": sorted(objects.contents),
        "problems": list(dataset.problems),
        "lost": dataset.lost,
        "ids": None if "ids" in arrays else list(objects.ids),
    }
    shutil.rmtree(folder, ignore_errors=True)  # who has it mapped keeps it
    with folder_beside(folder) as beside:
        for name, array in arrays.items():
            np.save(beside / f"{name}.npy", array, allow_pickle=False)
        (beside / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _text(file: Path, home: Path) -> bytes:
    return str(file).removeprefix(f"{home}/").encode()


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

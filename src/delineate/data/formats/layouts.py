"""The formats of data sets are told apart by their files."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol, runtime_checkable

from delineate.data.dataset import EVERYTHING, Dataset, View
from delineate.data.formats import coco, mask_folder, voc, yolo
from delineate.data.formats.drawn import cvat, labelme, via
from delineate.data.formats.split_names import meant
from delineate.data.formats.unknown import contents, likely, what_is_there
from delineate.data.lists import Chosen, dividing, with_lists
from delineate.values import Content, InputError


@runtime_checkable
class Format(Protocol):
    """The module of a format offers these functions."""

    def recognises(self, root: Path, /) -> bool:
        """Tell whether the folder looks like this format."""

    def splits(self, root: Path, /) -> list[str]:
        """List the parts that a recognised folder has."""

    def read(self, root: Path, split: str, needs: frozenset[Content] = EVERYTHING, /) -> Dataset:
        """Read one of these parts; pictures, and those annotations that are needed, are decoded when asked for."""


@runtime_checkable
class WrittenFormat(Format, Protocol):
    """A format that is also written has one function more."""

    def write(self, dataset: Dataset, root: Path, split: str, /) -> list[str]:
        """Write one part; gives the lines that say what the format could not hold."""


WRITTEN: Mapping[str, WrittenFormat] = {"coco": coco, "voc": voc, "yolo": yolo, "mask_folder": mask_folder}
FORMATS: Mapping[str, Format] = {**WRITTEN, "labelme": labelme, "via": via, "cvat": cvat}

LAYOUTS: Mapping[str, str] = {
    "coco": "annotations/*.json, train/*.json or one JSON file",
    "voc": "Annotations/*.xml and JPEGImages/",
    "yolo": "data.yaml, obj.data, or classes.txt and .txt label files",
    "mask_folder": "images/, labels/**/*.png and classes.txt",
    "labelme": "a JSON file a picture",
    "via": "via_region_data.json",
    "cvat": "annotations.xml",
}
"""What each format is known by."""

NUM_TRIED = 20
"""So many folders within are looked into for a data set."""


def read_dataset(
    root: str | Path,
    split: str,
    format: str | None = None,  # noqa: A002
    needs: frozenset[Content] | None = None,
    *,
    divided: bool = True,
) -> Dataset:
    """Read one split of the data set in a folder (for COCO also a JSON file), whose format is recognised or given.

    Targets hold what of `needs` the data set has, or all of it. Lists that divide it are honoured where it is to be
    `divided`. Raises `InputError` that says what was looked for and what is there.
    """
    root, needs = Path(root), EVERYTHING if needs is None else needs
    reader = _format(root, format)
    parts = reader.splits(root)
    lists = dividing(root, parts) if divided else {}
    name = check_split(root, split, with_lists(parts, lists))
    if name in lists:
        dataset: Dataset = Chosen(reader.read(root, str(lists[name].divides), needs), name, lists)
    else:
        dataset = reader.read(root, name, needs)
    if name == split:
        return dataset
    view = View(dataset)
    view.notes = [f"{root}: there is no split {split!r}; {name!r} is read for it"]
    return view


def splits(root: str | Path, format: str | None = None, *, divided: bool = True) -> list[str]:  # noqa: A002
    """List the data set's parts, such as `train` and `val`; lists that divide it (`data/lists.py`) make parts of it."""
    root = Path(root)
    parts = _format(root, format).splits(root)
    return with_lists(parts, dividing(root, parts)) if divided else parts


def find_split(root: str | Path, split: str, format: str | None = None) -> str | None:  # noqa: A002
    """Find what a data set calls a split, such as `valid` for `val`; `None` where it has none of that meaning."""
    return meant(split, splits(root, format))


def check_split(root: Path, split: str, names: Sequence[str], option: str = "--split") -> str:
    """Find which of the names means `split`; raises `InputError` that says which there are, and what chooses one."""
    name = meant(split, names)
    if name is None:
        divide = f", or divide the pictures with `delineate split {root}`" if len(names) == 1 else ""
        raise InputError(
            f"{root}: there is no split {split!r}; there are: {', '.join(names)}; choose with {option}{divide}"
        )
    return name


def _format(root: Path, name: str | None) -> Format:
    return FORMATS[recognised(root, name)]


def recognised(root: Path, name: str | None = None) -> str:
    """Name the format of a data set, recognised or given; raises `InputError` where it is none, or several."""
    if not root.exists():
        raise InputError(f"{root}: there is no such folder")
    if name is None and coco.is_large(root):  # looking for others in folders of so many pictures takes seconds
        return "coco"
    candidates = list(FORMATS) if name is None else [name]
    found = [candidate for candidate in candidates if named(candidate).recognises(root)]
    if len(found) > 1:
        raise InputError(
            f"{root}: looks like {' and '.join(found)}; say which format it is, with --format (convert: --from)"
        )
    if not found:
        raise InputError(_unknown(root) if name is None else _is_not(root, name))
    return found[0]


def named(name: str) -> Format:
    """Find the format of that name; raises `InputError` that names the nearest where there is none."""
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"format {name!r} is unknown; {hint}the formats are {', '.join(FORMATS)}")
    return FORMATS[name]


def _is_not(root: Path, name: str) -> str:
    """Say what a given format is known by, and which it is instead."""
    others = [other for other in FORMATS if FORMATS[other].recognises(root)]
    instead = f"it looks like {' and '.join(others)}; " if others else ""
    return f"{root}: this is not {name}; {instead}looked for {LAYOUTS[name]}{what_is_there(root)}"


def _unknown(root: Path) -> str:
    """Say what the folder probably is, or else what was looked for, and what is there."""
    guess = next(_inside(root), "") or likely(root)
    looked = ", ".join(f"{name} ({layout})" for name, layout in LAYOUTS.items())
    return f"{root}: {guess or f'{contents(root)}; looked for {looked}'}{what_is_there(root)}"


def _inside(root: Path) -> Iterator[str]:
    """Find a data set in a folder within, as an archive is unpacked to."""
    for inner in sorted(path for path in root.glob("*") if path.is_dir())[:NUM_TRIED]:
        for name, format_ in FORMATS.items():
            if format_.recognises(inner):
                yield f"there is a data set in {inner} ({name}); give that folder"

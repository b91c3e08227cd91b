"""The formats of data sets are told apart by their files."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol, runtime_checkable

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.files import check_new
from delineate.data.formats import coco, mask_folder, voc, yolo
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

    def write(self, dataset: Dataset, root: Path, split: str, /) -> list[str]:
        """Write one part; gives the lines that say what the format could not hold."""


FORMATS: Mapping[str, Format] = {"coco": coco, "voc": voc, "yolo": yolo, "mask_folder": mask_folder}

LAYOUTS: Mapping[str, str] = {
    "coco": "annotations/*.json",
    "voc": "Annotations/*.xml and JPEGImages/",
    "yolo": "data.yaml",
    "mask_folder": "images/, labels/**/*.png and classes.txt",
}


def read_dataset(
    root: str | Path,
    split: str,
    format: str | None = None,  # noqa: A002
    needs: frozenset[Content] | None = None,
) -> Dataset:
    """Read one split of the data set in a folder (for COCO also a JSON file), whose format is recognised or given.

    Targets hold what of `needs` the data set has, or all of it. Raises `InputError` that says what was looked for and
    what is there.
    """
    root = Path(root)
    names = splits(root, format)
    if split not in names:
        raise InputError(f"{root}: there is no split {split!r}; there are: {', '.join(names)}")
    return _format(root, format).read(root, split, EVERYTHING if needs is None else needs)


def splits(root: str | Path, format: str | None = None) -> list[str]:  # noqa: A002
    """List the data set's parts, such as `train` and `val`."""
    root = Path(root)
    return _format(root, format).splits(root)


def convert(source: str | Path, destination: str | Path, to: str, format: str | None = None) -> list[str]:  # noqa: A002
    """Write every split in the format `to` into a new or empty folder.

    Gives the lines that say what the reader left out and what the new format could not hold. Raises `InputError` as
    `read_dataset` does, and when the destination has something in it.
    """
    source, destination = Path(source), Path(destination)
    target = _named(to)
    check_new(destination)
    lines = []
    for split in splits(source, format):
        dataset = read_dataset(source, split, format)
        lines += [f"{split}: {line}" for line in (*dataset.problems, *target.write(dataset, destination, split))]
    return lines


def _format(root: Path, name: str | None) -> Format:
    if not root.exists():
        raise InputError(f"{root}: there is no such folder")
    candidates = list(FORMATS) if name is None else [name]
    recognised = [candidate for candidate in candidates if _named(candidate).recognises(root)]
    if len(recognised) > 1:
        raise InputError(f"{root}: looks like {' and '.join(recognised)}; say which format it is")
    if not recognised:
        raise InputError(_unknown(root, candidates))
    return FORMATS[recognised[0]]


def _named(name: str) -> Format:
    if name not in FORMATS:
        near = get_close_matches(name, FORMATS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"format {name!r} is unknown; {hint}the formats are {', '.join(FORMATS)}")
    return FORMATS[name]


def _unknown(root: Path, candidates: list[str]) -> str:
    looked = ", ".join(f"{name}: {LAYOUTS[name]}" for name in candidates)
    if not root.is_dir():
        return f"{root}: this is no data set; looked for {looked}"
    names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
    if not names:
        return f"{root}: the folder is empty; looked for {looked}"
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"{root}: no format is recognised; looked for {looked}; there is {shown}"

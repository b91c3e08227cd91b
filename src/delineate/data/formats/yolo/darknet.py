"""Darknet and labelImg describe a set without YAML: by `obj.data`, or by a list of the names beside the labels."""

from collections.abc import Mapping
from pathlib import Path

from delineate.data.files import read_lines
from delineate.data.formats.split_names import WITHOUT_SPLITS
from delineate.data.formats.yolo.files import SPLITS, existing, find_pictures, label_files_of
from delineate.values import InputError

NAMES = ("_darknet.labels", "obj.names", "classes.txt")


def describing(root: Path) -> Path | None:
    """Find `obj.data`, or the list of the names where a picture has a label file."""
    inside = [path for folder in (root, root / "data") for path in sorted(folder.glob("*.data")) if _has_names(path)]
    if len(inside) == 1:
        return inside[0]
    lists = names_lists(root)
    return lists[0] if lists and _has_labels(root) else None


def names_lists(root: Path) -> list[Path]:
    """Find the lists of names at the root and where labels are: exporters and labelImg write one into each folder."""
    folders = ["", "labels", "images", *SPLITS, *(f"labels/{name}" for name in SPLITS)]
    folders += [f"{split}/{inner}" for split in SPLITS for inner in ("labels", "images")]
    return [path for folder in folders for name in NAMES if (path := root / folder / name).is_file()]


def read_data(source: Path) -> Mapping[str, str]:
    """Read the lines `key = value` of Darknet's `obj.data`; raises `InputError` naming the file and the line."""
    values = {}
    for line in read_lines(source):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise InputError(f"{source}: {line!r} is no 'key = value'")
        values[key] = value
    return values


def read_names(root: Path) -> list[str]:
    """Read the list of names, one a line; raises `InputError` where the set's folders have lists that differ."""
    first, *others = names_lists(root)
    names = read_lines(first)
    for other in others:
        if read_lines(other) != names:
            raise InputError(f"{other}: lists other classes than {first}; make them alike or remove the wrong one")
    return names


def entries_of(root: Path) -> dict[str, list[str]]:
    """Find the splits by the usual names of folders and lists; one, `all`, where there are none."""
    found: dict[str, list[str]] = {}
    for split in SPLITS:
        for entry in (f"images/{split}", f"{split}/images", f"{split}.txt", split):
            if existing(root / entry) is not None:
                found[split] = [entry]
                break
    return found or {WITHOUT_SPLITS: ["." if existing(root / "images") is None else "images"]}


def _has_names(path: Path) -> bool:
    """Tell whether a file begins as Darknet's do: other tools have files with this suffix, and large ones."""
    with path.open("rb") as file:
        return b"names" in file.read(4096)


def _has_labels(root: Path) -> bool:
    """Tell whether some picture of the first split has its label file."""
    entries = next(iter(entries_of(root).values()))
    try:
        files, _ = find_pictures(root, [root], entries)
    except InputError:  # an empty list
        return False
    return any(path.is_file() for path in label_files_of(files))

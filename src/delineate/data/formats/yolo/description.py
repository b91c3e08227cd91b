"""A YOLO set is described by a YAML file, by Darknet's `obj.data`, or by a list of names beside its folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from delineate.data.files import read_lines, read_text
from delineate.data.formats.split_names import usual_name
from delineate.data.formats.yolo import darknet
from delineate.data.formats.yolo.files import DESCRIPTIONS, SPLITS, existing, find
from delineate.data.formats.yolo.keypoints import KptShape, flip_order, keypoint_names, kpt_shape, skeleton
from delineate.data.numbers import whole
from delineate.values import Categories, InputError, counted

YAML = (".yaml", ".yml")
NOTHING: tuple[Any, ...] = ([], {}, "", "~", "null", "Null", "NULL", "None")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a set says of itself: names, and the entries that name the pictures of each split.

    Entries are looked for in `bases`, one after the other. `notes` say what was guessed.
    """

    source: Path
    bases: Sequence[Path]
    entries: Mapping[str, Sequence[str]]
    categories: Categories
    kpt_shape: KptShape | None
    notes: Sequence[str]


def describing(root: Path) -> Path | None:
    """Find the file that describes the set: `root` itself, a YAML file, or what Darknet and labelImg write."""
    if root.is_file():
        return root if root.suffix in (*YAML, ".data") else None
    usual = [root / name for name in DESCRIPTIONS if (root / name).is_file()]
    if usual:
        return usual[0]
    yamls = sorted(path for path in root.glob("*.y*ml") if path.suffix in YAML)
    others = [path for path in yamls if "names:" in path.read_text(encoding="utf-8", errors="replace")]
    return others[0] if len(others) == 1 else darknet.describing(root)


def describe(root: Path) -> Description:
    """Read the description; raises `InputError` naming the file and the field."""
    source = describing(root)
    if source is None:
        raise InputError(
            f"{root}: no YAML file with the classes' 'names', no obj.data, and no {' or '.join(darknet.NAMES)}"
        )
    said: dict[str, Any]
    bases, notes = [source.parent], list[str]()
    if source.suffix in YAML:
        said = _load(source)
        base = existing(source.parent / str(said.get("path", ".")).replace("\\", "/"))
        if base is None:
            notes.append(f"{source}: path: {said['path']!r} is not there; entries are looked for beside the file")
        else:
            bases.insert(0, base)
    elif source.suffix == ".data":
        said = dict(darknet.read_data(source))
        bases.append(source.parent.parent)
    else:
        said, bases = {"names": darknet.read_names(root)}, [root]
    names = _names(said, source, bases, notes)
    shape = kpt_shape(said, source)
    return Description(
        source=source,
        bases=bases,
        entries=_entries(said, bases, notes, source),
        categories=_categories(names, said, shape, source, notes),
        kpt_shape=shape,
        notes=notes,
    )


def _load(path: Path) -> dict[str, Any]:
    """Load a YAML mapping whose numbers and words are texts as they are written: a class may be called `no`."""
    try:
        said = yaml.load(read_text(path), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: this is no YAML ({' '.join(str(error).split())})") from None
    if not isinstance(said, dict) or not {"names", "nc"} & said.keys():
        raise InputError(f"{path}: 'names', the list of the classes, is missing")
    return {key: value for key, value in said.items() if value not in NOTHING}


def _names(said: Mapping[str, Any], source: Path, bases: Sequence[Path], notes: list[str]) -> list[str]:
    """Read the names of the classes as a list, a mapping from 0 on, one text, or a file with one a line.

    Where there is nothing but their number, `nc` or Darknet's `classes`, they are numbered.
    """
    where = f"{source}: names"
    names, count = said.get("names"), said.get("nc", said.get("classes"))
    if isinstance(names, str):
        files = [place for place in find(bases, names)[0] if place.is_file()]
        names = read_lines(files[0]) if files else [name.strip() for name in names.strip("[]").split(",")]
        if not files:
            notes.append(f"{where}: the text is read as {counted(len(names), 'name')}: {', '.join(names)}")
    if not names and count is not None:
        names = [f"class_{number}" for number in range(whole(count, f"{source}: nc"))]
        notes.append(f"{where}: there are none; the classes are called class_0 to class_{len(names) - 1}")
    if not names:
        raise InputError(f"{where}: the list of the classes is empty; write one name a class, as in [cat, dog]")
    if isinstance(names, dict):
        by_number = {whole(key, f"{where}: key"): name for key, name in names.items()}
        if sorted(by_number) != list(range(len(names))):
            raise InputError(f"{where}: the keys are {', '.join(names)}, not 0..{len(names) - 1}")
        names = [by_number[label] for label in range(len(names))]
    for label, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{where}: entry {label} is {name!r}, no name; write one, in quotes")
        if name in NOTHING:
            notes.append(f"{where}: entry {label} is {name}, which is taken for a name; is it one?")
    if count is not None and whole(count, f"{source}: nc") != len(names):
        notes.append(f"{source}: nc is {count}, but there are {len(names)} names, which count")
    return [name.strip() for name in names]


def _entries(
    said: Mapping[str, Any], bases: Sequence[Path], notes: list[str], source: Path
) -> dict[str, Sequence[str]]:
    """Read the entries of the usual splits, and what else points into `images/`; without any, look at the folders.

    Exporters name parts to validate on or to test with that they did not write; these are left out.
    """
    entries: dict[str, Sequence[str]] = {}
    for key, value in said.items():
        if key in SPLITS:
            entries[key] = value if isinstance(value, list) else [value]
        elif isinstance(value, str) and value.startswith("images/"):
            entries[key] = [value]
    for key, values in entries.items():
        if not all(isinstance(value, str) and value for value in values):
            raise InputError(f"{source}: {key}: {list(values)} are no folders or lists of pictures")
    gone = [key for key, values in entries.items() if not any(find(bases, value)[0] for value in values)]
    left = [key for key in gone if len(gone) < len(entries) and usual_name(key) in ("val", "test")]
    notes += [f"{source}: {key}: {', '.join(entries.pop(key))} is not there; the split is left out" for key in left]
    return entries or dict(darknet.entries_of(bases[0]))


def _categories(
    names: Sequence[str], said: Mapping[str, Any], shape: KptShape | None, source: Path, notes: list[str]
) -> Categories:
    num_keypoints = 0 if shape is None else shape[0]
    try:
        categories = Categories(
            class_names=tuple(names),
            keypoint_names=keypoint_names(said, num_keypoints, source),
            skeleton=skeleton(said, source),
            flip_order=flip_order(said, source) if num_keypoints else (),
        )
    except InputError as error:
        text = str(error).removeprefix(f"{source}: ").replace("flip_order", "flip_idx").replace("class_names", "names")
        raise InputError(f"{source}: {text}") from None
    if num_keypoints > 1 and not flip_order(said, source) and categories.flip_order == tuple(range(num_keypoints)):
        notes.append(
            f"{source}: no flip_idx, and no keypoint whose name says left or right: mirrored pictures exchange none; "
            "write flip_idx, as in [0, 2, 1] where 1 and 2 are left and right"
        )
    return categories

"""The pictures of a folder are what is labelled: those of a data set, in its parts, or any that lie there."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePath

from delineate.data.dataset import Dataset
from delineate.data.folders import pictures_in
from delineate.data.formats import FORMATS, read_dataset, splits
from delineate.data.formats.split_names import split_of
from delineate.data.images import image_size
from delineate.system.tasks import DETECT, INSTANCE, KEYPOINTS, SEGMENT
from delineate.values import Categories, Content, InputError, Target, Task, counted, listed
from delineate.values.categories import BACKGROUND

TASKS: Mapping[str, Task] = {task.name: task for task in (DETECT, INSTANCE, KEYPOINTS, SEGMENT)}
"""These tasks have something to be marked."""
LONGEST_NAME = 80
OF_OBJECTS: frozenset[Content] = frozenset({"boxes", "masks", "keypoints"})


@dataclass(frozen=True)
class Picture:
    """A picture is known by its name, the path from the folder on, and by a number that its name decides.

    `part` is the part of the data that it belongs to, `all` where nobody says; `row` is its place in the part's data.
    """

    id: int
    name: str
    file: Path
    part: str
    row: int | None = None

    @cached_property
    def size(self) -> tuple[int, int]:
        """Read its `(height, width)`; raises `InputError` as `image_size`."""
        return image_size(self.file)


@dataclass(kw_only=True, eq=False)
class Collection:
    """A folder's pictures are labelled for a task by the names in `categories`, behind which others may be added.

    `parts` are the data sets that say what is marked already; there are none where pictures are `raw`. `notes` say what
    their readers left out.
    """

    root: Path
    task: Task
    categories: Categories
    pictures: Sequence[Picture]
    parts: Mapping[str, Dataset] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def raw(self) -> bool:
        return not self.parts

    @property
    def has_maps(self) -> bool:
        """Whether pictures have label maps, and not objects."""
        return "label_map" in self.task.needs

    @property
    def can_grow(self) -> bool:
        """Whether classes can be added: data sets have their own, and in label maps they would move the background."""
        return self.raw and not self.has_maps

    def with_class(self, name: str) -> Categories:
        """Name one class more; raises `InputError` where that cannot be, or for what is no name."""
        if not self.can_grow:
            kind = "label maps" if self.raw else "a data set"
            raise InputError(f"classes: {self.root} has {kind}, whose classes stay as they are")
        if not name or len(name) > LONGEST_NAME or name != name.strip() or "," in name or not name.isprintable():
            raise InputError(f"classes: a name has 1 to {LONGEST_NAME} letters, and no comma")
        if name in self.categories.class_names:
            raise InputError(f"classes: there is '{name}' already")
        return replace(self.categories, class_names=(*self.categories.class_names, name), label_map_names=())

    @cached_property
    def by_id(self) -> Mapping[int, Picture]:
        return {picture.id: picture for picture in self.pictures}

    def find(self, number: int) -> Picture:
        """Find a picture by its number; raises `LookupError`."""
        return self.by_id[number]

    def marked(self, picture: Picture) -> Target | None:
        """Read what the folder's own annotations say of a picture; `None` where pictures are raw."""
        if picture.row is None:
            return None
        return self.parts[picture.part].target(picture.row, picture.size)


def open_collection(
    root: Path,
    *,
    classes: Sequence[str] = (),
    task: str | None = None,
    keypoints: Sequence[str] = (),
    skeleton: Sequence[tuple[int, int]] = (),
    known: Categories | None = None,
    raw: bool | None = None,
) -> Collection:
    """Find the pictures of a folder and what they are labelled with.

    A data set of any layout that is read has names of its own, by which those of `classes` are checked. Other folders
    are `raw`: any pictures in them are labelled with `classes`, or else with what a model `known` calls them. A task
    that is not given follows from what a data set has. Raises `InputError` where the folder has no picture, or nothing
    says which classes there are.
    """
    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder; name one with pictures")
    if task is not None and task not in TASKS:
        raise InputError(f"task: '{task}' has nothing to be marked; there are {', '.join(TASKS)}")
    if raw is None:
        raw = not any(reader.recognises(root) for reader in FORMATS.values())
    if raw:
        return _raw(root, task or "detect", _named(root, task, classes, keypoints, skeleton, known))
    return _data_set(root, task, classes)


def _named(
    root: Path,
    task: str | None,
    classes: Sequence[str],
    keypoints: Sequence[str],
    skeleton: Sequence[tuple[int, int]],
    known: Categories | None,
) -> Categories:
    """Name what is marked in raw pictures."""
    if not classes and known is not None:
        return known
    names = tuple(name for name in classes if task != "segment" or name != BACKGROUND)
    if not names:
        raise InputError(f"{root}: no data set, so that nothing names the classes; say --classes cat,dog")
    if (task == "keypoints") != bool(keypoints):
        raise InputError("keypoints: the task keypoints, and no other, needs their names; say --keypoints nose,tail")
    return Categories(
        class_names=names,
        label_map_names=(*names, BACKGROUND) if task == "segment" else (),
        keypoint_names=tuple(keypoints),
        skeleton=tuple(skeleton),
    )


def _raw(root: Path, task: str, categories: Categories) -> Collection:
    files = pictures_in(root)
    if not files:
        raise InputError(f"{root}: there is no picture in it; name a folder with some")
    named = [(file, split_of(PurePath(file.relative_to(root))), None) for file in files]
    return Collection(root=root, task=TASKS[task], categories=categories, pictures=_numbered(root, named))


def _data_set(root: Path, task: str | None, classes: Sequence[str]) -> Collection:
    parts = {name: read_dataset(root, name) for name in splits(root)}
    contents = frozenset(content for part in parts.values() for content in part.contents)
    found = _task(contents, task, root)
    needs: frozenset[Content] = frozenset({"label_map"}) if found is SEGMENT else OF_OBJECTS
    parts = {name: part.needing(needs) for name, part in parts.items()}
    categories = next(iter(parts.values())).categories
    for name, part in parts.items():
        for kind in ("class_names", "keypoint_names"):
            if getattr(part.categories, kind) != getattr(categories, kind):
                raise InputError(f"{root}: {kind.replace('_', ' ')} of its parts differ ('{name}'); give all one list")
    if classes and tuple(classes) != categories.class_names:
        own = ", ".join(categories.class_names)
        raise InputError(f"classes: {root} is a data set whose classes are {own}; leave --classes out")
    named = [(file, name, row) for name, part in parts.items() for row, file in enumerate(part.files)]
    notes = [problem for part in parts.values() for problem in part.problems]
    first = {file: (file, name, row) for file, name, row in reversed(named)}
    if len(first) < len(named):
        left = len(named) - len(first)
        notes.append(f"{root}: {counted(left, 'picture')} in several parts, labelled as of the first")
        named = list(first.values())
    gone = [file.name for file, _, _ in named if not file.is_file()]
    if gone:
        notes.append(f"{root}: {counted(len(gone), 'picture')} not there, left out: {listed(gone)}")
        named = [one for one in named if one[0].is_file()]
    if not named:
        raise InputError(f"{root}: it has no picture; name a data set with some")
    return Collection(
        root=root,
        task=found,
        categories=categories,
        pictures=_numbered(root, named),
        parts=parts,
        notes=list(dict.fromkeys(notes)),
    )


def _task(contents: frozenset[Content], task: str | None, root: Path) -> Task:
    """Choose the task that marks most of what a data set has."""
    if task is None:
        names = {"keypoints": KEYPOINTS, "masks": INSTANCE, "boxes": DETECT}
        return next((found for content, found in names.items() if content in contents), SEGMENT)
    missing = {"segment": "label_map", "detect": "boxes", "instance": "boxes", "keypoints": "keypoints"}[task]
    if missing not in contents:
        raise InputError(
            f"task: {root} has {', '.join(sorted(contents))}, and {task} marks {missing.replace('_', ' ')}"
        )
    return TASKS[task]


def _numbered(root: Path, files: Sequence[tuple[Path, str, int | None]]) -> list[Picture]:
    """Number pictures by their names, so that they have the same number when others were added; sorted by name."""
    pictures: dict[int, Picture] = {}
    for name, file, part, row in sorted((_name(root, file), file, part, row) for file, part, row in files):
        number = zlib.crc32(name.encode(errors="surrogatepass"))
        while number in pictures:
            number += 1
        pictures[number] = Picture(number, name, file, part, row)
    return sorted(pictures.values(), key=lambda picture: picture.name)


def _name(root: Path, file: Path) -> str:
    inside = file.is_relative_to(root)
    return file.relative_to(root).as_posix() if inside else file.as_posix()

"""Label maps as pictures: `images/{split}/**`, `labels/{split}/**` (the picture's stem) and `classes.txt`.

Folders without splits are one split, `all`. ADE20K (`annotations/`, `objectInfo150.txt`) and Cityscapes
(`leftImg8bit/`, `gtFine/`) are read as they come, with their own names and values where there is no `classes.txt`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.files import read_text, store_pictures, write_label_map, write_text
from delineate.data.formats.label_values import (
    IDS,
    TRAIN_IDS,
    LabelValues,
    from_ade_table,
    from_cityscapes,
    from_class_list,
)
from delineate.data.images import pictures_in
from delineate.values import Categories, Content, InputError, Target

PLACES = (("images", "labels"), ("images", "annotations"), ("leftImg8bit", "gtFine"))

WITHOUT_SPLITS = "all"


def recognises(root: Path) -> bool:
    """Tell whether there is a folder of pictures beside one with PNGs."""
    return bool(_places(root))


def splits(root: Path) -> list[str]:
    """List the folders that pictures and labels both have; `all` where there are none."""
    pictures, labels = ({path.name for path in place.iterdir() if path.is_dir()} for place in _places(root))
    return sorted(pictures & labels) or [WITHOUT_SPLITS]


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split; raises `InputError` naming a picture without a label map."""
    inner = "." if splits(root) == [WITHOUT_SPLITS] else split
    pictures, labels = (place / inner for place in _places(root))
    labelled = pictures_in(labels)
    suffix = next((end for end in (TRAIN_IDS, IDS) if any(path.stem.endswith(end) for path in labelled)), "")
    label_files = {_key(path, labels, suffix): path for path in labelled if path.stem.endswith(suffix)}
    files: dict[str, Path] = {}
    for path in pictures_in(pictures):
        other = files.setdefault(_key(path, pictures, "_leftImg8bit"), path)
        if other is not path:
            raise InputError(f"{path}: {other.name} has the same label map; rename one of them")
    for key, file in files.items():
        if key not in label_files:
            raise InputError(
                f"{file}: its label map {labels / key}{suffix}.png is missing; add it or remove the picture"
            )
    unused = [path for key, path in label_files.items() if key not in files]
    return MaskFolder(
        needs=needs,
        files=list(files.values()),
        label_files=[label_files[key] for key in files],
        values=_values(root, suffix),
        problems=[f"{labels}: {len(unused)} label maps have no picture, as {unused[0].name}"] if unused else [],
    )


def write(dataset: Dataset, root: Path, split: str) -> list[str]:
    """Write `images/{split}/`, `labels/{split}/` and `classes.txt`; gives the lines that say what was lost."""
    if "label_map" not in dataset.contents:
        contents = ", ".join(sorted(dataset.contents))
        raise InputError(f"{root}: a mask folder holds label maps, and this data set has none (it has {contents})")
    names = dataset.categories.label_map_names
    classes, text = root / "classes.txt", "\n".join(names) + "\n"
    if classes.exists() and read_text(classes) != text:
        raise InputError(f"{classes}: the classes there are not {', '.join(names)}; write to a new folder")
    write_text(classes, text)
    num_objects = num_poses = 0
    for path, target in store_pictures(dataset, root / "images" / split):
        assert target.label_map is not None
        write_label_map(root / "labels" / split / f"{path.stem}.png", target.label_map)
        num_objects += len(target)
        num_poses += 0 if target.visibility is None else int(target.visibility.any(1).sum())
    lost = []
    if num_objects:
        lost.append(
            f"boxes, masks and flags of {num_objects} objects: a mask folder holds one class a pixel, not objects"
        )
    if num_poses:
        lost.append(f"keypoints of {num_poses} objects: a mask folder holds none")
    return lost


@dataclass(kw_only=True, eq=False)
class MaskFolder(Dataset):
    """The pictures of a mask folder have a label map each and no objects."""

    needs: frozenset[Content]
    files: Sequence[Path]
    label_files: Sequence[Path]
    values: LabelValues
    problems: Sequence[str]

    def __post_init__(self) -> None:
        self.categories: Categories = self.values.categories
        self.contents: frozenset[Content] = frozenset({"label_map"})

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        if not self.gives:
            return Target(image_size=image_size)
        label_map = self.values.read(self.label_files[index])
        if tuple(label_map.shape) != image_size:
            raise InputError(
                f"{self.label_files[index]}: its (height, width) is {tuple(label_map.shape)}, "
                f"that of {self.files[index]} is {image_size}"
            )
        return Target(image_size=image_size, label_map=label_map)


def _places(root: Path) -> tuple[Path, ...]:
    """Find the folders of the pictures and of the label maps, or nothing."""
    for pictures, labels in PLACES:
        if (root / pictures).is_dir() and next((root / labels).rglob("*.png"), None):
            return root / pictures, root / labels
    return ()


def _key(path: Path, folder: Path, suffix: str) -> str:
    relative = path.relative_to(folder)
    return (relative.parent / relative.stem.removesuffix("_leftImg8bit").removesuffix(suffix)).as_posix()


def _values(root: Path, suffix: str) -> LabelValues:
    if (root / "classes.txt").is_file():
        return from_class_list(root / "classes.txt")
    if (root / "objectInfo150.txt").is_file():
        return from_ade_table(root / "objectInfo150.txt")
    if suffix:
        return from_cityscapes(suffix, root)
    raise InputError(
        f"{root / 'classes.txt'} is missing: write one class name a line, in the order of the label values"
    )

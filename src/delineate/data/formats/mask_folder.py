"""Label maps as pictures: `images/{split}/**`, `labels/{split}/**` (the picture's stem) and `classes.txt`.

Folders without splits are one split, `all`. `masks/` or `annotations/` may stand for `labels/`, in any capitals, and a
split may have a folder of its own that holds both. ADE20K (`annotations/`, `objectInfo150.txt`) and Cityscapes
(`leftImg8bit/`, `gtFine/`) are read as they come, with their own names and values where there is no `classes.txt`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.files import read_text, store_pictures, write_label_map, write_text
from delineate.data.formats import mask_files
from delineate.data.formats.label_values import (
    IDS,
    TRAIN_IDS,
    LabelValues,
    from_ade_table,
    from_cityscapes,
    from_class_list,
)
from delineate.data.images import EXACT_SUFFIXES, pictures_in
from delineate.data.pairing import check_size, unpaired
from delineate.values import Categories, Content, InputError, Target, listed

CLASS_LISTS = ("classes.txt", "labels.txt", "class_names.txt")


def recognises(root: Path) -> bool:
    """Tell whether there is a folder of pictures beside one with label maps."""
    return bool(mask_files.parts(root))


def splits(root: Path) -> list[str]:
    """List the folders of pictures that labels have, too; `all` where there are none."""
    return sorted(mask_files.parts(root))


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split; raises `InputError` naming a picture without a label map."""
    parts = mask_files.parts(root)
    pictures, labels = parts[split]
    every = [path for _, folder in parts.values() for path in pictures_in(folder)]
    suffix = next((end for end in (TRAIN_IDS, IDS) if any(path.stem.endswith(end) for path in every)), "")
    files = mask_files.keyed(pictures_in(pictures), pictures, "_leftImg8bit")
    label_files = mask_files.label_files(labels, suffix)
    missing = [file for key, file in files.items() if key not in label_files]
    if missing:
        place = labels / mask_files.key(missing[0], pictures, "_leftImg8bit")
        raise InputError(
            f"{missing[0]}: its label map {place}{suffix}.png is missing; add it or remove the picture "
            f"({len(missing)} of {len(files)} pictures have none: {listed(path.name for path in missing)})"
        )
    exact = [path for path in every if path.stem.endswith(suffix) and path.suffix.lower() in EXACT_SUFFIXES]
    values = _values(root, suffix)
    if "label_map" in needs:
        values = values.checked(exact, root)
    return MaskFolder(
        needs=needs,
        files=list(files.values()),
        label_files=[label_files[key] for key in files],
        values=values,
        problems=[*mask_files.left_out(root, split), *unpaired(files, label_files, "label map"), *values.problems],
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

    def annotation_file(self, index: int) -> Path:
        return self.label_files[index]

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        if not self.gives:
            return Target(image_size=image_size)
        label_map = self.values.read(self.label_files[index])
        check_size(tuple(label_map.shape), self.files[index], image_size, str(self.label_files[index]))
        return Target(image_size=image_size, label_map=label_map)


def _values(root: Path, suffix: str) -> LabelValues:
    for name in CLASS_LISTS:
        if (root / name).is_file():
            return from_class_list(root / name)
    if (root / "objectInfo150.txt").is_file():
        return from_ade_table(root / "objectInfo150.txt")
    if suffix:
        return from_cityscapes(suffix, root)
    raise InputError(
        f"{root / 'classes.txt'} is missing: write one class name a line, in the order of the label values"
    )

"""A split of a mask folder is a data set whose label maps are decoded when asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.folders import pictures_in
from delineate.data.formats.label_values import LabelValues
from delineate.data.formats.mask_folder.files import find_parts, label_maps_by_key, left_out, pictures_by_key
from delineate.data.formats.mask_folder.values import IDS, TRAIN_IDS, values_of
from delineate.data.images import EXACT_SUFFIXES
from delineate.data.pairing import unpaired
from delineate.values import Categories, Content, InputError, Target, listed


def recognises(root: Path) -> bool:
    """Tell whether there is a folder of pictures beside one with label maps."""
    return bool(find_parts(root))


def splits(root: Path) -> list[str]:
    """List the folders of pictures that labels have, too; `all` where there are none."""
    return sorted(find_parts(root))


def read(root: Path, split: str, needs: frozenset[Content] = EVERYTHING) -> Dataset:
    """Read one split; raises `InputError` naming a picture without a label map."""
    parts = find_parts(root)
    pictures, labels = parts[split]
    every = [path for _, folder in parts.values() for path in pictures_in(folder)]
    suffix = next((end for end in (TRAIN_IDS, IDS) if any(path.stem.endswith(end) for path in every)), "")
    files, label_maps = pictures_by_key(pictures), label_maps_by_key(labels, suffix)
    missing = {key: file for key, file in files.items() if key not in label_maps}
    for key, file in missing.items():
        raise InputError(
            f"{file}: its label map {labels / key}{suffix}.png is missing; add it or remove the picture "
            f"({len(missing)} of {len(files)} pictures have none: {listed(path.name for path in missing.values())})"
        )
    exact = [path for path in every if path.stem.endswith(suffix) and path.suffix.lower() in EXACT_SUFFIXES]
    values = values_of(root, suffix)
    if "label_map" in needs:
        values = values.checked(exact, root)
    return MaskFolder(
        needs=needs,
        files=list(files.values()),
        label_files=[label_maps[key] for key in files],
        values=values,
        problems=[*left_out(root, split), *unpaired(files, label_maps, "label map"), *values.problems],
    )


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
        label_map = self.values.read(self.label_files[index], self.files[index], image_size)
        return Target(image_size=image_size, label_map=label_map)

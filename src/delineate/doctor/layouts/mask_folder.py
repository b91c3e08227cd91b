"""A mask folder: each label map is the record of its picture."""

from collections.abc import Iterator
from pathlib import Path

from delineate.data.folders import pictures_in
from delineate.data.formats.mask_folder.files import find_parts, label_maps_by_key, pictures_by_key
from delineate.data.formats.mask_folder.values import IDS, TRAIN_IDS, values_of
from delineate.data.images import EXACT_SUFFIXES
from delineate.doctor.records import Part, Record


def parts(root: Path) -> Iterator[Part]:
    """Find the pictures of each split that have a label map; raises `InputError` where nothing names the values."""
    found = find_parts(root)
    every = [path for _, folder in found.values() for path in pictures_in(folder)]
    suffix = next((end for end in (TRAIN_IDS, IDS) if any(path.stem.endswith(end) for path in every)), "")
    exact = [path for path in every if path.stem.endswith(suffix) and path.suffix.lower() in EXACT_SUFFIXES]
    values = values_of(root, suffix).checked(exact, root)
    for split in sorted(found):
        pictures, labels = found[split]
        maps = label_maps_by_key(labels, suffix)
        records = [
            Record(split=split, file=file, source=maps[key], label_map=maps[key], written=file.name)
            for key, file in pictures_by_key(pictures).items()
            if key in maps
        ]
        yield Part(split=split, records=records, names=values.categories.label_map_names, values=values, of_pixels=True)

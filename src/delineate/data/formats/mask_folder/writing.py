"""A data set is written as pictures and label maps."""

from pathlib import Path

from delineate.data.dataset import Dataset
from delineate.data.files import read_text, store_pictures, write_label_map, write_text
from delineate.values import InputError


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

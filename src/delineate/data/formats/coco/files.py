"""COCO files are found where tools and people put them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from delineate.data.folders import folders_in
from delineate.data.formats.kinds import kind_of
from delineate.data.formats.split_names import USUAL_NAMES, WITHOUT_SPLITS, usual_name

KINDS = ("instances_", "person_keypoints_", "")
"""One of these precedes the split in a file's name; the first file there is has the objects."""

OTHER_KINDS = ("captions_", "panoptic_", "image_info_")

FOLDERS = ("annotations", "annotation", "labels")
"""Files of all splits lie in a folder of such a name, in any capitals."""

MANY = 100
"""A folder of more JSON files than that has one a picture, which are not COCO's."""

FILLERS = frozenset({"annotations", "annotation", "coco", "instances", "person", "keypoints", "labels", "dataset"})
"""These words in a file's name do not name a split."""

Sources = Mapping[str, Mapping[str, Path]]
"""The annotation files by split and by what precedes it."""


def sources(root: Path) -> Sources:
    """Find the annotation files: `root`, or those in `annotations/`, in a folder for each split, or in `root`.

    The one file beside pictures is of all of them, unless its name is that of a split.
    """
    found: dict[str, dict[str, Path]] = {}
    for path, of_folder in _places(root):
        kind = next(kind for kind in KINDS if path.stem.startswith(kind))
        split = of_folder or _split(path.stem, kind)
        if kind in found.get(split, {}):
            split = path.stem
        found.setdefault(split, {})[kind] = path
    if len(found) == 1 and usual_name(split) not in USUAL_NAMES and path.parent == root:
        return {WITHOUT_SPLITS: found[split]}
    return found


def _places(root: Path) -> Iterator[tuple[Path, str]]:
    """Give the COCO files in the first place that has some, with their splits, where folders say these."""
    if not root.is_dir():
        if root.suffix.lower() == ".json" and root.is_file() and kind_of(root) in ("coco", ""):
            yield root, ""
        return
    folders = [root / name for name in folders_in(root)]
    for group in (
        [(folder, "") for folder in folders if folder.name.lower() in FOLDERS],
        [(folder, usual_name(folder.name)) for folder in folders if usual_name(folder.name) in USUAL_NAMES],
        [(root, "")],
    ):
        found = [(path, split) for folder, split in group for path in _coco_files(folder)]
        if found:
            yield from found
            return


def _coco_files(folder: Path) -> list[Path]:
    paths = [path for path in sorted(folder.glob("*.json")) if not path.name.startswith(OTHER_KINDS)]
    if len(paths) > MANY:
        return []
    return [path for path in paths if path.name.startswith(KINDS[:2]) or kind_of(path) == "coco"]


def _split(stem: str, kind: str) -> str:
    """Name the split of `instances_train2017`, `valid` or `train_annotations.coco`; where no word does, it is all."""
    words = [word for word in re.split(r"[\W_]+", stem.lower()) if word and word not in FILLERS]
    if not words:
        return WITHOUT_SPLITS
    return USUAL_NAMES.get(words[0] if len(words) == 1 else "", stem.removeprefix(kind))

"""What is in a data set is counted from its annotations, without decoding pictures."""

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from delineate.data.census import Census
from delineate.data.dataset import OBJECTS, Dataset, targets
from delineate.data.preprocess import Preprocess
from delineate.data.splits import spread
from delineate.data.table import Table
from delineate.values import IGNORE

NUM_MAPS = 100
"""Label maps, at equal distances, whose pixels are counted."""


def take_census(dataset: Dataset, preprocess: Preprocess | None = None, *, skip_unreadable: bool = False) -> Census:
    """Count what is in a data set, without decoding pictures; `preprocess` is that of the system to be trained.

    Raises `InputError` where an annotation cannot be read, unless told to skip such pictures, which do not count.
    """
    if "boxes" in dataset.gives:
        objects = dataset.needing(OBJECTS)
        table = None if skip_unreadable else objects.table()
        if table is not None:
            return _of_table(objects, table, preprocess)
        return _of_objects(objects, preprocess, skip_unreadable)
    return _of_label_maps(dataset, skip_unreadable)


def _of_objects(dataset: Dataset, preprocess: Preprocess | None, skip_unreadable: bool) -> Census:
    num_classes = dataset.categories.num_classes
    unreadable: list[str] = []
    counts, labels = [0] * len(dataset), [torch.zeros(0, dtype=torch.int64)]
    small_at: Counter[tuple[int, int]] = Counter()
    numbers: Counter[str] = Counter()
    files: set[Path] = set()
    for index, target in targets(dataset, unreadable if skip_unreadable else None):
        files.add(dataset.files[index])
        ignored = target.ignored
        kept = ~ignored
        counts[index] = int(kept.sum())
        if counts[index] < len(target):
            numbers["crowds"] += int(target.crowd.sum())
            numbers["difficult"] += int((target.difficult & ~target.crowd).sum())
        labels.append(target.labels[kept])
        if preprocess is not None and counts[index]:
            sides = preprocess.resized_sides(target.boxes[kept], target.image_size)
            is_small = (sides < 1).any(1)  # `transforms.resized_crop` drops these
            small_at[preprocess.resized(target.image_size)] += int(is_small.sum())
        if target.visibility is not None:
            annotated = target.visibility[kept] > 0
            numbers["posed"] += int(annotated.any(1).sum())
            numbers["joints"] += int(annotated.sum())
    of_classes = torch.cat(labels).bincount(minlength=num_classes).tolist()
    return Census(
        num_pictures=len(files),
        classes=dict(zip(dataset.categories.class_names, of_classes, strict=True)),
        counts=counts,
        num_crowds=numbers["crowds"],
        num_difficult=numbers["difficult"],
        num_small=small_at.total(),
        size=max(small_at, key=lambda size: small_at[size], default=None),
        num_posed=numbers["posed"] if "keypoints" in dataset.gives else None,
        num_joints=numbers["joints"],
        unreadable=unreadable,
    )


def _of_table(dataset: Dataset, table: Table, preprocess: Preprocess | None) -> Census:
    """Count as `_of_objects` does, all at once."""
    kept = ~(table.crowd | table.difficult)
    counts = table.pictures[kept].bincount(minlength=len(table.sizes))
    small_at = Counter[tuple[int, int]]() if preprocess is None else _small_at(table, kept, counts, preprocess)
    posed = None if table.annotated is None else table.annotated[kept]
    of_classes = table.labels[kept].bincount(minlength=dataset.categories.num_classes).tolist()
    return Census(
        num_pictures=len({*dataset.files}),
        classes=dict(zip(dataset.categories.class_names, of_classes, strict=True)),
        counts=counts.tolist(),
        num_crowds=int(table.crowd.sum()),
        num_difficult=int((table.difficult & ~table.crowd).sum()),
        num_small=small_at.total(),
        size=max(small_at, key=lambda size: small_at[size], default=None),
        num_posed=None if posed is None else int(posed.any(1).sum()),
        num_joints=0 if posed is None else int(posed.sum()),
        unreadable=[],
    )


def _small_at(
    table: Table, kept: Bool[Tensor, " n"], counts: Int64[Tensor, " p"], preprocess: Preprocess
) -> Counter[tuple[int, int]]:
    """Count objects below a pixel by the size that their pictures are resized to."""
    sizes, kinds = np.unique(table.sizes[counts > 0].numpy(), axis=0, return_inverse=True)
    of_picture = torch.full((len(table.sizes),), -1)
    of_picture[counts > 0] = torch.from_numpy(kinds.reshape(-1))
    of_object = of_picture[table.pictures]
    order = of_object.masked_fill(~kept, -1).argsort(stable=True)[int((~kept).sum()) :]
    groups = torch.split(order, of_object[order].bincount(minlength=len(sizes)).tolist())
    small: Counter[tuple[int, int]] = Counter()
    firsts = np.unique(kinds.reshape(-1), return_index=True)[1]
    for kind in np.argsort(firsts).tolist():  # in the order of the pictures
        height, width = sizes[kind].tolist()
        sides = preprocess.resized_sides(table.boxes[groups[kind]], (height, width))
        small[preprocess.resized((height, width))] += int((sides < 1).any(1).sum())
    return small


def _of_label_maps(dataset: Dataset, skip_unreadable: bool) -> Census:
    names = dataset.categories.label_map_names
    unreadable: list[str] = []
    pixels, num_ignored, num_maps = torch.zeros(len(names), dtype=torch.int64), 0, 0
    sample = spread(len(dataset), NUM_MAPS)
    others = sorted(set(range(len(dataset))) - set(sample))  # looked at until a pixel counts
    for _, target in targets(dataset, unreadable if skip_unreadable else None, [*sample, *others]):
        if num_maps >= NUM_MAPS and pixels.any():
            break
        assert target.label_map is not None, "what gives no boxes gives label maps"
        counts = target.label_map[target.label_map != IGNORE].bincount(minlength=len(names))
        pixels += counts
        num_ignored += target.label_map.numel() - int(counts.sum())
        num_maps += 1
    return Census(
        num_pictures=len(set(dataset.files)) - len(unreadable),
        classes=dict(zip(names, pixels.tolist(), strict=True)),
        num_maps=num_maps,
        num_ignored=num_ignored,
        unreadable=unreadable,
    )


def amounts_by_class(
    dataset: Dataset,
) -> tuple[Literal["objects", "pixels"], tuple[str, ...], Int64[np.ndarray, "n c"], list[str]]:
    """Count each picture's objects that count by class, or its pixels where there are label maps alone.

    With them come what is counted, the names, and a line for each picture of which nothing can be read.
    """
    objects = "boxes" in dataset.contents
    needed = dataset.needing(frozenset({"boxes"} if objects else {"label_map"}))
    names = dataset.categories.class_names if objects else dataset.categories.label_map_names
    amounts, unknown = np.zeros((len(dataset), len(names)), dtype=np.int64), list[str]()
    for index, target in targets(needed, unknown):
        if objects:
            labels = target.labels[~target.ignored]
        else:
            assert target.label_map is not None
            labels = target.label_map[target.label_map != IGNORE]
        amounts[index] = np.bincount(labels.numpy(), minlength=len(names))
    return ("objects" if objects else "pixels"), names, amounts, unknown

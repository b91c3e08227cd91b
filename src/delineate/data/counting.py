"""What is in a data set is counted from its annotations, without decoding pictures."""

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int64

from delineate.data.census import Census
from delineate.data.dataset import OBJECTS, Dataset, targets
from delineate.data.preprocess import Preprocess
from delineate.data.splits import spread
from delineate.values import IGNORE

NUM_MAPS = 100
"""Label maps, at equal distances, whose pixels are counted."""


def take_census(dataset: Dataset, preprocess: Preprocess | None = None, *, skip_unreadable: bool = False) -> Census:
    """Count what is in a data set, without decoding pictures; `preprocess` is that of the system to be trained.

    Raises `InputError` where an annotation cannot be read, unless told to skip such pictures, which do not count.
    """
    if "boxes" in dataset.gives:
        return _of_objects(dataset.needing(OBJECTS), preprocess, skip_unreadable)
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

"""A data set is written as Pascal VOC: XML files, lists of pictures, palette PNGs."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.files import read_lines, store_pictures, unique_stems, write_label_map, write_text
from delineate.data.formats.label_values import CLASS_LISTS
from delineate.data.formats.voc.objects import with_area
from delineate.ops.masks import paint_label_map
from delineate.values import IGNORE, Categories, InputError, Target

MAX_VALUE = 254
"""The last class or object that a PNG of 8 bits can hold: 0 is background and 255 ignored."""


def write(dataset: Dataset, root: Path, split: str) -> list[str]:
    """Write one split as VOC, beside those that `root` has; gives the lines that say what was lost.

    Raises `InputError` when `root` has other classes already.
    """
    categories = dataset.categories
    _write_class_names(root / CLASS_LISTS[0], categories)
    lists = [path for path in (root / "ImageSets").glob("*/*.txt") if path.stem != split]
    taken = {stem for path in lists for stem in read_lines(path)}
    prefix = "" if taken.isdisjoint(unique_stems(dataset.files)) else f"{split}_"
    lost: Counter[str] = Counter()
    stems = []
    for path, target in store_pictures(dataset, root / "JPEGImages", prefix):
        stems.append(path.stem)
        lost += _lost(target, categories)
        if "boxes" in dataset.contents:
            write_text(root / "Annotations" / f"{path.stem}.xml", xml(path, target, categories))
        if target.masks is not None:
            write_label_map(root / "SegmentationObject" / f"{path.stem}.png", _painted(target.masks))
        if target.label_map is not None and categories.num_classes <= MAX_VALUE:
            write_label_map(root / "SegmentationClass" / f"{path.stem}.png", _values(target.label_map, categories))
    for name in ("Main", "Segmentation") if {"masks", "label_map"} & dataset.contents else ("Main",):
        write_text(root / "ImageSets" / name / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
    if "label_map" in dataset.contents and not categories.has_background:
        lost["label maps: VOC's have a background; it is a class more, that no pixel has"] = 0
    return [line.format(count) for line, count in sorted(lost.items())]


def _lost(target: Target, categories: Categories) -> Counter[str]:
    """Count what VOC cannot hold of one picture, a line each."""
    lost: Counter[str] = Counter()
    lost["crowd: {} regions are written as difficult objects"] = int(target.crowd.sum())
    lost["boxes of {} objects are a pixel or less, which VOC cannot tell from no area; reading leaves them out"] = int(
        (~with_area(target.boxes)).sum()
    )
    if target.visibility is not None:
        lost["keypoints of {} objects: VOC has none"] = int((target.visibility > 0).any(1).sum())
    if target.masks is not None:
        drawn = target.masks[:MAX_VALUE]
        lost[f"masks of {{}} objects: a PNG holds {MAX_VALUE} objects"] = len(target) - len(drawn)
        lost["masks: {} pixels where objects overlap belong to the smaller one alone"] = int(drawn.sum()) - int(
            drawn.any(0).sum()
        )
    if target.label_map is not None and categories.num_classes > MAX_VALUE:
        lost[f"label maps of {{}} pictures: a PNG holds {MAX_VALUE} classes"] = 1
    return +lost


def xml(picture: Path, target: Target, categories: Categories, scores: Sequence[float] = ()) -> str:
    """Write the objects of a picture, with a `score` each where they are results."""
    height, width = target.image_size
    root = ElementTree.Element("annotation")
    _add(root, folder="JPEGImages", filename=picture.name)
    _add(ElementTree.SubElement(root, "size"), width=str(width), height=str(height), depth="3")
    _add(root, segmented=str(int(target.masks is not None)))
    rows = zip(target.boxes.tolist(), target.labels.tolist(), (target.difficult | target.crowd).tolist(), strict=True)
    for (x1, y1, x2, y2), label, difficult in rows:
        element = ElementTree.SubElement(root, "object")
        _add(element, name=categories.class_names[label], pose="Unspecified", truncated="0")
        _add(element, difficult=str(int(difficult)))
        sides = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
        _add(ElementTree.SubElement(element, "bndbox"), **{side: _number(value) for side, value in sides.items()})
    for element, score in zip(root.iter("object"), scores, strict=False):
        _add(element, score=_number(score))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(parent: ElementTree.Element, **texts: str) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(parent, tag).text = text


def _number(value: float) -> str:
    """Write a whole number as VOC does, any other with all its digits."""
    return str(int(value)) if value.is_integer() else repr(value)


def _painted(masks: Bool[Tensor, "n h w"]) -> Int64[Tensor, "h w"]:
    """Paint value `i` where object `i` is, counted from 1; the smaller object where several are."""
    drawn = masks[:MAX_VALUE]
    return paint_label_map(drawn, torch.arange(1, len(drawn) + 1), background=0)


def _values(label_map: Int64[Tensor, "h w"], categories: Categories) -> Int64[Tensor, "h w"]:
    """Turn classes into VOC's values: 0 for background, the class + 1, and 255 for what is ignored."""
    values = torch.where(label_map == categories.num_classes, 0, label_map + 1)
    return torch.where(label_map == IGNORE, IGNORE, values)


def _write_class_names(path: Path, categories: Categories) -> None:
    if path.exists() and tuple(read_lines(path)) != categories.class_names:
        raise InputError(f"{path}: lists other classes than {', '.join(categories.class_names)}; give an empty folder")
    write_text(path, "".join(f"{name}\n" for name in categories.class_names))

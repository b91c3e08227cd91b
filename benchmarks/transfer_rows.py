"""What `transfer.py` measures: rows, each a data set with the systems and the peers that learn it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from delineate.data.synthetic import synthesise
from delineate.system.catalog import MIRRORED

THEIR_SMALL = {"min_size": 320, "max_size": 640}
SSD320 = {"side": 320}
VARIED = {"scale": (0.75, 1.33), "colour": 0.3}
"""Where the same pictures come fifty times, they vary."""


@dataclass(frozen=True)
class Row:
    """On this data ours are trained, each by options and settings that differ from its lighter form.

    A name that is no system's has its `model` among them. Peers have options of their making, and `learn` are those of
    their loop. Each of ours stands beside the peers of `BESIDE` that the row has.
    """

    train: str
    test: str
    minutes: float
    metrics: tuple[str, ...]
    ours: Mapping[str, Mapping[str, Any]]
    peers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    learn: Mapping[str, Any] = field(default_factory=dict)
    data: Callable[[Path, Path], Path] | None = None


BESIDE = {
    **dict.fromkeys(("unet", "deeplabv3plus", "lraspp", "fcn8s", "segformer"), ("smp_unet", "smp_deeplabv3plus")),
    "faster_rcnn": ("torchvision_faster_rcnn",),
    "mask_rcnn": ("torchvision_mask_rcnn",),
    "retinanet": ("torchvision_retinanet",),
    "ssd": ("torchvision_ssd",),
}


def synthetic(_: Path, out: Path, *, single: bool = False) -> Path:
    """Make a thousand pictures, as `delineate synth` does, of many objects or of one each."""
    place = out / ("single" if single else "synthetic")
    if not place.exists():
        synthesise(place, num_images=1000, single=single)
    return place


def from_coco128(*names: str) -> Callable[[Path, Path], Path]:
    """Train on coco128 and test on tinycoco's val, of these classes alone (of all, without names)."""

    def make(data: Path, out: Path) -> Path:
        folder = out / "-".join(("coco128", *names))
        for split, source in (("train", data / "coco128/train2017"), ("val", data / "tinycoco/val2017")):
            file = folder / "annotations" / f"instances_{split}.json"
            if file.exists():
                continue
            document = json.loads((source.parent / "annotations" / f"instances_{source.name}.json").read_text())
            kept = {row["id"]: row for row in document["categories"] if not names or row["name"] in names}
            objects = [row for row in document["annotations"] if row["category_id"] in kept]
            filled = {row["image_id"] for row in objects}
            # of one class, pictures without it are left out of training; all are measured on
            images = [row for row in document["images"] if not names or split == "val" or row["id"] in filled]
            for row in images:
                row["file_name"] = str((source / row["file_name"]).resolve())
            file.parent.mkdir(parents=True, exist_ok=True)
            categories = list(kept.values())
            file.write_text(json.dumps({"images": images, "annotations": objects, "categories": categories}))
        return folder

    return make


def folder(name: str) -> Callable[[Path, Path], Path]:
    """Take the data of another row."""
    return lambda data, _: data / name


DENSE = (
    *("deeplabv3plus", "lraspp", "fcn8s", "unet", "segformer", "deeplabv3", "fcn16s", "fcn32s"),
    *("segnet_basic", "segnet", "sliding_window_segmenter", "fcn_full_resolution"),  # have no such backbone
)
RCNN = {"warp_size": 96, "max_proposals": 600}
FULL_CAMVID = {"short_side": 360, "crop_size": (288, 384), "scale": (0.6, 1.6), "colour": 0.3, "backbone_rate": 0.3}
"""Poles and signs want all pixels, and streets that were never seen want pictures that vary."""

ROWS: dict[str, Row] = {
    "bccd": Row(
        *("trainval", "test", 10, ("AP", "AP50")),
        ours={
            "retinanet": {},
            "faster_rcnn": {},
            "fcos": {"learning_rate": 2e-3, **VARIED},
            "ssd": {"image_size": 320},
            "yolov2": {},
            "detr_small": {},
            "fast_rcnn": {},
            "rcnn": RCNN,
            "yolov1": {"num_cells": 5, "image_size": 288, "freeze_until": 2},
            "yolov1_conv": {"model": "yolov1", "head": "conv", "num_cells": 10, "image_size": 320, **MIRRORED},
            "rtdetr": {},
            "detr": {},
            "sliding_window_detector": {},
        },
        peers={
            "torchvision_faster_rcnn": THEIR_SMALL,
            "torchvision_retinanet": THEIR_SMALL,
            "torchvision_ssd": SSD320,
        },
    ),
    "rcnn": Row(  # the paper's table 2: features as they came, fine-tuned, and with boxes moved
        *("trainval", "test", 5, ("AP", "AP50")),
        ours={
            "rcnn_features": {"model": "rcnn", **RCNN, "box_regression": False, "epochs": 0},
            "rcnn_fine_tuned": {"model": "rcnn", **RCNN, "box_regression": False},
            "rcnn": RCNN,
        },
        data=folder("bccd"),
    ),
    "camvid": Row(  # to choose by
        *("train", "val", 10, ("mIoU",)),
        ours={name: {} for name in DENSE},
    ),
    "camvid_test": Row(
        *("train", "test", 30, ("mIoU",)),
        ours=dict.fromkeys(("deeplabv3plus", "unet", "lraspp", "fcn8s", "segformer"), FULL_CAMVID),
        peers={"smp_unet": {}, "smp_deeplabv3plus": {}},
        learn={"crop": (352, 480)},
        data=folder("camvid"),
    ),
    "nuclei": Row(
        *("train", "val", 20, ("AP", "AP50", "mask_AP", "mask_AP50")),
        ours={
            "mask_rcnn": {
                **VARIED,
                "anchor_size": 8,
                "num_rois": 128,
                "short_side": 384,
                "long_side": 640,
                "rotate": 180.0,
            }
        },
        peers={
            "torchvision_mask_rcnn": {
                "anchor_size": 8,
                "min_size": 384,
                "max_size": 640,
                "box_detections_per_img": 400,  # the fullest picture has 329 nuclei
            }
        },
        learn={"batch_size": 2},
    ),
    "lsp": Row(
        *("train", "val", 20, ("PCK@0.2",)),
        ours={"pose_regressor": {"image_size": 192, "rotate": 30.0}},
    ),
    "localizer": Row(
        *("train", "val", 4, ("localization_accuracy", "mean_IoU")),
        ours={"localizer": {}, "localizer_frozen": {"model": "localizer", "freeze_until": 4}},
        data=partial(synthetic, single=True),
    ),
    "keypoints": Row(
        *("train", "val", 5, ("keypoint_AP", "keypoint_AP50")),
        ours={"keypoint_rcnn": {"short_side": 192, "width": 64, "anchor_size": 24}},
        data=synthetic,
    ),
    "person": Row(
        *("train", "val", 10, ("AP", "AP50")),
        ours={"faster_rcnn": VARIED, "ssd": {**VARIED, "image_size": 320}},
        peers={"torchvision_faster_rcnn": THEIR_SMALL, "torchvision_ssd": SSD320},
        data=from_coco128("person"),
    ),
    "coco128": Row(
        *("train", "val", 20, ("AP", "AP50")),
        ours={"faster_rcnn": VARIED},
        peers={"torchvision_faster_rcnn": THEIR_SMALL},
        data=from_coco128(),
    ),
}

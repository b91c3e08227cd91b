"""What serves a training that begins with ImageNet weights: one setting after the other, in place of the usual.

    python benchmarks/fine_tuning.py --weights tf_efficientnet_lite0.safetensors --out FOLDER [--families pyramid ...]

A family is a system on real pictures, in its lighter form around that backbone, trained for `--minutes` on a part of
the training pictures and measured on another (`delineate val`); the test split is not read. Detectors learn BCCD's
`train` and are measured on its `val`, the pose regressor LSP's. CamVid's validation pictures were taken seconds after
training pictures, on the same drive, so that dense systems are measured on a drive of `train` that they do not learn.

Each training is `train` with the family's settings and a row's. Results are kept in `--out`; what is there is not done
again, and a training that was cut goes on.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers
from delineate.system.catalog import MIRRORED
from delineate.training import TrainingSettings
from kept import measured
from transfer import DATA, settings_of
from transfer_rows import FULL_CAMVID, VARIED, folder

USUAL = "as it is"
SLOWER: Mapping[str, Mapping[str, Any]] = {
    "backbone_rate 0.3": {"backbone_rate": 0.3},
    "backbone_rate 0.1": {"backbone_rate": 0.1},
    "layer_decay 0.7": {"layer_decay": 0.7},
}
FROZEN: Mapping[str, Mapping[str, Any]] = {
    "freeze_until 0": {"freeze_until": 0},
    "freeze_until 1": {"freeze_until": 1},
    "freeze_until 1, thaw 0.3": {"freeze_until": 1, "thaw": 0.3},
}
STEPS: Mapping[str, Mapping[str, Any]] = {
    "learning_rate 2e-3": {"learning_rate": 2e-3},
    "learning_rate 5e-4": {"learning_rate": 5e-4},
    "warmup 0.2": {"warmup": 0.2},
    "no moving average": {"ema": None},
}
VARYING: Mapping[str, Mapping[str, Any]] = {
    "scale 0.75 1.33, colour 0.3": VARIED,
    "learning_rate 2e-3, scale 0.75 1.33, colour 0.3": {"learning_rate": 2e-3, **VARIED},
}
FEWER: Mapping[str, Any] = {"num_cells": 5, "image_size": 288}


@dataclass(frozen=True)
class Family:
    """Of a family one system is trained, on these data, by these settings and each row's."""

    model: str
    data: Callable[[Path, Path], Path]
    metrics: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Any]]


def by_drives(data: Path, out: Path) -> Path:
    """Divide CamVid's training pictures by the drive that they were taken on: one of the three is validated on."""
    place = out / "camvid_drives"
    for kind in ("images", "labels"):
        for file in sorted((data / "camvid" / kind / "train").iterdir()):
            split = place / kind / ("val" if file.name.startswith("0006R0") else "train")
            split.mkdir(parents=True, exist_ok=True)
            if not (split / file.name).is_symlink():
                (split / file.name).symlink_to(file.resolve())
    (place / "classes.txt").write_text((data / "camvid" / "classes.txt").read_text())
    return place


FAMILIES = {
    "pyramid": Family(
        *("fcos", folder("bccd"), ("AP", "AP50")),
        {
            **SLOWER,
            **FROZEN,
            "frozen_norm": {"frozen_norm": True},
            **STEPS,
            **VARYING,
            "short_side 400": {"short_side": 400},
            "short_side 256": {"short_side": 256},
            "width 64": {"width": 64},
            "width 64, learning_rate 2e-3, scale 0.75 1.33, colour 0.3": {"width": 64, "learning_rate": 2e-3, **VARIED},
        },
    ),
    "grid": Family(
        *("ssd", folder("bccd"), ("AP", "AP50")),
        {
            **SLOWER,
            **FROZEN,
            **STEPS,
            **VARYING,
            "augment ssd": {"augment": "ssd"},
            "image_size 320": {"image_size": 320},
            "image_size 400": {"image_size": 400},
        },
    ),
    "cells": Family(
        *("yolov1", folder("bccd"), ("AP", "AP50")),
        {
            "image_size 320": {"image_size": 320},
            "image_size 320, augment scale": {"image_size": 320, **MIRRORED},
            "colour 0.3": {"colour": 0.3},
            "num_cells 5, image_size 320": {**FEWER, "image_size": 320},
            "num_cells 5, image_size 288": FEWER,
            "num_cells 5, image_size 288, learning_rate 3e-4": {**FEWER, "learning_rate": 3e-4},
            "num_cells 5, image_size 288, learning_rate 2e-3": {**FEWER, "learning_rate": 2e-3},
            "num_cells 5, image_size 288, freeze_until 2": {**FEWER, "freeze_until": 2},
            "num_cells 5, freeze_until 2": {"num_cells": 5, "freeze_until": 2},
        },
    ),
    "proposals": Family(
        *("fast_rcnn", folder("bccd"), ("AP", "AP50")),
        {
            **STEPS,
            **VARYING,
            "num_rois 128": {"num_rois": 128},
            "short_side 400": {"short_side": 400},
            "short_side 480": {"short_side": 480},
            "fpn, roi align": {"fpn": True, "roi": "align"},
        },
    ),
    "queries": Family(
        *("rtdetr", folder("bccd"), ("AP", "AP50")),
        {
            "learning_rate 1e-4": {"learning_rate": 1e-4},
            "learning_rate 5e-4": {"learning_rate": 5e-4},
            "learning_rate 5e-4, backbone_rate 0.3": {"learning_rate": 5e-4, "backbone_rate": 0.3},
            "frozen_norm": {"frozen_norm": True},
            "no moving average": {"ema": None},
        },
    ),
    "detr": Family(
        *("detr", folder("bccd"), ("AP", "AP50")),
        {
            "learning_rate 5e-4": {"learning_rate": 5e-4},
            "learning_rate 1e-3": {"learning_rate": 1e-3},
            "learning_rate 1e-3, frozen_norm": {"learning_rate": 1e-3, "frozen_norm": True},
        },
    ),
    "dense": Family(
        *("deeplabv3plus", by_drives, ("mIoU",)),
        {
            **SLOWER,
            **FROZEN,
            **STEPS,
            "scale 0.6 1.6, colour 0.3": {"scale": (0.6, 1.6), "colour": 0.3},
            "short_side 360, crop_size 288 384": {"short_side": 360, "crop_size": (288, 384)},
            "as in camvid_test": FULL_CAMVID,
            "as in camvid_test, backbone_rate 1": {**FULL_CAMVID, "backbone_rate": 1.0},
            "as in camvid_test, learning_rate 2e-3": {**FULL_CAMVID, "learning_rate": 2e-3},
        },
    ),
    "expanding": Family(*("unet", by_drives, ("mIoU",)), {"elastic 0": {"elastic": 0.0}}),
    "regression": Family(
        *("pose_regressor", folder("lsp"), ("PCK@0.2",)),
        {
            **SLOWER,
            **FROZEN,
            "freeze_until 3": {"freeze_until": 3},
            **STEPS,
            "dropout 0.5": {"dropout": 0.5},
            "dropout 0.5, rotate 30": {"dropout": 0.5, "rotate": 30.0},
            "dropout 0.5, image_size 192": {"dropout": 0.5, "image_size": 192},
        },
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help=f"ImageNet weights of timm's {peers.BACKBONE}")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of bccd, camvid and lsp")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--settings", nargs="+", default=[], metavar="NAME", help="of the rows, these alone")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    known = {USUAL, *(label for name in arguments.families for label in FAMILIES[name].rows)}
    if unknown := set(arguments.settings) - known:
        parser.error(f"--settings: no row is called {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    for name in arguments.families:
        family = FAMILIES[name]
        alike = {
            "data": family.data(arguments.data, arguments.out),
            "backbone_weights": arguments.weights,
            "minutes": arguments.minutes,
            "val_every": 0,
            "seed": arguments.seed,
        }
        for label in (USUAL, *family.rows):
            if arguments.settings and label not in arguments.settings:
                continue
            words = "_".join(label.replace(",", "").split())
            place = arguments.out / f"{name}-{words}-{arguments.minutes:g}min-seed{arguments.seed}"
            settings = {**settings_of(family.model, family.rows.get(label, {})), **alike, "out": place}
            row = measured(TrainingSettings(**settings), family.metrics)
            figures = " | ".join(f"{value:.3f}" for value in row["metrics"].values())
            print(f"| `{family.model}` {label} | {row['pictures']:,} | {figures} |", flush=True)


if __name__ == "__main__":
    main()

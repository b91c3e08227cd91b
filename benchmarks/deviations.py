"""What a deviation from a paper changes, by equal steps: the default here, and the paper's way or what comes near it.

    OMP_NUM_THREADS=1 python benchmarks/deviations.py --out FOLDER [--weights tf_efficientnet_lite0.safetensors]

Each pair of trainings differs in the settings of the deviation alone, sees the same pictures in the same order by one
seed, and is measured on the validation split. As they are compared by steps, other work beside them is of no account,
and two calls may share a machine. What needs ImageNet weights is left out without `--weights`. Results are kept in
`--out`; what is there is not done again, and a training that was cut goes on.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delineate.system.catalog import options
from delineate.training import TrainingSettings
from kept import measured
from transfer import DATA

SGD = {"optimizer": "sgd", "schedule": "constant", "clip_gradient": None, "ema": None, "precision": "fp32"}
SMALL = {"backbone": "resnet10t", "augment": "scale", "scale": (1.0, 1.0), "colour": 0.0, "batch_size": 4}
POSE = {"backbone": "resnet10t", "image_size": 128, "batch_size": 16}
YOLO = {"backbone": "resnet10t", "image_size": 160, "num_cells": 5}


@dataclass(frozen=True)
class Pair:
    """A system learns in two ways, named by what differs, and by `both` apart from that."""

    model: str
    data: str
    epochs: int
    metrics: tuple[str, ...]
    both: Mapping[str, Any]
    ways: Mapping[str, Mapping[str, Any]]
    weights: bool = False


AP, PCK = ("AP", "AP50"), ("PCK@0.2",)
NEAREST_TO_SGD = {"AdamW and a cosine": {}, "SGD, as near to the papers as there is": SGD}
PAIRS = {
    "sgd-ssd": Pair("ssd", "bccd", 12, AP, {**SMALL, "image_size": 160}, NEAREST_TO_SGD),
    "sgd-faster_rcnn": Pair(
        *("faster_rcnn", "bccd", 4, AP),
        {**SMALL, "width": 64, "num_rois": 64, "short_side": 240},
        NEAREST_TO_SGD,
    ),
    "windows": Pair(
        *("faster_rcnn", "bccd", 3, AP),
        {**SMALL, "width": 64, "num_rois": 64},
        {"windows of 480 x 512": {"crop_size": (480, 512)}, "whole pictures, as the paper": {}},
    ),
    "colours": Pair("yolov1", "bccd", 8, AP, YOLO, {"colour 0.3": {}, "colour 0.5, as the paper": {"colour": 0.5}}),
    "backbone_rate": Pair(
        *("detr_small", "bccd", 6, AP),
        {**SMALL, "backbone": "tf_efficientnet_lite0", "short_side": 240},
        {"backbone_rate 1": {}, "backbone_rate 0.1, as the paper": {"backbone_rate": 0.1}},
        weights=True,
    ),
    "stages": Pair(
        *("pose_regressor", "lsp", 6, PCK, POSE), {"three stages, as the paper": {}, "one stage": {"stages": 1}}
    ),
    "dropout": Pair(
        *("pose_regressor", "lsp", 6, PCK, POSE),
        {"dropout 0.5": {}, "dropout 0.6, as the paper": {"dropout": 0.6}, "no dropout": {"dropout": 0.0}},
    ),
    "l2": Pair(*("pose_regressor", "lsp", 6, PCK, POSE), {"smooth L1": {}, "L2, as the paper": {"joint_loss": "l2"}}),
}


def settings_for(pair: Pair, own: Mapping[str, Any], data: Path, weights: Path | None, place: Path) -> TrainingSettings:
    """Write the settings of one way of a pair."""
    given = {**pair.both, **own}
    arguments = {name: given.pop(name) for name in list(given) if name in options(pair.model)}
    if pair.weights:
        given["backbone_weights"] = weights
    alike = {"data": data / pair.data, "epochs": pair.epochs, "val_every": 0, "workers": 0, "out": place}
    return TrainingSettings(model=pair.model, arguments=arguments, **given, **alike)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="ImageNet weights of timm's tf_efficientnet_lite0")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of bccd and lsp")
    parser.add_argument("--only", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        pair = PAIRS[name]
        if pair.weights and arguments.weights is None:
            print(f"{name}: left out, as it needs --weights", flush=True)
            continue
        for number, (way, own) in enumerate(pair.ways.items()):
            settings = settings_for(pair, own, arguments.data, arguments.weights, arguments.out / f"{name}-{number}")
            row = measured(settings, pair.metrics)
            figures = ", ".join(f"{metric} {value:.3f}" for metric, value in row["metrics"].items())
            print(f"| `{pair.model}` {way} | {row['pictures']:,} | {figures} |", flush=True)


if __name__ == "__main__":
    main()

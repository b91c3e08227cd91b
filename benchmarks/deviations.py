"""What a deviation from a paper changes, by equal steps: the paper's way, and the one that is the default here.

    OMP_NUM_THREADS=1 python benchmarks/deviations.py --out FOLDER [--weights tf_efficientnet_lite0.safetensors]

Each pair of trainings differs in the settings of the deviation alone, sees the same pictures in the same order by one
seed, and is measured on the validation split. As they are compared by steps, other work beside them is of no account,
and two calls may share a machine. What needs ImageNet weights is left out without `--weights`. Results are kept in
`--out`, and what is there is not done again.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from delineate.evaluation import evaluate_run
from delineate.system.catalog import options
from delineate.training import TrainingSettings, train
from transfer import DATA

SGD = {"optimizer": "sgd", "schedule": "constant", "clip_gradient": None, "ema": None, "precision": "fp32"}
SMALL = {"backbone": "resnet10t", "augment": "scale", "scale": (1.0, 1.0), "colour": 0.0, "batch_size": 4}
POSE = {"backbone": "resnet10t", "image_size": 128, "batch_size": 16}
YOLO = {"backbone": "resnet10t", "image_size": 160, "num_cells": 5}


@dataclass(frozen=True)
class Pair:
    """A system learns in the paper's way and in ours, by `both` apart from that."""

    model: str
    data: str
    epochs: int
    metrics: tuple[str, ...]
    both: Mapping[str, Any]
    paper: Mapping[str, Any]
    ours: Mapping[str, Any] = field(default_factory=dict)
    weights: bool = False


AP, PCK = ("AP", "AP50"), ("PCK@0.2",)
PAIRS = {
    "sgd-ssd": Pair("ssd", "bccd", 12, AP, {**SMALL, "image_size": 160}, SGD),
    "sgd-faster_rcnn": Pair(
        *("faster_rcnn", "bccd", 4, AP), {**SMALL, "width": 64, "num_rois": 64, "short_side": 240}, SGD
    ),
    "windows": Pair(
        *("faster_rcnn", "bccd", 3, AP),
        {**SMALL, "width": 64, "num_rois": 64},
        {"crop_size": (480, 640)},
    ),
    "colours": Pair("yolov1", "bccd", 8, AP, YOLO, {"colour": 0.5}),
    "backbone_rate": Pair(
        *("detr_small", "bccd", 6, AP),
        {**SMALL, "backbone": "tf_efficientnet_lite0", "short_side": 240},
        {"backbone_rate": 0.1},
        weights=True,
    ),
    "stages": Pair("pose_regressor", "lsp", 6, PCK, POSE, {"stages": 1}),
    "dropout": Pair("pose_regressor", "lsp", 6, PCK, POSE, {"dropout": 0.6}),
    "no-dropout": Pair("pose_regressor", "lsp", 6, PCK, POSE, {"dropout": 0.0}),
    "l2": Pair("pose_regressor", "lsp", 6, PCK, POSE, {"joint_loss": "l2"}),
}


def measured(place: Path, pair: Pair, own: Mapping[str, Any], data: Path, weights: Path | None) -> dict[str, Any]:
    """Train by these settings and measure; what is kept is taken."""
    file = place.with_name(f"{place.name}.json")
    if file.exists():
        kept: dict[str, Any] = json.loads(file.read_text())
        return kept
    given = {**pair.both, **own}
    arguments = {name: given.pop(name) for name in list(given) if name in options(pair.model)}
    begin = {"backbone_weights": weights} if pair.weights else {}
    alike = {"data": data / pair.data, "epochs": pair.epochs, "val_every": 0, "workers": 0, "out": place}
    settings = TrainingSettings(model=pair.model, arguments=arguments, **given, **begin, **alike)
    run = train(settings, lighter=False)
    metrics = evaluate_run(run.folder, settings.data, "val").metrics
    row = {"pictures": run.pictures, **{metric: metrics[metric] for metric in pair.metrics}}
    file.write_text(json.dumps(row, indent=1))
    return row


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
        for way, own in (("paper", pair.paper), ("ours", pair.ours)):
            row = measured(arguments.out / f"{name}-{way}", pair, own, arguments.data, arguments.weights)
            figures = ", ".join(f"{metric} {row[metric]:.3f}" for metric in pair.metrics)
            print(f"| {name} | {pair.model} | {way}: {own} | {row['pictures']:,} | {figures} |", flush=True)


if __name__ == "__main__":
    main()

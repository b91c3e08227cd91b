"""Detectors on BCCD from scratch: ours and torchvision's, trained for the same time, test AP of both.

Ours are `delineate train faster_rcnn` (ResNet-18, FPN) and `delineate train ssd` (MobileNetV3). Their peers are
torchvision's fasterrcnn_mobilenet_v3_large_320_fpn and ssdlite320_mobilenet_v3_large, in the loop that its users write
(SGD, flips, batches of 8, a cosine schedule over the time), no pretrained weights. Both train on trainval, as the
validation split chooses nothing here, and are measured on the test split by COCO's AP.
`--entries` trains others of our systems for the same time, too; they have no peer.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn, ssdlite320_mobilenet_v3_large
from torchvision.ops import clip_boxes_to_image

from delineate.data import read_dataset
from delineate.evaluation import evaluate_run
from delineate.metrics import CocoEvaluation
from delineate.training import TrainingSettings, train
from delineate.values import Detections, Sample

BCCD = Path(__file__).resolve().parents[2] / "shared" / "data" / "bccd"

AS_THE_PEERS = {"scale": (1.0, 1.0), "colour": 0.0}
"""Flips alone, as the peers have."""

ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "faster_rcnn": (
        "faster_rcnn",
        {"arguments": {"num_rois": 64, "width": 128}, "short_side": 320, **AS_THE_PEERS},
    ),
    "fast_rcnn": (
        "fast_rcnn",
        {"arguments": {"num_rois": 64, "width": 128}, "short_side": 320, **AS_THE_PEERS},
    ),
    "rcnn": (
        "rcnn",
        {"arguments": {"num_rois": 16, "warp_size": 64, "max_proposals": 300}, "short_side": 320, **AS_THE_PEERS},
    ),
    "sliding_window_detector": (
        "sliding_window_detector",
        {"arguments": {"num_rois": 16, "warp_size": 32, "anchor_size": 40}, "short_side": 320, **AS_THE_PEERS},
    ),
    "yolov1": ("yolov1", {"arguments": {"num_cells": 13, "width": 128, "image_size": 416}, **AS_THE_PEERS}),
    "yolov2": ("yolov2", {"arguments": {}, "multi_scale": False, **AS_THE_PEERS}),
    "ssd": ("ssd", {"arguments": {"smallest_scale": 0.08}, "augment": "scale", **AS_THE_PEERS}),
    "detr": ("detr", {"arguments": {"backbone": "resnet18"}, "short_side": 320, **AS_THE_PEERS}),
    "detr_small": ("detr_small", {"arguments": {}, "short_side": 320, **AS_THE_PEERS}),
}

PEERS: dict[str, Callable[..., torch.nn.Module]] = {
    "faster_rcnn": fasterrcnn_mobilenet_v3_large_320_fpn,
    "ssd": ssdlite320_mobilenet_v3_large,
}


class Pictures(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """What a torchvision user's data set gives; half of the pictures are mirrored in training."""

    def __init__(self, root: Path, split: str, *, flip: bool) -> None:
        self.samples, self.flip = read_dataset(root, split), flip

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        sample = self.samples[index]
        image, boxes = sample.image / 255, sample.target.boxes.clone()
        if self.flip and torch.rand(()) < 0.5:
            image = image.flip(-1)
            boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
        return image, {"boxes": boxes, "labels": sample.target.labels + 1}


def train_peer(
    make: Callable[..., torch.nn.Module], root: Path, split: str, minutes: float, seed: int
) -> torch.nn.Module:
    torch.manual_seed(seed)
    data = Pictures(root, split, flip=True)
    loader = DataLoader(
        data, 8, shuffle=True, num_workers=1, drop_last=True, collate_fn=lambda batch: tuple(zip(*batch, strict=True))
    )
    num_classes = data.samples.categories.num_classes + 1
    model = make(weights=None, weights_backbone=None, num_classes=num_classes).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    begin, steps, progress = time.perf_counter(), 0, 0.0
    while progress < 1:
        for images, targets in loader:
            progress = (time.perf_counter() - begin) / (60 * minutes)
            if progress >= 1:
                break
            rate = 0.02 * 0.5 * (1 + math.cos(math.pi * progress)) * min(1.0, (steps + 1) / 50)
            optimizer.param_groups[0]["lr"] = rate
            loss = sum(model(list(images), list(targets)).values())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            steps += 1
    print(f"peer: {8 * steps} pictures", file=sys.stderr, flush=True)
    return model.eval()


@torch.inference_mode()
def evaluate_peer(model: torch.nn.Module, root: Path, split: str) -> dict[str, float]:
    evaluation = CocoEvaluation()
    samples = read_dataset(root, split)
    for number in range(len(samples)):
        sample: Sample = samples[number]
        (found,) = model([sample.image / 255])
        detections = Detections(
            image_size=sample.target.image_size,
            boxes=clip_boxes_to_image(found["boxes"], sample.target.image_size),
            labels=found["labels"] - 1,
            scores=found["scores"],
        )
        evaluation.add(detections, sample.target, number)
    return evaluation.metrics(samples.categories.class_names)


def train_ours(name: str, root: Path, split: str, minutes: float, seed: int) -> dict[str, Any]:
    model, options = ENTRIES[name]
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            TrainingSettings(
                model=model,
                data=root,
                train_split=split,
                val_split="val",
                val_every=0,  # the last weights are measured; a validation would choose among others
                minutes=minutes,
                seed=seed,
                out=Path(folder) / "run",
                **options,
            )
        )
        begin = time.perf_counter()
        found = evaluate_run(run.folder, root, "test")
        seconds = (time.perf_counter() - begin) / found.num_images
    return {"metrics": found.metrics, "pictures": run.pictures, "seconds a picture": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=BCCD)
    parser.add_argument("--split", default="trainval", help="the split to train on")
    parser.add_argument("--entries", nargs="+", default=["faster_rcnn"], choices=list(ENTRIES))
    parser.add_argument("--no-peer", action="store_true", help="leave torchvision's out")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.data / "ImageSets" / "Main").is_dir():
        raise SystemExit(f"{arguments.data}: no ImageSets/Main there; give BCCD's folder with --data")

    rows = []
    for name in arguments.entries:
        ours = train_ours(name, arguments.data, arguments.split, arguments.minutes, arguments.seed)
        rows.append({"name": name, **ours, "metrics": {key: ours["metrics"][key] for key in ("AP", "AP50")}})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        if name not in PEERS or arguments.no_peer:
            continue
        model = train_peer(PEERS[name], arguments.data, arguments.split, arguments.minutes, arguments.seed)
        peer = evaluate_peer(model, arguments.data, "test")
        for metric in ("AP", "AP50"):
            mine = ours["metrics"][metric]
            question = f"BCCD test {metric} after {arguments.minutes:g} minutes, {name}"
            rows.append({"name": question, "ours": mine, "peer": peer[metric], "ratio": mine / peer[metric]})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

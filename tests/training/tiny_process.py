"""Trains a tiny system, or goes on with its run, in a process of its own that can be killed.

python tiny_process.py SECONDS_BETWEEN_SAVES train SETTINGS_AS_JSON | resume RUN
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from delineate import catalog
from delineate.models.segmentation import Segmenter
from delineate.training import TrainingSettings, recorder, resume, train
from delineate.values import Target


class Slow(Segmenter):
    """Leaves time to stop it."""

    def loss(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        time.sleep(0.02)
        return super().loss(images, targets)


def tiny(*, num_classes: int) -> Segmenter:
    layers = (nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.2))
    return Slow(network=nn.Sequential(*layers, nn.Conv2d(8, num_classes, 1)), num_classes=num_classes)


def convolutions(*, num_classes: int) -> Segmenter:
    layers = (nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, num_classes, 1))
    return Segmenter(network=nn.Sequential(*layers), num_classes=num_classes)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for preset in (tiny, convolutions):
        catalog.CATALOG[preset.__name__] = catalog.System(preset, "segment", "", "")
    recorder.SAVE_EVERY = float(sys.argv[1])
    if sys.argv[2] == "train":
        train(TrainingSettings(**json.loads(sys.argv[3])))
    else:
        resume(Path(sys.argv[3]))

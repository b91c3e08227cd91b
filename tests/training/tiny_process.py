"""Trains a tiny system, or goes on with its run, in a process of its own that can be killed.

python tiny_process.py SECONDS_BETWEEN_SAVES train SETTINGS_AS_JSON | resume RUN [DEVICES]
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from delineate.models.contract import Inputs
from delineate.models.segmentation import Segmenter
from delineate.system.catalog import CATALOG, Entry
from delineate.system.tasks import SEGMENT
from delineate.training import TrainingSettings, recording, resume, train
from delineate.values import Truth


class Slow(Segmenter):
    """Leaves time to stop it."""

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        time.sleep(0.02)
        return super().loss(inputs, truths)


def tiny(*, num_classes: int) -> Segmenter:
    layers = (nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.2))
    return Slow(network=nn.Sequential(*layers, nn.Conv2d(8, num_classes, 1)), num_classes=num_classes)


def convolutions(*, num_classes: int) -> Segmenter:
    layers = (nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, num_classes, 1))
    return Segmenter(network=nn.Sequential(*layers), num_classes=num_classes)


def normed(*, num_classes: int) -> Segmenter:
    layers = (nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, num_classes, 1))
    return Segmenter(network=nn.Sequential(*layers), num_classes=num_classes)


def slow_convolutions(*, num_classes: int) -> Segmenter:
    return Slow(network=convolutions(num_classes=num_classes).network, num_classes=num_classes)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for preset in (tiny, convolutions, normed, slow_convolutions):
        CATALOG[preset.__name__] = Entry(preset, SEGMENT, "", "")
    recording.SAVE_EVERY = float(sys.argv[1])
    if sys.argv[2] == "train":
        train(TrainingSettings(**json.loads(sys.argv[3])))
    else:
        resume(Path(sys.argv[3]), **({"devices": int(sys.argv[4])} if len(sys.argv) > 4 else {}))

"""Weights at rest: checkpoints of our own systems, and published weights of other projects."""

from delineate.weights.checkpoint import (
    Checkpoint,
    check_new_run,
    find_checkpoint,
    load_checkpoint,
    read_facts,
    save_checkpoint,
    save_run,
)
from delineate.weights.darknet import import_darknet
from delineate.weights.torchvision import import_torchvision
from delineate.weights.transformers import import_transformers

__all__ = [
    "Checkpoint",
    "check_new_run",
    "find_checkpoint",
    "import_darknet",
    "import_torchvision",
    "import_transformers",
    "load_checkpoint",
    "read_facts",
    "save_checkpoint",
    "save_run",
]

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
from delineate.weights.torchvision import import_torchvision

__all__ = [
    "Checkpoint",
    "check_new_run",
    "find_checkpoint",
    "import_torchvision",
    "load_checkpoint",
    "read_facts",
    "save_checkpoint",
    "save_run",
]

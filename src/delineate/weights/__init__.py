"""Weights at rest: checkpoints of our own systems, and published weights of other projects."""

from delineate.weights.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from delineate.weights.torchvision import import_torchvision

__all__ = ["Checkpoint", "import_torchvision", "load_checkpoint", "save_checkpoint"]

"""Weights at rest: checkpoints of our own systems."""

from delineate.weights.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

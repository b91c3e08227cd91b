"""Training makes a run folder from settings."""

from delineate.training.runs import Run
from delineate.training.settings import TrainingSettings
from delineate.training.state import curves
from delineate.training.train import TrainingResult, resume, train

__all__ = ["Run", "TrainingResult", "TrainingSettings", "curves", "resume", "train"]

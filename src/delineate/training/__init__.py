"""Training: settings in, a run folder out; and the evaluation of what was trained."""

from delineate.evaluation.evaluate import Evaluation, evaluate, evaluate_run
from delineate.training.runs import Run
from delineate.training.settings import TrainingSettings
from delineate.training.state import curves
from delineate.training.train import TrainingResult, resume, train

__all__ = [
    "Evaluation",
    "Run",
    "TrainingResult",
    "TrainingSettings",
    "curves",
    "evaluate",
    "evaluate_run",
    "resume",
    "train",
]

"""Systems and proposals are measured on gathered pictures, and reported."""

from delineate.evaluation.data import EvaluationData, Source, evaluation_data, own_source, source_of
from delineate.evaluation.evaluate import Evaluation, evaluate, evaluate_run, summarise, tally

__all__ = [
    "Evaluation",
    "EvaluationData",
    "Source",
    "evaluate",
    "evaluate_run",
    "evaluation_data",
    "own_source",
    "source_of",
    "summarise",
    "tally",
]

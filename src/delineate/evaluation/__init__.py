"""Systems and proposals are measured on gathered pictures, and reported."""

from delineate.evaluation.evaluate import Evaluation, Watch, evaluate, evaluate_run, evaluation_data, summarise, tally

__all__ = ["Evaluation", "Watch", "evaluate", "evaluate_run", "evaluation_data", "summarise", "tally"]

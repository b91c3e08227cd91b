"""How good a system is: pictures gathered and measured, reports, and the quality of proposals."""

from delineate.evaluation.evaluate import (
    Evaluation,
    Watch,
    evaluate,
    evaluate_run,
    evaluation_data,
    summarise,
    tally,
)

__all__ = ["Evaluation", "Watch", "evaluate", "evaluate_run", "evaluation_data", "summarise", "tally"]

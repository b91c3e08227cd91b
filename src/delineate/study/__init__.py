"""A study asks which system serves these pictures; an explanation, what a system did with one of them."""

from delineate.study.compare import compare, load_results
from delineate.study.given import name_given
from delineate.study.grid import Entry, grid
from delineate.study.measuring import Latency
from delineate.study.page import write_study
from delineate.study.plan import Study
from delineate.study.results import Result, pareto_front, recommendations

__all__ = [
    "Entry",
    "Latency",
    "Result",
    "Study",
    "compare",
    "grid",
    "load_results",
    "name_given",
    "pareto_front",
    "recommendations",
    "write_study",
]

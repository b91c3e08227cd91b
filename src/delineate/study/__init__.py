"""Questions asked of several runs or of one: which system serves these pictures, and what did it do with this one."""

from delineate.study.compare import Study, compare, load_results
from delineate.study.grid import Entry, grid
from delineate.study.measuring import Latency, Measurement, measure
from delineate.study.page import write_study
from delineate.study.results import Result, pareto_front, recommendations

__all__ = [
    "Entry",
    "Latency",
    "Measurement",
    "Result",
    "Study",
    "compare",
    "grid",
    "load_results",
    "measure",
    "pareto_front",
    "recommendations",
    "write_study",
]

"""Values that cross rooms, validated when they are made."""

from delineate.values.categories import Categories
from delineate.values.checks import IGNORE
from delineate.values.errors import InputError
from delineate.values.listing import listed
from delineate.values.predictions import Detections, LabelMap, Prediction, on_cpu
from delineate.values.sample import Sample
from delineate.values.target import Target
from delineate.values.task import Content, Tally, Task
from delineate.values.thresholds import Thresholds
from delineate.values.truth import Truth, truths_of

__all__ = [
    "IGNORE",
    "Categories",
    "Content",
    "Detections",
    "InputError",
    "LabelMap",
    "Prediction",
    "Sample",
    "Tally",
    "Target",
    "Task",
    "Thresholds",
    "Truth",
    "listed",
    "on_cpu",
    "truths_of",
]

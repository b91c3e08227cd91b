"""Values that cross rooms, validated when they are made."""

from delineate.structures.categories import Categories
from delineate.structures.checks import IGNORE
from delineate.structures.errors import InputError
from delineate.structures.predictions import Detections, LabelMap, Prediction, Proposals, on_cpu
from delineate.structures.preprocess import Preprocess
from delineate.structures.sample import Sample
from delineate.structures.target import Target

__all__ = [
    "IGNORE",
    "Categories",
    "Detections",
    "InputError",
    "LabelMap",
    "Prediction",
    "Preprocess",
    "Proposals",
    "Sample",
    "Target",
    "on_cpu",
]

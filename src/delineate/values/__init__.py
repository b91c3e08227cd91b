"""Values that cross rooms, validated when they are made."""

import importlib
from typing import TYPE_CHECKING, Any

from delineate.values.errors import InputError
from delineate.values.listing import counted, listed
from delineate.values.naming import nearest

if TYPE_CHECKING:
    from delineate.values.categories import Categories, is_left
    from delineate.values.checks import IGNORE
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
    "counted",
    "is_left",
    "listed",
    "nearest",
    "on_cpu",
    "truths_of",
]

_FILES = ("categories", "checks", "predictions", "sample", "target", "task", "thresholds", "truth")


def __getattr__(name: str) -> Any:
    """Import the values of tensors when the first is asked for, so that a mistake is answered without torch."""
    if name in __all__:
        for file in _FILES:
            module = importlib.import_module(f"delineate.values.{file}")
            globals().update({key: value for key, value in vars(module).items() if key in __all__})
        return globals()[name]
    raise AttributeError(f"module 'delineate.values' has no attribute '{name}'")

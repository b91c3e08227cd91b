"""delineate: every landmark system for finding things in pictures, trainable, checked and comparable.

from delineate import Predictor, TrainingSettings, train

run = train(TrainingSettings(model="unet", data="DATA", minutes=20))
predictor = Predictor.load(run.folder)
for file, image, prediction in predictor.predict("photos"):
    print(file, prediction.shares(len(predictor.categories.label_map_names)))
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from delineate.data import Synthetic, convert, read_dataset, synthesise
    from delineate.deploy import Predictor, prediction_record
    from delineate.evaluation import evaluate_run
    from delineate.system import System
    from delineate.training import TrainingSettings, resume, train
    from delineate.values import InputError

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Predictor",
    "Synthetic",
    "System",
    "TrainingSettings",
    "__version__",
    "convert",
    "evaluate_run",
    "prediction_record",
    "read_dataset",
    "resume",
    "synthesise",
    "train",
]

_ROOMS = {
    "data": ("Synthetic", "convert", "read_dataset", "synthesise"),
    "deploy": ("Predictor", "prediction_record"),
    "values": ("InputError",),
    "evaluation": ("evaluate_run",),
    "system": ("System",),
    "training": ("TrainingSettings", "resume", "train"),
}


def __getattr__(name: str) -> Any:
    """Import a room when its first name is asked for, so that `delineate --help` need not wait for torch."""
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(f"delineate.{room}"), name)
    raise AttributeError(f"module 'delineate' has no attribute '{name}'")

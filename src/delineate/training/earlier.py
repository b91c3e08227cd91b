"""A run may begin with what an earlier one learned, and goes on as that one was trained."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from delineate.io.runs import find_checkpoint
from delineate.models.contract import AnyModel
from delineate.models.naming import Kind, Naming, carried, named_parameters
from delineate.system.catalog import find_entry, options
from delineate.system.checkpoint import read_facts
from delineate.system.system import System
from delineate.training.runs import Run
from delineate.training.settings import TrainingSettings
from delineate.training.unused import refuse_unused
from delineate.values import Categories, InputError, listed

PANELS = ("Optimisation", "Augmentation")
"""Settings of these say how a run is trained."""
SIZES = ("short_side", "long_side", "crop_size")
RATES = ("learning_rate", "weight_decay")
PLURAL: dict[Kind, str] = {"class": "classes", "keypoint": "keypoints"}


def as_asked(settings: TrainingSettings) -> tuple[TrainingSettings, list[str]]:
    """Complete the settings by those of the run begun with and by the system's own options.

    A line says what was taken. Raises `InputError` for what is given and has no effect.
    """
    unsaid = TrainingSettings(model=settings.model, data=settings.data, weights=settings.weights)
    (asked, notes), (otherwise, _) = as_earlier(settings), as_earlier(unsaid)
    refuse_unused(asked, otherwise)
    return asked, notes


def as_earlier(settings: TrainingSettings) -> tuple[TrainingSettings, list[str]]:
    """Take options, sizes and the way of training from the run begun with, where the settings say nothing themselves.

    Weights that were imported know their options and sizes alone.
    """
    arguments = {name: parameter.default for name, parameter in options(settings.model).items()}
    taken: dict[str, Any] = {}
    if settings.weights is not None:
        file = find_checkpoint(settings.weights)
        earlier = read_facts(file)
        if earlier.system == settings.model:  # whether any weight fits is checked where they are put in
            arguments |= earlier.arguments
            taken = {name: getattr(earlier.preprocess, name) for name in ("short_side", "long_side")}
            taken |= _trained(Run(file.parent), settings)
    if {"short_side", "long_side"} & settings.model_fields_set:
        taken = {name: value for name, value in taken.items() if name not in SIZES}
    changes = {name: value for name, value in taken.items() if name not in settings.model_fields_set}
    differing = [f"{name} {value}" for name, value in changes.items() if value != getattr(settings, name)]
    notes = [f"as {settings.weights} was trained, where nothing else is given: {', '.join(differing)}"]
    changes["arguments"] = {**arguments, **settings.arguments}
    return settings.model_copy(update=changes), notes if differing else []


def _trained(run: Run, settings: TrainingSettings) -> dict[str, Any]:
    """Say how a run was trained; without its rates, which are those of its optimizer, where another one is given."""
    if not run.settings_file.exists():
        return {}
    earlier = run.settings()
    fields: Any = TrainingSettings.model_fields
    names = [name for name in fields if fields[name].json_schema_extra["panel"] in PANELS]
    if "optimizer" in settings.model_fields_set and settings.optimizer != earlier.optimizer:
        names = [name for name in names if name not in RATES]
    return {name: getattr(earlier, name) for name in names}


def begin_with(
    model: AnyModel, name: str, categories: Categories, earlier: System, source: str
) -> tuple[set[str], list[str]]:
    """Put what fits of an earlier system's weights into the model of that name; tell which, and say it in lines.

    Heads go by the names of classes and keypoints. Raises `InputError` when nothing fits.
    """
    # gradients go on from what they learned, not from what was fitted to it afterwards
    learned = earlier.model.learned(earlier.model.state_dict())
    naming, before = _naming(model, name, categories), _naming(earlier.model, earlier.name, earlier.categories)
    fits = carried(model.state_dict(), naming, learned, before)
    if not fits:
        raise InputError(f"weights: {source} is a {earlier.name}, no weight of which fits; name a run of this system")
    model.load_state_dict(fits, strict=False)
    anew = sorted({key.rpartition(".")[0] for key, _ in model.named_parameters() if key not in fits})
    line = f"weights: those of {source}" + (f", but for {', '.join(anew)}, which begin anew" if anew else "")
    return set(fits), [line, *_by_name(learned, naming, before)]


def _naming(model: AnyModel, name: str, categories: Categories) -> Naming:
    return Naming(
        named_parameters(model, model.named_layers()),
        {"class": getattr(categories, find_entry(name).task.labels), "keypoint": categories.keypoint_names},
    )


def _by_name(learned: Mapping[str, Tensor], naming: Naming, before: Naming) -> Iterator[str]:
    """Say which classes and which keypoints go on, which begin anew, and which are left out."""
    for kind in dict.fromkeys(named.of for key, named in naming.parameters.items() if key in learned):
        names, earlier = naming.names[kind], before.names[kind]
        parts = {
            "carried over by name": [name for name in names if name in earlier] or ["none"],
            "begun anew": [name for name in names if name not in earlier],
            "left out": [name for name in earlier if name not in names],
        }
        said = [f"{how}: {listed(which)}" for how, which in parts.items() if which]
        yield f"{PLURAL[kind]} {'; '.join(said)}"

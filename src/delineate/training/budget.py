"""A budget says how often each picture is seen; where that is too seldom, a system trains in its lighter form."""

from collections.abc import Set
from typing import Any

from delineate.data.dataset import Dataset
from delineate.system.catalog import light_form
from delineate.training.pace import pictures_a_second
from delineate.training.settings import TrainingSettings

OFTEN, STEPS = 20, 500
"""A system as its paper has it wants to see each picture so many times, at least, and to make so many steps."""
HURRIED = 5000
"""The rate of a lighter form is for so few steps, at most; beyond them it is the paper's."""
SELDOM = 10
"""From scratch, systems that have seen each picture fewer times find next to nothing (docs/results.md)."""
SIZES = {"short_side", "long_side", "crop_size"}
AUGMENTATION = {"augment", "scale", "colour"}


def within_budget(settings: TrainingSettings, given: Set[str], train: Dataset) -> tuple[TrainingSettings, list[str]]:
    """Take the lighter form of the system where the minutes are too few for it as it is; a line says so.

    What is `given` stays as it is. How fast either learns on this machine is measured: the lighter one may be slower,
    by what is given, and is not taken then.
    """
    light = lighter(settings, given)
    if settings.minutes is None or settings.weights is not None or light == settings:
        return settings, []
    times = _times(settings, train)
    steps = _steps(settings, times, train)
    if (times >= OFTEN and steps >= STEPS) or (more := _times(light, train)) <= times:
        return settings, []
    if _steps(light, more, train) > HURRIED:
        light = light.model_copy(update={"learning_rate": settings.learning_rate})
    seen = "too seldom" if times < OFTEN else f"in about {steps:.0f} steps, too few"
    changes = ", ".join(f"{name} {_plain(value)}" for name, value in _differences(settings, light).items())
    return light, [
        f"{settings.minutes:g} min would show each picture about {_often(times)}, {seen} for "
        f"{settings.model} as it is: it trains with {changes}, and shows each {_often(more)}; what "
        "is given stays"
    ]


def lighter(settings: TrainingSettings, given: Set[str]) -> TrainingSettings:
    """Take what the catalog has of a lighter form, but for what is given and what goes with it."""
    stays = set(given)
    if settings.pretrained != "none" or settings.backbone_weights:
        stays.add("backbone")
    for together in (SIZES, AUGMENTATION):
        stays |= together if together & given else set()
    own, light = ({name: form[name] for name in form if name not in stays} for form in light_form(settings.model))
    return settings.model_copy(update={**light, "arguments": {**settings.arguments, **own}})


def seldom(settings: TrainingSettings, pictures: int, num_pictures: int) -> list[str]:
    """Say where a run saw pictures, but so seldom that more was to be had, and what would help."""
    times = pictures / num_pictures
    if times >= SELDOM or not pictures:
        return []
    begun = settings.weights or settings.backbone_weights or settings.pretrained != "none"
    least = "" if begun else f", where about {SELDOM} are the least from scratch"
    weights = "" if begun else "weights to begin with (--weights, --backbone-weights, --pretrained), "
    helps = f"more --minutes or --epochs, {weights}smaller pictures"
    return [f"each picture was seen {_often(times)}{least}; what helps: {helps}"]


def _often(times: float) -> str:
    return "once" if f"{times:.2g}" == "1" else f"{times:.2g} times"


def _times(settings: TrainingSettings, train: Dataset) -> float:
    """Estimate how often each picture will be seen."""
    assert settings.minutes is not None
    return pictures_a_second(settings, train) * 60 * settings.minutes / len(train)


def _steps(settings: TrainingSettings, times: float, train: Dataset) -> float:
    """Estimate how many steps will be made where each picture is seen so many times."""
    return times * len(train) / (settings.batch_size * settings.accumulate)


def _differences(settings: TrainingSettings, light: TrainingSettings) -> dict[str, Any]:
    before = {**settings.model_dump(exclude={"arguments"}), **settings.arguments}
    after = {**light.model_dump(exclude={"arguments"}), **light.arguments}
    return {name: value for name, value in after.items() if value != before[name]}


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)

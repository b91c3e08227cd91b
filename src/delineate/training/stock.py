"""Before the first step stock is taken of what can be learned, and of what can be measured."""

from delineate.data.census import Census, check_census
from delineate.data.counting import take_census
from delineate.data.dataset import Dataset
from delineate.data.formats import find_split
from delineate.data.preprocess import Preprocess
from delineate.models.contract import AnyModel
from delineate.training.settings import TrainingSettings
from delineate.values import Categories, InputError, Task, Thresholds, counted, listed

STEP = 100
"""The largest number of detections is a multiple of this, where it follows from the data."""


def take_stock(
    settings: TrainingSettings, task: Task, train: Dataset, val: Dataset, preprocess: Preprocess, notes: list[str]
) -> tuple[Census, Census]:
    """Count what is in both parts, and add the lines that say so to `notes`.

    Raises `InputError` where nothing can be learned; where nothing can be measured, `notes` say it.
    """
    held_out = find_split(settings.data, settings.val_split, settings.format) is None
    val_split = "held out" if held_out else settings.val_split
    resized = None if task.crops else preprocess  # crops of bodies are resized, not whole pictures
    learned = take_census(train, resized, skip_unreadable=settings.skip_unreadable)
    measured = take_census(val, resized)
    source = f"{settings.data}: split '{settings.train_split}'"
    check_census(learned, train, source, "learn")
    notes += [learned.line(settings.train_split), *learned.remarks(settings.train_split)]
    if len(val):
        notes.append(measured.line(val_split))
    if settings.flip and "keypoints" in task.needs:
        notes.append(mirrored(train.categories))
    reason = measured.lacks("measure")
    if reason:
        notes.append(f"{val_split}: nothing to measure: {reason}; training goes on unmeasured, and best is the last")
    return learned, measured


def mirrored(categories: Categories) -> str:
    """Say which keypoints change places in a mirrored picture: wrong ones would be learned without a word."""
    names, order = categories.keypoint_names, categories.flip_order
    pairs = [f"{names[row]} and {names[other]}" for row, other in enumerate(order) if row < other]
    alone = len(names) - 2 * len(pairs)
    if not pairs:
        return f"mirrored pictures exchange none of {counted(alone, 'keypoint')}: if some are left and right, --flip 0"
    kept = f", and not {counted(alone, 'other keypoint')}" if alone else ""
    return f"mirrored pictures exchange {listed(pairs, len(pairs))}{kept}"


def thresholds_for(settings: TrainingSettings, model: AnyModel, most: int, notes: list[str]) -> Thresholds | None:
    """Let as many detections come out as the settings say, or as the fullest picture needs that has `most` objects.

    Raises `InputError` for a number where the system has nothing to choose.
    """
    thresholds, asked = model.reader.thresholds, settings.max_detections
    if thresholds is None:
        if asked is not None:
            raise InputError(f"max_detections: {settings.model} does not choose among detections; leave it out")
        return None
    if asked is not None and model.most_objects is not None and asked > model.most_objects:
        raise InputError(f"max_detections: {settings.model} finds {model.most_objects} at most; give no more")
    needed = -(-most // STEP) * STEP
    if model.most_objects is not None:
        needed = min(needed, model.most_objects)
    chosen = thresholds.holding(needed) if asked is None else thresholds.holding(asked).changed(max_detections=asked)
    holds = min(chosen.max_detections, model.most_objects or chosen.max_detections)
    fullest = f"the fullest picture has {counted(most, 'object')}"
    if most > holds:
        notes.append(f"{fullest}, of which {settings.model} finds {holds} at most")
    elif chosen.max_detections > thresholds.max_detections:
        notes.append(f"{fullest}: at most {chosen.max_detections} are looked for in one")
    return chosen

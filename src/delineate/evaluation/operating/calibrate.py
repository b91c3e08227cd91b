"""A run's scores are calibrated on pictures that it was not trained on, and the result kept beside its weights."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType

import numpy as np

from delineate.artefact import is_export, load_system
from delineate.data.splits import Watch
from delineate.evaluation.data import Source, evaluation_data
from delineate.evaluation.evaluate import Evaluation, Find, evaluate
from delineate.evaluation.operating.aims import Aim
from delineate.evaluation.operating.points import choose, judged
from delineate.evaluation.operating.reliability import ENOUGH, calibration_error, reliability, shares_by_others
from delineate.io.runs import RECORD, find_checkpoint
from delineate.metrics.matching import count_objects
from delineate.models.contract import Say
from delineate.system.operating import FoundBy, OperatingPoints, write_points
from delineate.system.system import System
from delineate.values import InputError, Thresholds, listed

NONE: FoundBy = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibrated:
    """A system's operating points were found by this evaluation, and written to a file."""

    points: OperatingPoints
    evaluation: Evaluation
    file: Path


def calibrate_run(
    run: Path,
    source: Source,
    aim: Aim,
    *,
    found_by: FoundBy = NONE,
    find: Callable[[System], Find] | None = None,
    skip_unreadable: bool = False,
    device: str = "auto",
    num_workers: int = 1,
    say: Say = lambda _: None,
    watch: Watch = iter,
) -> Calibrated:
    """Choose from which score on objects of each class are taken, and write it beside the weights of a run or export.

    What `predict` and others then take by default is `System.operating_points`. Objects are found `found_by` limits of
    `System.with_thresholds`, and options of `find`, which makes what finds them in place of the system, as tiles do;
    both are kept with the points.

    Raises `InputError` for a system without scores, before anything is measured, and where nothing can be measured.
    """
    system = load_system(run, device=device)
    check_scores(system)
    limits = {field.name for field in fields(Thresholds)}
    found_by = system.unlike(found_by)
    system = system.with_thresholds(**{name: value for name, value in found_by.items() if name in limits})
    finder = None if find is None else find(system)
    found = evaluation_data(system, source, skip_unreadable=skip_unreadable, say=say)
    evaluation = evaluate(system, found.dataset, num_workers=num_workers, watch=watch, find=finder)
    points = calibrate(evaluation, aim, f"{source.data}, {source.part}", found.trained_on, say)
    points = points.model_copy(update={"found_by": dict(found_by)})
    file = write_points(points, run / RECORD if is_export(run) else find_checkpoint(run))
    return Calibrated(points=points, evaluation=evaluation, file=file)


def check_scores(system: System) -> None:
    """Raise `InputError` where there is nothing to choose, as in systems that find one thing a picture."""
    if not system.task.finds_many:
        raise InputError(f"calibrate: {system.name} finds {system.task.finds}, without scores; name a detector's run")


def calibrate(
    evaluation: Evaluation, aim: Aim, data: str, trained_on: int = 0, say: Say = lambda _: None
) -> OperatingPoints:
    """Make operating points of what was measured; what is guessed, or not reached, is said in lines.

    Raises `InputError` where no object counts, and where nothing was detected.
    """
    objects = evaluation.objects
    assert objects is not None
    names = evaluation.names[:-1]
    count_objects(objects.targets, len(names))
    every = judged(objects.detections, objects.targets, len(names))
    if not len(every.scores):
        raise InputError(f"calibrate: nothing was detected on {data}, so that there is no score; train for longer")
    together = every.of(None)
    pooled = choose(together, aim)
    present = every.objects.sum(0) > 0
    classes = {
        name: choose(every.of(label), aim) if present[label] else pooled.model_copy(update={"num_objects": 0})
        for label, name in enumerate(names)
    }
    enough = [bool(count >= ENOUGH) for count in np.bincount(every.labels, minlength=len(names))]
    missing = [name for name, point in classes.items() if not point.num_objects]
    unreached = [name for name, point in classes.items() if point.num_objects and not point.reached]
    few = [name for name, known in zip(names, enough, strict=True) if not known]
    for concerned, line in (
        (missing, "no object here, so that the score of all classes together is taken"),
        (unreached, f"{aim} is not reached, so that what comes closest is taken, or nothing where none is right"),
        (few, f"fewer than {ENOUGH} detections, so that scores mean what they mean of all classes together"),
    ):
        if concerned:
            say(f"{len(concerned)} of {len(names)} classes ({listed(concerned)}): {line}")
    return OperatingPoints(
        aim=str(aim),
        data=data,
        num_pictures=evaluation.num_images,
        trained_on=trained_on,
        classes=classes,
        all_classes=pooled,
        reliability={name: reliability(every.of(label)) for label, name in enumerate(names) if enough[label]},
        reliability_of_all=reliability(together),
        error=calibration_error(every.scores, every.right),
        calibrated_error=calibration_error(shares_by_others(every, enough), every.right),
    )

"""Beside a system's weights stands from which score on objects of each class are taken, and what scores mean.

operating_points.json    `OperatingPoints`, in the folder of a run or of an export; `delineate calibrate` writes it
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from delineate.io.files import written_beside
from delineate.system.checkpoint import first_problem, versions
from delineate.values import Categories, Detections, InputError

FoundBy = Mapping[str, bool | int | float]
"""Options by which objects are found where it is not the system's own way."""

FILE = "operating_points.json"
VERSION = 1


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Facts):
    """A value was measured on some pictures; on as many others it would be from `low` to `high`, 19 times in 20."""

    value: float
    low: float
    high: float


class Curve(_Facts):
    """From each of the `scores` on, descending, so much is right, and found; each with its range, as `Estimate`."""

    scores: tuple[float, ...]
    precision: tuple[Estimate, ...]
    recall: tuple[Estimate, ...]


class ClassPoint(_Facts):
    """Objects of a class are taken from `score` on; it is that of all classes where the class had no objects.

    `curve` is what could have been chosen. `reached` is false where the aim could not be met.
    """

    score: Estimate
    precision: Estimate
    recall: Estimate
    f1: Estimate
    num_objects: int
    reached: bool
    curve: Curve


class Reliability(_Facts):
    """Of the detections of a score so many are right: the share between the `scores`, ascending, is interpolated.

    `bins` are what was counted: mean score, share that is right, and number of detections.
    """

    scores: tuple[float, ...]
    shares: tuple[float, ...]
    bins: tuple[tuple[float, float, int], ...]


class OperatingPoints(_Facts):
    """A system's scores were calibrated on `num_pictures` pictures, of which it was `trained_on` some.

    `aim` is what the points of the `classes` were chosen for. `reliability` is that of a class with detections enough,
    or else of `all_classes`; `error` is how far a score is from the share that is right, on average, and
    `calibrated_error` the same after scores were replaced by shares, by curves of other pictures. `found_by` are the
    options by which objects were found where it was not the system's own way, such as `nms_iou` or `tile`. `weights` is
    the `fingerprint` of the file that was calibrated.
    """

    version: int = Field(VERSION, ge=1, le=VERSION)
    aim: str
    data: str
    num_pictures: int
    trained_on: int
    classes: dict[str, ClassPoint]
    all_classes: ClassPoint
    reliability: dict[str, Reliability]
    reliability_of_all: Reliability
    error: float
    calibrated_error: float
    found_by: dict[str, bool | int | float] = Field(default_factory=dict)
    weights: str = ""
    versions: dict[str, str] = Field(default_factory=versions)

    def least(self, categories: Categories) -> Float[Tensor, " c"]:
        """Give the score of each class from which on its objects are taken."""
        return torch.tensor([self.classes[name].score.value for name in categories.class_names], dtype=torch.float32)

    def meant(self, detections: Detections, categories: Categories) -> Detections:
        """Replace scores by the share of detections of such a score that are right; rows are sorted anew."""
        shares = np.zeros(len(detections), np.float32)
        labels, scores = detections.labels.cpu().numpy(), detections.scores.cpu().numpy()
        for label in np.unique(labels):
            curve = self.reliability.get(categories.class_names[label], self.reliability_of_all)
            rows = labels == label
            shares[rows] = np.interp(scores[rows], curve.scores, curve.shares)
        return detections.scored(torch.from_numpy(shares).to(detections.scores.device))

    @property
    def line(self) -> str:
        """Say in a line from which scores on objects are taken, and why."""
        ordered = sorted((point.score.value, name) for name, point in self.classes.items())
        (low, first), (high, last) = ordered[0], ordered[-1]
        span = f"{low:.2f} ({first}) to {high:.2f} ({last})" if len(ordered) > 1 else f"{low:.2f}"
        known = f", {self.trained_on} of them trained on" if self.trained_on else ""
        return f"objects are taken from scores of {span} on, calibrated for {self.aim} on {self.data}{known}"

    def otherwise(self, found_by: FoundBy) -> str | None:
        """Say that objects are found by other options than those that were calibrated; `None` where they are not."""
        if self.found_by == found_by:
            return None
        return (
            f"these scores were calibrated on objects found {self.way}, and objects are found {_way(found_by)}: "
            "`delineate calibrate` takes the same options"
        )

    @property
    def way(self) -> str:
        """Say how the objects were found."""
        return _way(self.found_by)


def _way(found_by: FoundBy) -> str:
    said = [f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}") for name, value in found_by.items()]
    return f"with {' '.join(said)}" if said else "as the run finds them by itself"


def fingerprint(file: Path) -> str:
    """Compute the SHA-256 of a file of weights, or of an export's record, which has those of its graph."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def points_file(file: Path) -> Path:
    """Say where the operating points of weights, or of the export of a record, are."""
    return file.with_name(FILE)


def read_points(file: Path) -> OperatingPoints | None:
    """Read the operating points of weights, or of an export's record; `None` where there are none, or of other weights.

    Raises `InputError` naming the file where it is not what `write_points` wrote.
    """
    path = points_file(file)
    if not path.is_file():
        return None
    try:
        points = OperatingPoints(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        mend = "remove it, or run `delineate calibrate` again"
        raise InputError(f"{path}: no operating points: {first_problem(error)}; {mend}") from error
    return points if points.weights == fingerprint(file) else None


def write_points(points: OperatingPoints, file: Path) -> Path:
    """Write operating points beside the weights, or the export's record, that they are of; gives the path written."""
    owned = points.model_copy(update={"weights": fingerprint(file)})
    with written_beside(points_file(file)) as beside:
        beside.write_text(owned.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return points_file(file)

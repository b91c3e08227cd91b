"""An evaluation is reported: `val --report` and `demo` write the same report."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.splits import spread
from delineate.evaluation.evaluate import Evaluation
from delineate.io.machine import machine
from delineate.metrics import by_content, error_breakdown, main_metrics, precision_recall, worst_pictures
from delineate.metrics.detection import LIKELY
from delineate.system.system import System
from delineate.values import Prediction
from delineate.viz import Report, beside_truth, comparison_grid

NUM_SHOWN, NUM_WORST = 8, 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A system was measured on a data set, with this evaluation."""

    system: System
    dataset: Dataset
    evaluation: Evaluation

    def prediction(self, index: int) -> Prediction:
        """Predict a picture; of many objects, take the measured ones that are likely."""
        if self.evaluation.objects is None:
            (prediction,) = self.system.infer([self.dataset[index].image])
            return prediction
        return self.evaluation.objects.detections[index].above(LIKELY)

    def row(self, index: int) -> list[Tensor]:
        """Draw picture, truth and prediction."""
        sample = self.dataset[index]
        return beside_truth(sample.image, sample.target, self.prediction(index), self.dataset.categories)

    def rows(self) -> dict[str, list[Tensor]]:
        """Draw the rows of pictures at equal distances, by their files."""
        return {str(self.dataset.files[index]): self.row(index) for index in spread(len(self.dataset), NUM_SHOWN)}


def run_report(
    measured: Measured, *, file: Path, data: str, command: str, history: Sequence[Mapping[str, float]] = ()
) -> Report:
    """Report the system in `file` on `data`; `command` is what measured it, `history` that of the training."""
    system, evaluation = measured.system, measured.evaluation
    return Report(
        title=f"{system.name} on {data}",
        facts={
            "system": system_fact(system.name, system.arguments),
            "weights": str(file),
            "data": data,
            "measured on": f"{evaluation.pictures}; {evaluation.protocol}",
            **machine_facts(),
        },
        command=command,
        history=history,
        **report_parts(measured, measured.rows()),
    )


def report_parts(measured: Measured, rows: Mapping[str, Sequence[Tensor]]) -> dict[str, Any]:
    """Make the parts of a `Report` that an evaluation gives, with these pictures."""
    evaluation = measured.evaluation
    return {
        "headline": main_metrics(evaluation.metrics),
        "measures": by_content(evaluation.metrics) if evaluation.objects else {},
        "per_class": evaluation.per_class,
        "confusion": evaluation.confusion,
        "confusion_names": evaluation.names,
        "pictures": [
            ("Pictures of this split", comparison_grid(list(rows.values()), categories=measured.dataset.categories))
        ],
        **_detection_parts(measured),
    }


def _detection_parts(measured: Measured) -> dict[str, Any]:
    objects = measured.evaluation.objects
    if objects is None:
        return {}
    detections, targets, names = objects.detections, objects.targets, measured.dataset.categories.class_names
    breakdown = error_breakdown(detections, targets, len(names))
    curves = precision_recall(detections, targets, names)
    return {
        "precision_recall": {name: curve.precision for name, curve in curves.items()},
        "errors": breakdown.gains,
        "error_counts": breakdown.counts,
        "detection_note": f"Of boxes that overlap an object by an IoU of 0.50. In pictures, mistakes and the confusion "
        f"matrix a detection counts from a score of {LIKELY:.2f} on.",
        "worst_pictures": [
            (
                f"{Path(measured.dataset.files[picture.index]).name}: {picture.num_missed} missed, "
                f"{picture.num_false} wrong",
                comparison_grid([measured.row(picture.index)]),
            )
            for picture in worst_pictures(detections, targets)[:NUM_WORST]
        ],
    }


def machine_facts() -> dict[str, str]:
    """Say where and with what it was run."""
    return {
        "machine": f"{machine('auto')}, Python {platform.python_version()}",
        "delineate": f"{version('delineate')}, {datetime.now():%Y-%m-%d}",
    }


def system_fact(system: str, arguments: Mapping[str, Any]) -> str:
    """Write a system and its options in a line."""
    return system + "".join(f", {name} {value}" for name, value in arguments.items())

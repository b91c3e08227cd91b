"""What an evaluation says, as a report: `val --report` and `demo` write the same one."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from delineate.data import Dataset
    from delineate.deploy import Predictor
    from delineate.training import Evaluation
    from delineate.values import Prediction
    from delineate.viz import Report

NUM_SHOWN, NUM_WORST = 8, 4
SHAPES = {"mask": "masks", "keypoint": "keypoints"}
"""What the beginning of a metric's name says that it is of; without one it is of boxes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """An evaluation with the data set it was measured on, and the system where it has to predict once more."""

    evaluation: "Evaluation"
    dataset: "Dataset"
    predictor: "Predictor"

    def prediction(self, index: int) -> "Prediction":
        """What is said of a picture: of objects those that were measured, if they are likely."""
        from delineate.metrics.detection import LIKELY

        if self.evaluation.objects is None:
            (prediction,) = self.predictor([self.dataset[index].image])
            return prediction
        return self.evaluation.objects.detections[index].above(LIKELY)

    def row(self, index: int) -> "list[Tensor]":
        """Picture, truth and prediction."""
        from delineate.viz import beside_truth

        sample = self.dataset[index]
        return beside_truth(sample.image, sample.target, self.prediction(index), self.dataset.categories)

    def rows(self) -> "dict[str, list[Tensor]]":
        """Some pictures at equal distances, by their files."""
        count = min(NUM_SHOWN, len(self.dataset))
        indices = [position * len(self.dataset) // count for position in range(count)]
        return {str(self.dataset.files[index]): self.row(index) for index in indices}


def run_report(file: Path, measured: Measured, data: str, command: str) -> "Report":
    """The report of the system in `file` on `data`; `command` is what measured it."""
    from delineate.system.checkpoint import read_facts
    from delineate.training import Run, curves
    from delineate.viz import Report

    facts, evaluation = read_facts(file), measured.evaluation
    return Report(
        title=f"{facts['system']} on {data}",
        facts={
            "system": system_fact(facts["system"], facts["arguments"]),
            "weights": str(file),
            "data": data,
            "measured on": f"{evaluation.num_images} pictures; {evaluation.protocol}",
            **machine_facts(),
        },
        command=command,
        history=curves(Run(file.parent).read_metrics()),
        **report_parts(measured, measured.rows()),
    )


def report_parts(measured: Measured, rows: "Mapping[str, Sequence[Tensor]]") -> dict[str, Any]:
    """The parts of a `Report` that an evaluation gives, with these pictures."""
    from delineate.metrics import main_metrics
    from delineate.viz import comparison_grid

    evaluation = measured.evaluation
    return {
        "headline": main_metrics(evaluation.metrics),
        "measures": by_shape(evaluation.metrics) if evaluation.objects else {},
        "per_class": evaluation.per_class,
        "confusion": evaluation.confusion,
        "confusion_names": evaluation.names,
        "pictures": [
            ("Pictures of this split", comparison_grid(list(rows.values()), categories=measured.dataset.categories))
        ],
        **_detection_parts(measured),
    }


def _detection_parts(measured: Measured) -> dict[str, Any]:
    from delineate.metrics import error_breakdown, precision_recall, worst_pictures
    from delineate.metrics.detection import LIKELY
    from delineate.viz import comparison_grid

    if measured.evaluation.objects is None:
        return {}
    found, targets = measured.evaluation.objects.detections, measured.evaluation.objects.targets
    names = measured.dataset.categories.class_names
    breakdown = error_breakdown(found, targets, len(names))
    worst = worst_pictures(found, targets)[:NUM_WORST]
    return {
        "precision_recall": {name: curve.precision for name, curve in precision_recall(found, targets, names).items()},
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
            for picture in worst
        ],
    }


def by_shape(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """COCO's metrics of the whole, each with its values of boxes, masks and keypoints."""
    rows: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        shape, _, rest = name.partition("_")
        metric, column = (rest, SHAPES[shape]) if shape in SHAPES else (name, "boxes")
        if "/" not in name and metric.startswith(("AP", "AR")):
            rows.setdefault(metric, {})[column] = value
    return rows


def machine_facts() -> dict[str, str]:
    """Where and with what it was run."""
    from delineate import __version__
    from delineate.study.measuring import machine

    return {
        "machine": f"{machine('auto')}, Python {platform.python_version()}",
        "delineate": f"{__version__}, {datetime.now():%Y-%m-%d}",
    }


def system_fact(system: str, arguments: Mapping[str, Any]) -> str:
    """A system and its options in a line."""
    return system + "".join(f", {name} {value}" for name, value in arguments.items())

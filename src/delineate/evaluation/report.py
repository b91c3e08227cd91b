"""An evaluation is reported: `val --report` and `demo` write the same report."""

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from delineate.artefact import is_export, read_record
from delineate.data.dataset import Dataset
from delineate.data.splits import spread
from delineate.evaluation.evaluate import Evaluation
from delineate.io.machine import machine
from delineate.io.runs import find_checkpoint
from delineate.metrics import (
    OperatingPoint,
    PictureMistakes,
    best_f1,
    by_content,
    error_breakdown,
    judge,
    main_metrics,
    of_all_classes,
    worst_pictures,
)
from delineate.metrics.detection import LIKELY, interpolated_curve
from delineate.metrics.matching import rank_detections
from delineate.system.system import System
from delineate.values import Prediction, counted, on_cpu
from delineate.viz import Exhibit, Report, beside_truth, draw_verdicts, has_ignored
from delineate.viz.palette import IGNORED_COLOR, class_colors, hex_color

NUM_SHOWN, NUM_WORST = 8, 4
RUNTIMES = {"onnx": "ONNX", "openvino": "OpenVINO"}


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
            return on_cpu(prediction)
        return self.evaluation.objects.detections[index].above(self.least)

    @property
    def least(self) -> float | Tensor:
        """Objects are taken for found from this score on, which each class may have its own of."""
        return LIKELY if self.system.least is None else self.system.least

    def row(self, index: int) -> list[Tensor]:
        """Draw picture, truth and prediction."""
        sample = self.dataset[index]
        return beside_truth(sample.image, sample.target, self.prediction(index), self.dataset.categories)

    def rows(self) -> dict[str, list[Tensor]]:
        """Draw the rows of pictures at equal distances, by their files."""
        return {str(self.dataset.files[index]): self.row(index) for index in self.shown}

    @property
    def shown(self) -> list[int]:
        """List pictures at equal distances."""
        return list(spread(len(self.dataset), NUM_SHOWN))

    def colors(self) -> dict[str, str]:
        """Give the colours of what `rows` shows by name."""
        categories = self.dataset.categories
        colors = class_colors(categories.class_names)
        if any(has_ignored(self.dataset[index].target, self.system.task.needs) for index in self.shown):
            colors["ignored"] = hex_color(IGNORED_COLOR)
        return colors

    def judged(self, mistakes: PictureMistakes) -> Exhibit:
        """Draw what is right, wrong and missed in a picture, beside the picture itself."""
        assert self.evaluation.objects is not None
        sample, detections = self.dataset[mistakes.index], self.evaluation.objects.detections[mistakes.index]
        verdicts = judge(detections, sample.target, self.least)
        drawn = draw_verdicts(sample.image, detections, sample.target, self.dataset.categories, **verdicts._asdict())
        name = Path(self.dataset.files[mistakes.index]).name
        caption = f"{name}: {mistakes.num_missed} missed, {mistakes.num_false} wrong"
        return Exhibit(caption, [("picture", self.row(mistakes.index)[0]), ("labels and detections", drawn)])


def run_report(
    measured: Measured, *, run: Path, data: str, command: str, history: Sequence[Mapping[str, float]] = ()
) -> Report:
    """Report the system of a run or an export on `data`.

    `command` is what measured it, `history` that of the training.
    """
    system, evaluation, weights = measured.system, measured.evaluation, weights_of(run)
    return Report(
        title=f"{system.name} on {data}",
        facts={
            "system": system_fact(system.name, system.arguments),
            "weights": str(weights),
            **_exported(run),
            "data": data,
            "measured on": evaluation.pictures,
            **machine_facts(),
        },
        command=command,
        history=history,
        training=training_line(weights.parent),
        **report_parts(measured, measured.rows()),
    )


def weights_of(run: Path) -> Path:
    """Find the weights of a run, or those that an export was made of, which may be gone."""
    return Path(read_record(run).run) if is_export(run) else find_checkpoint(run)


def _exported(run: Path) -> dict[str, str]:
    if not is_export(run):
        return {}
    record = read_record(run)
    return {"exported": f"{RUNTIMES[record.target]}, {record.precision}, in {run}"}


def report_parts(measured: Measured, rows: Mapping[str, Sequence[Tensor]]) -> dict[str, Any]:
    """Make the parts of a `Report` that an evaluation gives, with these pictures."""
    evaluation = measured.evaluation
    first = 0 if evaluation.objects is None else 1  # boxes leave the picture itself to be seen
    titles = ("picture", "truth", "prediction")[first:]
    return {
        "headline": main_metrics(evaluation.metrics),
        "measures": by_content(evaluation.metrics) if evaluation.objects else {},
        "per_class": evaluation.per_class,
        "row": evaluation.task.row,
        "colors": measured.colors(),
        "confusion": evaluation.confusion,
        "confusion_names": evaluation.names,
        "protocol": evaluation.protocol,
        "pictures": [
            Exhibit(Path(file).name, list(zip(titles, row[first:], strict=True))) for file, row in rows.items()
        ],
        **_detection_parts(measured),
    }


def _detection_parts(measured: Measured) -> dict[str, Any]:
    objects = measured.evaluation.objects
    if objects is None:
        return {}
    detections, targets, names = objects.detections, objects.targets, measured.dataset.categories.class_names
    breakdown = error_breakdown(detections, targets, len(names))
    rankings = rank_detections(detections, targets, len(names), kind="boxes")
    curves = {name: interpolated_curve(its) for name, its in zip(names, rankings, strict=True) if its.num_objects}
    per_class = {
        name: {**row, **({} if name not in curves else _operating(curves[name].best))}
        for name, row in measured.evaluation.per_class.items()
    }
    worst = worst_pictures(detections, targets, measured.least)[:NUM_WORST]
    points = measured.system.operating_points
    taken = f"those of {LIKELY:.2f} or more" if points is None else f"what is taken: {points.line}"
    return {
        "advice": _advice(best_f1(of_all_classes(rankings))),
        "per_class": per_class,
        "precision_recall": {name: curve.precision for name, curve in curves.items()},
        "errors": breakdown.gains,
        "error_counts": breakdown.counts,
        "detection_note": "A detection finds an object of its class where both overlap by an IoU of 0.50 or more. The "
        "curves and what errors cost are of detections of every score; pictures, disagreements and the confusion "
        f"matrix take {taken}.",
        "worst_pictures": [measured.judged(mistakes) for mistakes in worst],
    }


def _operating(best: OperatingPoint) -> dict[str, float]:
    return {"best F1": best.f1, "from score": best.score}


def _advice(best: OperatingPoint) -> str:
    return (
        f"Taken from a score of {best.score:.2f} on, F1 is best, {best.f1:.3f}: {best.precision:.0%} of the detections "
        f"are right and {best.recall:.0%} of the objects are found, at an IoU of 0.50."
    )


def training_line(run: Path) -> str:
    """Say in a line how a run was trained, as its files have it; nothing of weights that are in no run."""
    settings, metrics = run / "settings.json", run / "metrics.csv"
    if not settings.is_file() or not metrics.is_file():
        return ""
    facts = json.loads(settings.read_text(encoding="utf-8"))
    with metrics.open(encoding="utf-8", newline="") as opened:
        *_, last = csv.DictReader(opened)
    seen = f"{counted(round(float(last['pictures'])), 'picture')} seen in {counted(int(last['epoch']), 'epoch')}"
    said = ("batch_size", "optimizer", "learning_rate", "augment", "seed")
    options = ", ".join(f"{name.replace('_', ' ')} {facts[name]}" for name in said if facts.get(name) is not None)
    took = f"{float(last['seconds']):,.0f} seconds"
    return f"On {facts['data']}, split {facts['train_split']}: {seen} and {took}; {options}."


def machine_facts() -> dict[str, str]:
    """Say where and with what it was run."""
    return {
        "machine": f"{machine('auto')}, Python {platform.python_version()}",
        "delineate": f"{version('delineate')}, {datetime.now():%Y-%m-%d}",
    }


def system_fact(system: str, arguments: Mapping[str, Any]) -> str:
    """Write a system and its options in a line."""
    return system + "".join(f", {name} {value}" for name, value in arguments.items())

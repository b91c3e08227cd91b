"""A study has results: rows, which of them nothing beats, and what follows for a user."""

import csv
import json
import statistics
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from delineate.evaluation import Evaluation
from delineate.io.files import written_beside
from delineate.metrics import error_breakdown
from delineate.models.contract import Say
from delineate.study.measuring import Latency, Measurement
from delineate.system.catalog import CATALOG
from delineate.values import InputError, listed

RATES = (1, 2, 5, 10, 30, 100)
"""Pictures a second that somebody may need."""
LEVEL = 0.0005
"""Accuracies that differ by less are the same in three decimals."""
UNSTEADY = 1.5
"""Where nine tenths of the times differ from one tenth by more than this factor, they say little."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A result is that of one entry over all seeds: `metrics` are means, `spread` standard deviations (0 for one seed).

    `metric` is the one to compare by. `errors` are TIDE's six, each with the AP that it costs, for systems that detect.
    Sizes are in bytes, times in seconds; costs are those of the first seed, on its `machine`.

    What was given, and not trained by the study, has no `seeds`, and where its training is not known, 0 seconds and
    pictures of it. An export is `exported` to a runtime in a precision, such as `onnx fp32`.
    """

    name: str
    model: str
    arguments: Mapping[str, Any]
    metric: str
    metrics: Mapping[str, float]
    spread: Mapping[str, float]
    per_class: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, float]
    protocol: str
    seeds: Sequence[int]
    parameters: int
    flops: float
    memory: int
    latency: Mapping[str, Latency]
    throughput: float
    training_seconds: float
    pictures: int
    size: int
    machine: str = ""
    folders: Sequence[str] = ()
    exported: str = ""

    @property
    def accuracy(self) -> float:
        """Give the value of the metric to compare by."""
        return self.metrics[self.metric]

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Result":
        """Read what `asdict` made of a result."""
        latency = {step: Latency(**quantiles) for step, quantiles in values["latency"].items()}
        return cls(**{**values, "latency": latency, "folders": tuple(values["folders"])})


def measured_values(evaluation: Evaluation, costs: Measurement) -> dict[str, Any]:
    """Give the values of a `Result` that were measured."""
    metrics = {name: value for name, value in evaluation.metrics.items() if "/" not in name}
    return {
        "metric": next(iter(metrics)),
        "metrics": metrics,
        "spread": dict.fromkeys(metrics, 0.0),
        "per_class": evaluation.per_class,
        "errors": _errors(evaluation),
        "protocol": evaluation.protocol,
        **vars(costs),
    }


def _errors(evaluation: Evaluation) -> dict[str, float]:
    """Break the errors of a system that detects down as TIDE does."""
    if evaluation.objects is None:
        return {}
    objects = evaluation.objects
    return dict(error_breakdown(objects.detections, objects.targets, len(evaluation.names) - 1).gains)


def attempt(name: str, folder: Path, make: Callable[[], Result], say: Say) -> dict[str, str]:
    """Write what is made to `result.json`, or else to `error.txt` why it failed, which is returned by the name."""
    try:
        result = make()
    except Exception as error:  # whatever it is, the others go on
        line = f"{type(error).__name__}: {error}" if not isinstance(error, InputError) else str(error)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        say(f"{name}: failed: {line}")
        return {name: line}
    write_json(folder / "result.json", asdict(result))
    (folder / "error.txt").unlink(missing_ok=True)
    say(f"{name}: {result.metric} {result.accuracy:.4f}, {result.throughput:.3g} pictures/s")
    return {}


def together(results: Sequence[Result]) -> Result:
    """Put results of one entry that differ by their seeds together to one."""
    first = results[0]
    names = [name for name in first.metrics if all(name in result.metrics for result in results)]
    values = {name: [result.metrics[name] for result in results] for name in names}
    several = len(results) > 1
    changes: dict[str, Any] = {
        "metrics": {name: statistics.mean(measured) for name, measured in values.items()},
        "spread": {name: statistics.stdev(measured) if several else 0.0 for name, measured in values.items()},
        "seeds": [seed for result in results for seed in result.seeds],
        "folders": tuple(folder for result in results for folder in result.folders),
        "training_seconds": statistics.mean(result.training_seconds for result in results),
        "pictures": round(statistics.mean(result.pictures for result in results)),
    }
    return Result(**{**vars(first), **changes})


def pareto_front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Give the indices of those that none beats, as cheap and better or as good and cheaper, the cheapest first."""
    order = sorted(range(len(costs)), key=lambda index: (costs[index], -values[index]))
    front: list[int] = []
    for index in order:
        if not front or values[index] > values[front[-1]]:
            front.append(index)
    return front


def recommendations(results: Sequence[Result]) -> list[str]:
    """Say in plain sentences what follows from the figures: for accuracy alone, and for each rate that changes it.

    A rate is reached where nine of ten pictures keep to it: other work beside the measurement decides nothing.
    """
    if not results:
        return ["Nothing came to its end, so there is nothing to recommend."]
    best = _best(results)
    lines = [f"For accuracy alone: {_described(best)}."]
    others = [result for result in results if result is not best]
    if others:
        second = max(others, key=lambda result: result.accuracy)
        spread = max(best.spread.get(best.metric, 0), second.spread.get(second.metric, 0))
        if spread and best.accuracy - second.accuracy <= spread:
            lines.append(
                f"{second.name} is as good within the spread of the seeds (±{spread:.3f}): {_described(second)}."
            )
    answer = best
    for rate in RATES:
        fast = [result for result in results if 1 / result.latency["total"].high >= rate]
        if not fast:
            lines.append(f"None of them surely reaches {rate} pictures/s on this machine.")
            break
        winner = _best(fast)
        if winner is not answer:
            lines.append(f"For at least {rate} pictures/s on this machine: {_described(winner)}.")
            answer = winner
    return lines + _unsteady(results)


def _best(results: Sequence[Result]) -> Result:
    """Find the most accurate; of those that are level with it, the fastest."""
    highest = max(result.accuracy for result in results)
    return max(
        (result for result in results if highest - result.accuracy < LEVEL), key=lambda result: result.throughput
    )


def _unsteady(results: Sequence[Result]) -> list[str]:
    """Say which times vary so much that something else may have run beside the measurement."""
    factors = {its.name: its.latency["total"].high / max(its.latency["total"].low, 1e-9) for its in results}
    unsteady = [name for name, factor in factors.items() if factor > UNSTEADY]
    if not unsteady:
        return []
    return [
        f"The times of {listed(unsteady)} vary by up to {max(factors.values()):.2g} times (10-90 %): pictures differ, "
        "or other work ran beside the measurement; measure on an idle machine before you choose by speed."
    ]


def not_tried(results: Sequence[Result]) -> str:
    """Say which systems and options the study knows nothing of."""
    tasks = {CATALOG[result.model].task for result in results}
    tried = {result.model for result in results}
    left = [name for name, entry in CATALOG.items() if entry.task in tasks and name not in tried]
    systems = f"; of this task, {', '.join(left)}" if left else ""
    return f"Not tried: longer training, other weights to begin with, and options beyond those in the table{systems}."


def _described(result: Result) -> str:
    total = result.latency["total"]
    slow, fast = 1 / total.high, 1 / total.low
    return (
        f"{result.name} ({result.metric} {result.accuracy:.3f}, {result.throughput:.3g} pictures/s, "
        f"most between {slow:.3g} and {fast:.3g})"
    )


@dataclass(frozen=True, kw_only=True)
class Findings:
    """One or several studies have results, failures with their reasons, and facts of what was compared and how."""

    results: Sequence[Result]
    failures: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


def write_tables(folder: Path, findings: Findings) -> None:
    """Write `results.json` and `results.csv`, each whole or not at all."""
    rows = [asdict(result) for result in findings.results]
    values = {"results": rows, "failures": dict(findings.failures), "facts": dict(findings.facts)}
    write_json(folder / "results.json", values)
    text = StringIO()
    flat = [flat_row(result) for result in findings.results]
    names = list(dict.fromkeys(name for row in flat for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    with written_beside(folder / "results.csv") as beside:
        beside.write_text(text.getvalue(), encoding="utf-8")


def write_json(file: Path, value: Any) -> None:
    """Write plain values as JSON, whole or not at all."""
    with written_beside(file) as beside:
        beside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def flat_row(result: Result) -> dict[str, Any]:
    """Write a result as one row of a table, with units in the names."""
    row: dict[str, Any] = {
        "name": result.name,
        "model": result.model,
        "exported": result.exported,
        **{name: round(value, 6) for name, value in result.metrics.items()},
        **{f"{name} spread": round(value, 6) for name, value in result.spread.items() if "/" not in name},
        **({"seeds": len(result.seeds)} if result.seeds else {}),
        "parameters (million)": round(result.parameters / 1e6, 4),
        "GFLOPs": round(result.flops / 1e9, 4),
        "memory (MiB)": round(result.memory / 2**20, 1),
        "pictures/s": round(result.throughput, 4),
    }
    for step, seconds in result.latency.items():
        row |= {f"{step} (s)": round(seconds.median, 6), f"{step} 10% (s)": round(seconds.low, 6)}
        row[f"{step} 90% (s)"] = round(seconds.high, 6)
    if result.pictures:
        row |= {"training (s)": round(result.training_seconds, 1), "pictures seen": result.pictures}
    return row | {"weights (MiB)": round(result.size / 2**20, 2)}

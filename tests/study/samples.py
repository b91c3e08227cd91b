"""Results of systems that nobody trained."""

from typing import Any

from delineate.study import Latency, Result
from delineate.study.measuring import STEPS


def result(name: str, accuracy: float, rate: float, **changes: Any) -> Result:
    seconds = 1 / rate
    latency = {step: Latency(median=seconds / 4, low=seconds / 5, high=seconds / 3) for step in STEPS}
    latency["total"] = Latency(median=seconds, low=0.9 * seconds, high=1.2 * seconds)
    values: dict[str, Any] = {
        "name": name,
        "model": name.split()[0],
        "arguments": {},
        "metric": "AP",
        "metrics": {"AP": accuracy, "AP50": min(1.0, 1.5 * accuracy), "AP_small": accuracy / 2},
        "spread": {"AP": 0.0, "AP50": 0.0, "AP_small": 0.0},
        "per_class": {"cat": {"AP": accuracy}, "dog <b>": {"AP": accuracy / 3}},
        "errors": {"classification": 0.1, "missed": 0.2},
        "protocol": "COCO",
        "seeds": [0],
        "parameters": 12_000_000,
        "flops": 5e9,
        "memory": 300 * 2**20,
        "latency": latency,
        "throughput": rate,
        "training_seconds": 60.0,
        "pictures": 1000,
        "size": 40 * 2**20,
    }
    return Result(**{**values, **changes})

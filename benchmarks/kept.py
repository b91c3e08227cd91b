"""What benchmarks that train for long keep, so that a call goes on where the last one was cut."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from delineate.evaluation import evaluate_run
from delineate.training import Run, TrainingResult, TrainingSettings, resume, train


def record(place: Path) -> Path:
    """Name the file that says that something is done."""
    return place.with_name(f"{place.name}.json")


def trained(settings: TrainingSettings) -> TrainingResult:
    """Train as the settings say, or go on where that was cut."""
    assert settings.out is not None, "what is kept has a place"
    return resume(settings.out) if Run(settings.out).is_begun else train(settings, lighter=False)


def measured(settings: TrainingSettings, metrics: Sequence[str]) -> dict[str, Any]:
    """Train and measure on the validation split, unless that was done; what was done by other settings is refused."""
    assert settings.out is not None, "what is kept has a place"
    file, asked = record(settings.out), settings.model_dump(mode="json", exclude={"out"})
    if not file.exists():
        run = trained(settings)
        found = evaluate_run(run.folder, settings.data, "val").metrics
        row = {"pictures": run.pictures, "metrics": {name: found[name] for name in metrics}, "settings": asked}
        file.write_text(json.dumps(row, indent=1))
    kept: dict[str, Any] = json.loads(file.read_text())
    differing = [name for name, value in asked.items() if kept["settings"].get(name) != value]
    if differing:
        raise SystemExit(f"{file}: was measured with another {', '.join(differing)}; name another --out, or remove it")
    return kept

"""What takes minutes is measured once: its figures are kept in a folder, so that a script that was stopped goes on."""

import json
import multiprocessing
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from delineate.training import TrainingResult, TrainingSettings

Figures = dict[str, float]
Given = ParamSpec("Given")
Made = TypeVar("Made")


def kept(out: Path, name: str, measure: Callable[[], Figures]) -> Figures:
    """Give the figures of that name in the folder, or else measure them and write them there."""
    file = out / f"{name}.json"
    if not file.exists():
        figures = measure()
        out.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".part")
        beside.write_text(json.dumps(figures, indent=1))
        beside.replace(file)
        print(f"{name}: {json.dumps(figures)}", file=sys.stderr, flush=True)
    found: Figures = json.loads(file.read_text())
    return found


def trained(settings: "TrainingSettings") -> "TrainingResult":
    """Train, or go on with the run in `settings.out` that was stopped; no system becomes a lighter one."""
    from delineate.training import Run, resume, train

    folder = settings.out
    return resume(folder) if folder and Run(folder).is_begun else train(settings, lighter=False)


def apart(function: Callable[Given, Made], *given: Given.args, **options: Given.kwargs) -> Made:
    """Call a function in a process of its own, whose memory is that of nothing else."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *given, **options).result()


def peak_mib() -> float:
    """Read the largest memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_figures(
    rows: Mapping[str, Figures], columns: Sequence[str], digits: Mapping[str, int], *, as_json: bool
) -> None:
    """Print a table in Markdown, a row a name, in which a dash is what a row lacks; or a JSON list of all figures."""
    if as_json:
        print(json.dumps([{"name": name, **row} for name, row in rows.items()], indent=1))
        return
    print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, row in rows.items():
        values = (row.get(column) for column in columns)
        cells = (
            "–" if value is None else f"{value:,.{digits.get(column, 3)}f}"
            for column, value in zip(columns, values, strict=True)
        )
        print(f"| {name} | {' | '.join(cells)} |")

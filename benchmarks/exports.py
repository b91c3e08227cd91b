"""Each run of a folder is exported with a verdict, and its exports are measured beside it.

    python benchmarks/exports.py FOLDER [--targets onnx-fp32 openvino-fp32 ...] [--only NAME ...]
                                 [--tolerance SHARE] [--json]

FOLDER has a run a system, as `benchmarks/defaults.py` leaves them. A row tells the largest difference of a box or of a
score between the two graphs, the share of objects or pixels of the run's validation pictures that differ, the metric of
run and export, and the seconds of a picture of both, in turns. What the verdict refuses is a row with its reason.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from delineate.artefact import load_system
from delineate.artefact.record import Precision, Target
from delineate.data.splits import spread
from delineate.evaluation import evaluation_data, own_source
from delineate.export.exporting import export_run
from delineate.export.verdict import Level
from delineate.system.system import System
from delineate.values import InputError
from timing import interleaved

TARGETS = ("onnx-fp32", "openvino-fp32")
TIMED, REPEATS = 4, 3
METRICS = ("AP", "mIoU", "localization_accuracy", "PCK@0.2")


def exported(run: Path, to: Target, precision: Precision, tolerance: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.name, "target": f"{to}-{precision}"}
    folder = run / "exports" / f"{to}-{precision}"
    try:
        if folder.exists():
            levels = known(folder)
        else:
            levels = export_run(run, to=to, precision=precision, tolerance=tolerance, say=lambda _: None)[1]
    except InputError as error:
        return row | {"refused": str(error)}
    figures = {level.name: level.figures for level in levels}
    row |= {"values": max(figures["graph"].values()), "differing": next(iter(figures["results"].values()))}
    row |= {"metric": levels[-1].of}
    return row | times(run, folder)


def known(folder: Path) -> tuple[Level, ...]:
    said = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    return tuple(Level(**level) for level in said["levels"])


def times(run: Path, folder: Path) -> dict[str, float]:
    trained, export = load_system(run, device="cpu"), load_system(folder, device="cpu")
    pictures = evaluation_data(trained, own_source(run)).dataset
    images = [pictures[place].image for place in spread(len(pictures), TIMED)]
    row = interleaved("", lambda: through(export, images), lambda: through(trained, images), REPEATS)
    return {"seconds": row["ours"] / len(images), "run_seconds": row["peer"] / len(images), "ratio": row["ratio"]}


@torch.inference_mode()
def through(system: System, images: Sequence[torch.Tensor]) -> None:
    for image in images:
        system.infer([image])


def line(row: dict[str, Any]) -> str:
    if "refused" in row:
        return f"| `{row['run']}` | {row['target']} | refused: {row['refused']} |"
    cells = [f"`{row['run']}`", row["target"], f"{row['values']:.1g}", f"{100 * row['differing']:.2g} %", row["metric"]]
    cells += [f"{row['seconds']:.3f}", f"{row['run_seconds']:.3f}", f"{row['ratio']:.2f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--targets", nargs="+", default=list(TARGETS))
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--tolerance", type=float, help="of the metric, as `delineate export` takes it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    runs = sorted(file.parent for file in arguments.folder.glob("*/best.safetensors"))
    rows = []
    for run in runs:
        if arguments.only and run.name not in arguments.only:
            continue
        for target in arguments.targets:
            to, _, precision = target.partition("-")
            rows.append(exported(run, to, precision, arguments.tolerance))  # type: ignore[arg-type]
            if not arguments.json:
                print(line(rows[-1]), flush=True)
    if arguments.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

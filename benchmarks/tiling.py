"""What tiles buy for small objects, and what they cost.

    python benchmarks/tiling.py --weights tf_efficientnet_lite0.safetensors --out FOLDER [--minutes 4]
        [--sets nuclei] [--json]

SSD at 320 x 320 learns the nuclei (`nuclei`, whose pictures have hundreds) and the people of coco128 (`person`,
measured on tinycoco's val), each once on whole pictures and once on tiles, from ImageNet weights, for the same minutes.
The run of whole pictures is then measured on whole pictures and in tiles, the other in tiles, as it will be used:
COCO's AP of all objects and of small, medium and large ones, and seconds a picture. A run that was trained on tiles
knows objects at the size that tiles show them in; the other sees them larger than in training, which helps where they
were too small before, and harms where they were not.

By default four trainings of 4 minutes, two of which serve two rows each, and six measurements of 10 pictures (nuclei)
or 50: about 19 minutes on two cores. What was stopped goes on: a training where it was, and what is in the folder, each
training and each row, is not done again.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import peers
from delineate.artefact import load_system
from delineate.deploy.tiling import in_tiles
from delineate.evaluation import evaluate, evaluation_data, source_of
from delineate.training import TrainingSettings
from keeping import Figures, kept, print_figures, trained
from transfer import DATA
from transfer_rows import from_coco128

OVERLAP = 64
METRICS = ("AP", "AP50", "AP_small", "AP_medium", "AP_large")
SETS: dict[str, tuple[Callable[[Path, Path], Path], int]] = {
    "nuclei": (lambda data, _: data / "nuclei", 256),
    "person": (from_coco128("person"), 320),
}
"""Where the data are, and the side of their tiles."""


def learned_on(data: Path, tile: int | None, folder: Path, weights: Path, minutes: float) -> Figures:
    """Train SSD on whole pictures, or on tiles."""
    run = trained(
        TrainingSettings(
            model="ssd",
            data=data,
            arguments={"backbone": peers.BACKBONE, "image_size": 320},
            backbone_weights=weights,
            minutes=minutes,
            tile=tile,
            val_every=0,
            out=folder,
        )
    )
    return {"pictures seen": run.pictures}


def measured(run: Path, data: Path, tile: int | None) -> Figures:
    """Measure a run on whole pictures, or in tiles."""
    system = load_system(run)
    dataset = evaluation_data(system, source_of(run, data, "val")).dataset
    find = None if tile is None else in_tiles(system, tile, OVERLAP)
    start = time.perf_counter()
    metrics = evaluate(system, dataset, find=find).metrics
    seconds = (time.perf_counter() - start) / len(dataset)
    return {**{name: metrics[name] for name in METRICS if name in metrics}, "seconds a picture": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help=f"ImageNet weights of timm's {peers.BACKBONE}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and the results")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of nuclei, coco128 and tinycoco")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--minutes", type=float, default=4.0, help="of each training")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = {}
    for name in options.sets:
        make, tile = SETS[name]
        data = make(options.data, options.out)
        for learned in (None, tile):
            run = f"{name}-{'whole' if learned is None else f'tiles-of-{tile}'}-{options.minutes:g}min"
            given = (data, learned, options.out / f"run-{run}", options.weights, options.minutes)
            seen = kept(options.out, run, lambda given=given: learned_on(*given))
            for seen_by in (None, tile) if learned is None else (tile,):
                row = f"{run}-measured-{'whole' if seen_by is None else f'in-tiles-of-{tile}'}"
                asked = (options.out / f"run-{run}", data, seen_by)
                rows[row] = seen | kept(options.out, row, lambda asked=asked: measured(*asked))
    columns = ("pictures seen", *METRICS, "seconds a picture")
    print_figures(rows, columns, {"pictures seen": 0}, as_json=options.json)


if __name__ == "__main__":
    main()

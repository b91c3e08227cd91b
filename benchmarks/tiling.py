"""What tiles buy for small objects, and what they cost.

Ours is `val --tile`, the peer the same run on whole pictures: COCO's AP of all objects and of small, medium and large
ones, and seconds a picture, as tiles are more work. Runs are given with the data they are measured on, such as

    python benchmarks/tiling.py runs/nuclei=../shared/data/nuclei runs/coco=../shared/data/coco128 --tile 128 256

A run that was trained with `--tile` knows objects at the size that tiles show them in; others see them larger than in
training, which helps where objects were too small before, and harms where they were not.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from delineate.artefact import load_system
from delineate.data.dataset import Part
from delineate.data.splits import spread
from delineate.deploy.tiling import in_tiles
from delineate.evaluation import evaluate, evaluation_data, source_of

METRICS = ("AP", "AP50", "AP_small", "AP_medium", "AP_large", "mask_AP", "mask_AP_small")


def measure(
    run: Path, data: Path, split: str, tile: int | None, overlap: int, num_images: int | None
) -> dict[str, Any]:
    system = load_system(run, device="auto")
    found = evaluation_data(system, source_of(run, data, split))
    dataset = found.dataset
    if num_images is not None and num_images < len(dataset):
        dataset = Part(dataset, list(spread(len(dataset), num_images)))
    find = None if tile is None else in_tiles(system, tile, overlap)
    start = time.perf_counter()
    evaluation = replace(evaluate(system, dataset, find=find), trained_on=found.trained_on)
    seconds = (time.perf_counter() - start) / len(dataset)
    return {**{name: evaluation.metrics.get(name) for name in METRICS}, "seconds a picture": seconds}


def print_table(rows: list[tuple[str, dict[str, Any]]]) -> None:
    columns = [name for name in rows[0][1] if any(row[name] is not None for _, row in rows)]
    print(f"{'':36}" + "".join(f"{name:>18}" for name in columns))
    for name, row in rows:
        cells = (f"{'–' if row[column] is None else format(row[column], '.4f'):>18}" for column in columns)
        print(f"{name:36}" + "".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN=DATA", help="run, and the data to measure it on")
    parser.add_argument("--split", default="val")
    parser.add_argument("--tile", type=int, nargs="+", default=[256], help="sides of tiles, in pixels")
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--num-images", type=int, help="so many pictures at equal distances; all if not given")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    rows: list[tuple[str, dict[str, Any]]] = []
    for given in arguments.runs:
        run, _, data = given.partition("=")
        for tile in (None, *arguments.tile):
            name = f"{Path(run).name}, {'whole' if tile is None else f'tiles of {tile}'}"
            options = (arguments.split, tile, arguments.overlap, arguments.num_images)
            rows.append((name, measure(Path(run), Path(data), *options)))
    if arguments.json:
        print(json.dumps([{"name": name, **row} for name, row in rows], indent=2))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()

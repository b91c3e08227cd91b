"""The memory and the time of `delineate predict --tile` on TIFFs that are larger than memory should be.

    python benchmarks/large_tiff.py --out FOLDER [--sides 5000 10000 20000] [--json]

Tiled TIFFs (512 x 512, deflate) of these sides are written, and each is predicted by the command line, in a process of
its own, by an SSD on ResNet-10-t at 96 x 96 with random weights: what is measured is memory. The peak is that of the
process; the first row is a picture of one tile, which is what the libraries and the network take. All takes about 5
minutes on two cores, most of which writes the TIFFs, and 3 GB of disk at most. What is in the folder, each TIFF and
each row, is not done again.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from delineate.data import Synthetic
from keeping import Figures, kept, print_figures
from long_video import make_predictor

TILE, SQUARE = 1024, 512
COLUMNS = ("picture MiB", "peak MiB", "peak beyond one tile MiB", "seconds", "megapixels a second")


def write_tiff(file: Path, side: int) -> None:
    """Write a picture of shapes that repeat, square by square."""
    shapes = Synthetic(1, image_size=(SQUARE, SQUARE))[0].image.permute(1, 2, 0).numpy()

    def squares() -> Iterator[NDArray[np.uint8]]:
        for number in range((-(-side // SQUARE)) ** 2):
            yield np.roll(shapes, number % SQUARE, axis=number % 2)

    options = {"tile": (SQUARE, SQUARE), "photometric": "rgb", "compression": "deflate"}
    tifffile.imwrite(file, squares(), shape=(side, side, 3), dtype=np.uint8, **options)


def predicted(out: Path, file: Path, weights: Path, side: int) -> Figures:
    """Predict a TIFF in a process, and ask the system what that process took."""
    found = out / f"found-{side}"
    shutil.rmtree(found, ignore_errors=True)  # what a stopped measurement left would be passed over
    command = [sys.executable, "-m", "delineate", "predict", weights, file, "--tile", TILE, "--out", found]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}  # what is freed is given back
    began = time.perf_counter()
    process = subprocess.Popen([*map(str, command), "--min-score", "0.3"], env=environment, stdout=sys.stderr)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{file}: predict ended with status {os.waitstatus_to_exitcode(status)}")
    return {
        "picture MiB": 3 * side**2 / 2**20,
        "peak MiB": used.ru_maxrss / 1024,
        "seconds": seconds,
        "megapixels a second": side**2 / 1e6 / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the TIFFs and the results")
    parser.add_argument("--sides", type=int, nargs="+", default=[5000, 10000, 20000])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    weights = options.out / "best.safetensors"
    if not weights.exists():
        make_predictor().system.save(weights)
    rows = {}
    for side in (TILE, *options.sides):
        file = options.out / f"{side}.tif"
        if not file.exists():
            write_tiff(file.with_suffix(".part.tif"), side)
            file.with_suffix(".part.tif").rename(file)
        given = (options.out, file, weights, side)
        rows[f"{side} x {side}"] = kept(options.out, f"{side}", lambda given=given: predicted(*given))
    least = rows[f"{TILE} x {TILE}"]["peak MiB"]
    for row in rows.values():
        row["peak beyond one tile MiB"] = row["peak MiB"] - least
    print_figures(rows, COLUMNS, dict.fromkeys(COLUMNS, 0) | {"megapixels a second": 2}, as_json=options.json)


if __name__ == "__main__":
    main()

"""What batches, bfloat16 and reading ahead buy when many pictures are predicted.

Ours is `Predictor.predict` of JPEGs with batches and bfloat16, alone and together with threads that read ahead; the
peer is the same with one picture at a time, in float32, read when it is its turn. The system is untrained, on
`--threads` threads of a CPU. CPU seconds change little with other work on the machine; threads that read ahead save
none of them.
"""

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch

from delineate.data import Synthetic
from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.viz import write_picture
from timing import interleaved, print_rows


def write_pictures(folder: Path, num: int, size: tuple[int, int]) -> list[Path]:
    files = [folder / f"{number}.jpg" for number in range(num)]
    for file, sample in zip(files, Synthetic(num, image_size=size), strict=True):
        write_picture(file, sample.image)
    return files


def write_system(folder: Path, name: str) -> Path:
    categories = Synthetic(1).categories
    model = build(name, categories)
    preprocess = Preprocess(size=model.input_size)
    file = folder / "best.safetensors"
    System(name=name, model=model, categories=categories, preprocess=preprocess).save(file)
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="unet")
    parser.add_argument("--num", type=int, default=8, help="pictures")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    with tempfile.TemporaryDirectory() as folder:
        files = write_pictures(Path(folder), arguments.num, tuple(arguments.size))
        weights = write_system(Path(folder), arguments.system)
        half = Predictor.load(weights, device="cpu", precision="bf16")
        full = Predictor.load(weights, device="cpu")

        def run(predictor: Predictor, batch_size: int = 1, workers: int = 0) -> Callable[[], object]:
            return lambda: deque(predictor.predict(files, batch_size=batch_size, workers=workers), maxlen=0)

        batched, ahead = arguments.batch_size, arguments.workers
        options = {
            f"batches of {batched}": run(full, batched),
            "bf16": run(half),
            f"both, and {ahead} threads that read": run(half, batched, ahead),
        }
        rows = [
            interleaved(f"{name}, {unit} for {len(files)} pictures", ours, run(full), arguments.repeats, clock)
            for name, ours in options.items()
            for clock, unit in ((time.process_time, "CPU s"), (time.perf_counter, "s"))
        ]
    print_rows(rows, as_json=arguments.json)


if __name__ == "__main__":
    main()

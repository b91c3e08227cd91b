"""How long a COCO file of half a million pictures takes to open, and how much memory: the first time, and later ones.

It writes a file of `--pictures` pictures with `--objects` boxes (with `--polygons`, outlines of six corners, too) into
FOLDER, and as many empty files in place of the pictures, as none of them is looked at. Each opening is a process of its
own: the first makes the index beside the data, the second maps it; then the census, and `--workers` processes that read
targets from it, whose own memory (unique set size) shows that nothing is copied.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

OPEN = """
import json, resource, sys, time
from pathlib import Path
from delineate.data import read_dataset
from delineate.data.counting import take_census
imports = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
start = time.perf_counter()
dataset = read_dataset(Path(sys.argv[1]), "train", needs=frozenset({"boxes"}))
opened = time.perf_counter() - start
start = time.perf_counter()
objects = take_census(dataset).total if "census" in sys.argv else None
counted = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
facts = {"seconds": opened, "census": counted, "objects": objects, "peak_gib": peak, "gib_of_imports": imports}
print(json.dumps({**facts, "pictures": len(dataset)}))
"""


def write(folder: Path, num_pictures: int, num_objects: int, *, polygons: bool) -> Path:
    """Write the file object by object, as it would not fit into memory either."""
    random = np.random.default_rng(0)
    pictures = folder / "train"
    pictures.mkdir(parents=True)
    names = [f"{number:07d}.jpg" for number in range(num_pictures)]
    for name in names:
        (pictures / name).touch()
    file = folder / "annotations" / "instances_train.json"
    file.parent.mkdir()
    with file.open("w") as out:
        rows = ({"id": n, "file_name": name, "height": 480, "width": 640} for n, name in enumerate(names))
        out.write('{"images": [' + ",\n".join(map(json.dumps, rows)) + '],\n"annotations": [\n')
        for first in range(0, num_objects, 100_000):
            count = min(100_000, num_objects - first)
            corners = random.uniform(0, 400, (count, 2)).round(2)
            sides = random.uniform(4, 80, (count, 2)).round(2)
            images, classes = random.integers(0, num_pictures, count), random.integers(1, 81, count)
            rows = (
                _row(first + n, int(images[n]), int(classes[n]), corners[n].tolist(), sides[n].tolist(), polygons)
                for n in range(count)
            )
            out.write((",\n" if first else "") + ",\n".join(map(json.dumps, rows)))
        categories = [{"id": number, "name": f"class {number}"} for number in range(1, 81)]
        out.write('\n],\n"categories": ' + json.dumps(categories) + "}\n")
    return file


def _row(number: int, image: int, label: int, corner: list[float], side: list[float], polygons: bool) -> dict:
    row = {"id": number, "image_id": image, "category_id": label, "bbox": [*corner, *side], "iscrowd": 0}
    row["area"] = round(side[0] * side[1], 2)
    if polygons:
        (x, y), (w, h) = corner, side
        outline = [x, y + h / 2, x + w / 4, y, x + w, y + h / 4, x + w, y + h, x + w / 2, y + h, x, y + 3 * h / 4]
        row["segmentation"] = [[round(value, 2) for value in outline]]
    return row


def opened(folder: Path, *options: str) -> dict:
    ended = subprocess.run(
        [sys.executable, "-c", OPEN, str(folder), *options], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(ended.stdout)


def _reads(dataset: object, number: int, count: int, queue: multiprocessing.Queue) -> None:
    before = psutil.Process().memory_full_info().uss
    for index in range(number, len(dataset), max(1, len(dataset) // count)):  # type: ignore[arg-type]
        dataset.target(index, dataset.size(index))  # type: ignore[attr-defined]
    queue.put((psutil.Process().memory_full_info().uss - before) / 2**20)


def grown(folder: Path, num_workers: int) -> list[float]:
    """Measure by how many MiB workers grow that are started anew and read a thousand targets each."""
    from delineate.data import read_dataset

    dataset = read_dataset(folder, "train", needs=frozenset({"boxes"}))
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_reads, args=(dataset, n, 1000, queue)) for n in range(num_workers)]
    for worker in workers:
        worker.start()
    sizes = [queue.get() for _ in workers]
    for worker in workers:
        worker.join()
    return [round(size, 1) for size in sizes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=500_000)
    parser.add_argument("--objects", type=int, default=5_000_000)
    parser.add_argument("--polygons", action="store_true", help="with outlines, too")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to write it, and leave it; a temporary folder if not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "data"
        start = time.perf_counter()
        if not folder.exists():
            write(folder, arguments.pictures, arguments.objects, polygons=arguments.polygons)
        written = time.perf_counter() - start
        file = folder / "annotations" / "instances_train.json"
        rows = {
            "file_mb": file.stat().st_size / 1e6,
            "write_seconds": written,
            "first": opened(folder),
            "second": opened(folder),
            "third, and a census": opened(folder, "census"),
            "mib_of_workers": grown(folder, arguments.workers),
        }
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

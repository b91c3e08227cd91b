"""Our selective search against OpenCV's: how many objects the first boxes find, and how long they take.

The pictures and boxes are those of tinycoco and coco128; crowds are left out. The peer is
`cv2.ximgproc.segmentation`'s selective search in its mode of the same name. Both have one thread, run in one process
and take turns picture by picture; seconds are medians over the pictures, after a picture to warm up (and compile).
Recall is at IoU 0.5, MABO the mean over the classes of the objects' average best overlap. Where fewer boxes are found
than counted, all are; both orders are partly drawn by chance, so that differences of 0.01 in recall say little.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

# before numpy reads them
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import cv2
import torch
from torch import Tensor

from delineate.data import Dataset, read_dataset
from delineate.data.formats import splits
from delineate.metrics.proposals import mean_average_best_overlap, proposal_recall
from delineate.ops.search.selective_search import selective_search
from timing import Row, print_rows

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
COUNTS = (500, 2000)


def opencv(image: Tensor, mode: str) -> Tensor:
    """OpenCV's boxes, as `x1 y1 x2 y2`."""
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(image.permute(1, 2, 0).flip(2).contiguous().numpy())
    if mode == "fast":
        search.switchToSelectiveSearchFast()
    else:
        search.switchToSelectiveSearchQuality()
    boxes = torch.from_numpy(search.process()).float()
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)


def pictures(folders: list[Path], limit: int | None) -> list[tuple[Dataset, int]]:
    """Datasets and indices; a limit takes every so-maniest, so that all folders have their part."""
    datasets = [read_dataset(folder, split) for folder in folders for split in splits(folder)]
    every = [(dataset, index) for dataset in datasets for index in range(len(dataset))]
    return every if limit is None else every[:: -(-len(every) // limit)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", default=[DATA / "tinycoco", DATA / "coco128"])
    parser.add_argument("--mode", choices=("fast", "quality"), default="fast")
    parser.add_argument("--limit", type=int, help="at most so many pictures, taken from all folders")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    methods = {
        "ours": lambda image: selective_search(image, mode=arguments.mode),
        "peer": lambda image: opencv(image, arguments.mode),
    }
    names = list(methods)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    targets = []
    for turn, (dataset, index) in enumerate(pictures(arguments.data, arguments.limit)):
        sample = dataset[index]
        if not turn:
            methods["ours"](sample.image)
            methods["peer"](sample.image)
        targets.append(sample.target)
        for name in names if turn % 2 else names[::-1]:
            start = time.perf_counter()
            found[name].append(methods[name](sample.image))
            seconds[name].append(time.perf_counter() - start)

    rows: list[Row] = []
    for title, metric in (("recall at IoU 0.5", proposal_recall), ("MABO", mean_average_best_overlap)):
        ours, peer = (metric(found[name], targets, COUNTS) for name in names)
        rows += [row(f"{title}, {count} boxes", ours[count], peer[count]) for count in COUNTS]
    ours, peer = (statistics.mean(len(boxes) for boxes in found[name]) for name in names)
    rows.append(row("boxes a picture", ours, peer))
    ours, peer = (statistics.median(seconds[name]) for name in names)
    rows.append(
        {"name": f"{arguments.mode}, {len(targets)} pictures, s", "ours": ours, "peer": peer, "ratio": peer / ours}
    )
    print_rows(rows, as_json=arguments.json)


def row(name: str, ours: float, peer: float) -> Row:
    return {"name": name, "ours": ours, "peer": peer, "ratio": ours / peer}


if __name__ == "__main__":
    main()

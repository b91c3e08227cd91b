"""How long measuring many pictures takes, and how much memory: CocoEvaluation beside faster-coco-eval itself.

`--pictures` pictures of `--classes` classes with 7 objects and `--detections` detections each (with `--masks`, ellipses
as run lengths, too) are made one by one. Each side is a process of its own: ours takes them as `val` does, picture by
picture; the library takes a list of rows for all, as its users write it. What making the pictures takes is left out
of both times. With masks, both measure boxes and masks, as `val` does. Both say the figures (of masks, where there are
any), which have to be equal.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from delineate.metrics import CocoEvaluation
from delineate.ops.masks import RLE, encode_rle
from delineate.values import Detections, Target

HEIGHT, WIDTH, NUM_OBJECTS = 480, 640, 7
FIGURES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
Made = tuple[Detections, Target]


def boxes_of(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Make boxes of all of COCO's sizes."""
    sides = np.exp(random.uniform(2.5, 5.5, (count, 2)))
    corners = random.uniform(0, [WIDTH - 8, HEIGHT - 8], (count, 2))
    return np.concatenate([corners, np.minimum(corners + sides, [WIDTH, HEIGHT])], axis=1).astype(np.float32)


def shapes() -> list[RLE]:
    """Make a hundred masks, of which each object has one, as drawing millions would take longer than measuring."""
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    random = np.random.default_rng(1)
    rles = []
    for _ in range(100):
        across, down = random.uniform(8, 90, 2)
        middle_x, middle_y = random.uniform(100, 540), random.uniform(100, 380)
        ellipse = ((x - middle_x) / across) ** 2 + ((y - middle_y) / down) ** 2 <= 1
        rles += encode_rle(ellipse[None])
    return rles


def pictures(count: int, num_classes: int, num_detections: int, rles: list[RLE]) -> Iterator[tuple[Made, list[RLE]]]:
    """Make pictures whose first detections are near objects, the others anywhere, and the masks of the objects."""
    random = np.random.default_rng(0)
    for _ in range(count):
        boxes, labels = boxes_of(random, NUM_OBJECTS), random.integers(0, num_classes, NUM_OBJECTS)
        moved = np.clip(boxes + random.normal(0, 3, boxes.shape), 0, [WIDTH, HEIGHT] * 2).astype(np.float32)
        moved = np.where(((moved[:, 2:] - moved[:, :2]) > 1).all(1)[:, None], moved, boxes)
        others = max(0, num_detections - NUM_OBJECTS)
        found = np.concatenate([moved, boxes_of(random, others)])[:num_detections]
        said = np.concatenate([labels, random.integers(0, num_classes, others)])[:num_detections]
        scores = np.concatenate([random.uniform(0.3, 1, NUM_OBJECTS), random.uniform(0, 0.6, others)])[:num_detections]
        order = np.argsort(-scores, kind="stable")
        kinds = random.integers(0, 100, NUM_OBJECTS)
        masks = np.concatenate([kinds, random.integers(0, 100, others)])[:num_detections][order]
        detections = Detections(
            image_size=(HEIGHT, WIDTH),
            boxes=torch.from_numpy(found[order]),
            labels=torch.from_numpy(said[order]),
            scores=torch.from_numpy(scores[order].astype(np.float32)),
            rles=[rles[kind] for kind in masks] if rles else None,
        )
        target = Target(image_size=(HEIGHT, WIDTH), boxes=torch.from_numpy(boxes), labels=torch.from_numpy(labels))
        yield (detections, target), [rles[kind] for kind in kinds] if rles else []


def ours(arguments: argparse.Namespace) -> dict[str, float]:
    """Take pictures one by one, and measure them."""
    from delineate.metrics.kept import Picture

    evaluation, seconds = CocoEvaluation(), 0.0
    made = pictures(arguments.pictures, arguments.classes, arguments.detections, shapes() if arguments.masks else [])
    for number, ((detections, target), rles) in enumerate(made):
        start = time.perf_counter()
        if rles:  # `add` encodes masks, which are run lengths here already
            evaluation._pictures.append(Picture(number=number, detections=detections, target=target, rles=rles))
        else:
            evaluation.add(detections, target, number)
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    metrics = evaluation.metrics([f"class {label}" for label in range(arguments.classes)])
    prefix = "mask_" if arguments.masks else ""
    return {"taking": seconds, "measuring": time.perf_counter() - start} | {n: metrics[prefix + n] for n in FIGURES}


def theirs(arguments: argparse.Namespace) -> dict[str, float]:
    """Write rows for all, and measure them by the library."""
    annotations, results, seconds = [], [], 0.0
    made = pictures(arguments.pictures, arguments.classes, arguments.detections, shapes() if arguments.masks else [])
    for number, ((detections, target), rles) in enumerate(made, start=1):
        start = time.perf_counter()
        for values, rows, masks in ((target, annotations, rles), (detections, results, detections.rles)):
            corners = values.boxes.double()
            boxes = torch.cat([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1).tolist()
            for row, (box, label) in enumerate(zip(boxes, values.labels.tolist(), strict=True)):
                entry = {"id": len(rows) + 1, "image_id": number, "category_id": label + 1, "bbox": box, "iscrowd": 0}
                entry["area"] = box[2] * box[3]
                rows.append(entry | ({"segmentation": masks[row]} if masks else {}))
        for entry, score in zip(results[-len(detections) :], detections.scores.tolist(), strict=False):
            entry["score"] = score
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    if arguments.masks:
        from faster_coco_eval.core import mask as coco_masks

        for rows in (annotations, results):
            for entry, area in zip(rows, coco_masks.area([entry["segmentation"] for entry in rows]), strict=True):
                entry["area"] = float(area)
    images = [{"id": n, "height": HEIGHT, "width": WIDTH} for n in range(1, arguments.pictures + 1)]
    categories = [{"id": label + 1, "name": f"class {label}"} for label in range(arguments.classes)]
    truth, found = (
        COCO({"images": images, "categories": categories, "annotations": rows}) for rows in (annotations, results)
    )
    for kind in ("bbox", "segm") if arguments.masks else ("bbox",):
        evaluator = COCOeval_faster(truth, found, kind, print_function=lambda *_: None)
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][..., -1]
    chosen = (
        precision[..., 0],
        precision[0, ..., 0],
        precision[5, ..., 0],
        *(precision[..., area] for area in (1, 2, 3)),
    )
    figures = {name: float(values[values > -1].mean()) for name, values in zip(FIGURES, chosen, strict=True)}
    return {"taking": seconds, "measuring": time.perf_counter() - start} | figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--masks", action="store_true", help="of masks, too")
    parser.add_argument("--side", choices=("ours", "theirs"), help="run one alone, in this process")
    parser.add_argument("--without-theirs", action="store_true", help="where the rows of all do not fit into memory")
    arguments = parser.parse_args()
    if arguments.side:
        imports = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        found = (ours if arguments.side == "ours" else theirs)(arguments)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({**found, "peak_gib": peak, "gib_of_imports": imports}))
        return
    sides = {}
    for side in ("ours",) if arguments.without_theirs else ("ours", "theirs"):
        command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        sides[side] = json.loads(ended.stdout)
    if len(sides) == 2:
        assert all(abs(sides["ours"][name] - sides["theirs"][name]) < 1e-12 for name in FIGURES), sides
    print("| | seconds to take | seconds to measure | GiB at most | of them imports | AP |\n|---|---|---|---|---|---|")
    for side, row in sides.items():
        times = f"{row['taking']:.1f} | {row['measuring']:.1f}"
        name = {"ours": "CocoEvaluation", "theirs": "faster-coco-eval"}[side]
        print(f"| {name} | {times} | {row['peak_gib']:.2f} | {row['gib_of_imports']:.2f} | {row['AP']:.6f} |")


if __name__ == "__main__":
    main()

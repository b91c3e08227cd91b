"""A simulated annotator corrects what a model marks: how much is spared, and what the queue's order brings.

    python benchmarks/labelling.py DATA [--pictures 6 12 20 28 38] [--minutes 3] [--orders teaches random]
                                        [--model mask_rcnn] [--seed 0] [--device cpu] [--out FOLDER]

A simulated annotator begins with the bare pictures of DATA's train part, as `delineate label` does. In every round she
takes so many more of the queue's pictures, lets the model mark them (from the second round on), and puts right what is
wrong, by the truth; then training goes on for the minutes of a round, as by the page's button, and what it learned is
used from then on. After each round AP is measured on DATA's val part, which nothing else looks at. The first round is
the same in every order, as there is no model that could order it.

Edits are counted as a person makes them: an object of the right class whose mask (or box, where there are no masks)
overlaps the truth by an IoU of 0.8 or more needs none; one that overlaps by 0.5 or more is moved, drawn anew or renamed
by one; any other is one to take away, and each object that is missing one to add. By hand each object is one.

In --out: ORDER.json after each order, labelling.json, labelling.png. What is there is not done again.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.ops import box_iou

from delineate.data import read_dataset, read_image
from delineate.evaluation import evaluate, evaluation_data
from delineate.evaluation.data import Source
from delineate.label import Labels, OneModel, Picture, open_labels, teaches
from delineate.label.marks import Mark, marks_of
from delineate.label.opening import Naming
from delineate.ops.masks import decode_rle
from delineate.system.system import System
from delineate.values.thresholds import MIN_SCORE
from delineate.viz.curves import dress, save_figure, style

RIGHT, SAME = 0.8, 0.5
NO_JOINTS = {"keypoints": None, "visibility": None}
METRICS = ("mask_AP", "AP")


@dataclass(frozen=True)
class Round:
    """After so many pictures were corrected: what was measured, and the edits of all so far, beside those by hand."""

    pictures: int
    ap: float
    metrics: Mapping[str, float]
    edits: int
    by_hand: int
    edits_of_round: int
    by_hand_of_round: int
    seconds: float


def main() -> None:
    options = arguments()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for order in options.orders:
        file = out / f"{order}.json"
        if not file.is_file():
            rounds = [asdict(one) for one in annotated(options, order, out / order)]
            file.write_text(json.dumps(rounds, indent=1) + "\n")
        results[order] = json.loads(file.read_text())
    facts = vars(options)
    (out / "labelling.json").write_text(
        json.dumps({"settings": facts, "orders": results}, indent=1, default=str) + "\n"
    )
    draw(results, out / "labelling.png")
    for order, rounds in results.items():
        for one in rounds:
            print(
                f"{order:8s} {one['pictures']:4d} pictures  AP {one['ap']:.3f}  edits of the round "
                f"{one['edits_of_round']} of {one['by_hand_of_round']} by hand  {one['seconds']:.0f} s"
            )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, nargs="+", default=[6, 12, 20, 28, 38])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--orders", nargs="+", default=["teaches", "random"], choices=["teaches", "random", "name"])
    parser.add_argument("--task", default=None, help="instance where there are masks, if not given")
    parser.add_argument("--model", default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/labelling"))
    return parser.parse_args()


def annotated(options: argparse.Namespace, order: str, folder: Path) -> Iterator[Round]:
    """Correct pictures in an order, and train in between."""
    truth = read_dataset(options.data, "train")
    task = options.task or ("instance" if "masks" in truth.contents else "detect")
    shutil.rmtree(folder, ignore_errors=True)
    by_name = bare(truth.files, folder)
    models = OneModel(device=options.device)
    naming = Naming(classes=truth.categories.class_names, task=task)
    labels = open_labels(
        folder,
        models,
        naming=naming,
        first_after=0,
        minutes=options.minutes,
        model=options.model,
        device=options.device,
        seed=options.seed,
    )
    edits = by_hand = 0
    for count in options.pictures:
        began = time.perf_counter()
        system = models.system(models.names()[0]) if models.names() else None
        before = edits, by_hand
        for picture in chosen(labels, order, count - labels.store.counts()["done"], system):
            target = truth[by_name[picture.name]].target
            marks = [mark.model_copy(update=NO_JOINTS) for mark in marks_of(target, truth.categories)]
            found = labels.propose(picture, models.names()[0], MIN_SCORE)["objects"] if system else []
            edits += num_edits(found, marks, target.image_size)
            by_hand += len(marks)
            replaced = {"kind": "replace", "objects": [mark.record() for mark in marks]}
            labels.edit(picture, 0, "annotator", [replaced, {"kind": "state", "state": "done"}])
        trained(labels)
        metrics = measured(models.system(models.names()[0]), options.data)
        yield Round(
            pictures=labels.store.counts()["done"],
            ap=next(metrics[name] for name in METRICS if name in metrics),
            metrics={name: value for name, value in metrics.items() if "/" not in name},
            edits=edits,
            by_hand=by_hand,
            edits_of_round=edits - before[0],
            by_hand_of_round=by_hand - before[1],
            seconds=time.perf_counter() - began,
        )
    labels.close()


def bare(files: Sequence[Path], folder: Path) -> dict[str, int]:
    """Put the pictures alone into a folder; gives their rows by their names there."""
    folder.mkdir(parents=True)
    names = {f"{row:05d}{file.suffix}": row for row, file in enumerate(files)}
    for name, row in names.items():
        with suppress(OSError):
            os.link(files[row], folder / name)
            continue
        shutil.copyfile(files[row], folder / name)
    return names


def chosen(labels: Labels, order: str, count: int, system: System | None) -> list[Picture]:
    """Take the first pictures of the queue that are not done, each of which the model has looked at."""
    queue = labels.queue
    if system is None or order == "random":
        return list(queue.ordered("random"))[:count]
    if order == "name":
        return [one for one in queue.ordered("name") if labels.store.state(one)[0] != "done"][:count]
    open_ones = [one for one in labels.collection.pictures if labels.store.state(one)[0] != "done"]
    values = {one.id: teaches([system], read_image(one.file)) for one in open_ones}
    return sorted(open_ones, key=lambda one: -values[one.id])[:count]


def trained(labels: Labels) -> None:
    """Train as the page's button does, and use what was learned."""
    labels.begin_training()
    while labels.training.running:
        time.sleep(0.2)
    status = labels.training.status
    if status.state == "failed":
        raise SystemExit(status.error)
    if status.state == "done":
        labels.accept()


def measured(system: System, data: Path) -> dict[str, float]:
    """Measure a system on the data's val part."""
    return dict(evaluate(system, evaluation_data(system, Source(data, "val")).dataset).metrics)


def num_edits(found: Sequence[Mapping[str, Any]], truth: Sequence[Mark], size: tuple[int, int]) -> int:
    """Count the edits that turn what was found into the truth."""
    guesses = [Mark(key=str(row), **one) for row, one in enumerate(found)]
    overlaps = iou(guesses, truth, size)
    pairs = sorted(
        ((float(overlaps[a, b]), a, b) for a in range(len(guesses)) for b in range(len(truth))), reverse=True
    )
    left, missing, edits = set(range(len(guesses))), set(range(len(truth))), 0
    for overlap, a, b in pairs:
        if overlap < SAME or a not in left or b not in missing:
            continue
        left.discard(a)
        missing.discard(b)
        edits += overlap < RIGHT or guesses[a].label != truth[b].label
    return edits + len(left) + len(missing)


def iou(guesses: Sequence[Mark], truth: Sequence[Mark], size: tuple[int, int]) -> Tensor:
    """Compute the IoU of masks, or of boxes where one side has no masks."""
    sides = [[mark.mask(size) for mark in marks] for marks in (guesses, truth)]
    if not guesses or not truth or None in sides[0] or None in sides[1]:
        boxes = [torch.tensor([mark.box for mark in marks]).reshape(-1, 4) for marks in (guesses, truth)]
        return box_iou(*boxes)
    mine, theirs = (decode_rle([rle for rle in side if rle], size).flatten(1).float() for side in sides)
    shared = mine @ theirs.T
    return shared / (mine.sum(1)[:, None] + theirs.sum(1)[None] - shared).clamp(min=1)


def draw(results: Mapping[str, Sequence[Mapping[str, Any]]], file: Path) -> None:
    """Draw AP, and the edits of each round as a share of those by hand, against the pictures corrected."""
    with style(list(results)):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for order, rounds in results.items():
            pictures = [one["pictures"] for one in rounds]
            left.plot(pictures, [one["ap"] for one in rounds], marker="o", label=order)
            shares = [one["edits_of_round"] / max(1, one["by_hand_of_round"]) for one in rounds]
            right.plot(pictures, shares, marker="o", label=order)
        right.axhline(1, color="0.6", linestyle=":", linewidth=1)
        for axes, title in ((left, "AP on unseen pictures"), (right, "edits, as a share of those by hand")):
            dress(axes, title)
            axes.set_xlabel("pictures corrected")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set_ylim(bottom=0)
            axes.legend(frameon=False)
        save_figure(figure, file)


if __name__ == "__main__":
    main()

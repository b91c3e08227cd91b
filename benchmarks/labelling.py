"""A simulated annotator corrects what a model marks: how much is spared, and what the queue's order brings.

    python benchmarks/labelling.py DATA [--pictures 6 12 20 30] [--minutes 3] [--orders teaches random] [--pool 200]
                                        [--model mask_rcnn] [--seed 0] [--device cpu] [--out FOLDER]

A simulated annotator begins with the bare pictures of DATA's train part (with more than --pool of them, so many drawn
by the seed), as `delineate label` does. In every round she takes so many more of the queue's pictures, lets the model
mark them (from the second round on), and puts right what is wrong, by the truth; then training goes on for the minutes
of a round, as by the page's button, and what it learned is used from then on. After each round AP is measured on
DATA's val part, which nothing else looks at; of masks, where there are any. The first round is done once for all
orders, as there is no model that could order it; a round in which all pictures are done says nothing of orders.

Edits are counted as a person makes them: an object of the right class whose mask (or box, where there are no masks)
overlaps the truth by an IoU of 0.8 or more is kept, and needs none; one that overlaps by 0.5 or more is bent (moved, or
renamed) by one; any other is removed by one, and each object that is missing is drawn by one. By hand each object is
drawn. What is drawn takes a person much longer than what is removed, so that each kind is counted by itself, too.

It takes about half a minute beside the minutes of each round, of which there are 1 + 3 for each order: with the
defaults and `../shared/data/nuclei` (38 pictures) about 27 minutes on two cores.

In --out: ORDER.json after each order, labelling.json, labelling.png. What is there is not done again.
"""

import argparse
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
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
from delineate.label.labels import NAME
from delineate.label.marks import Mark, marks_of
from delineate.label.opening import Naming
from delineate.label.training import RUNS
from delineate.ops.masks import decode_rle
from delineate.system.system import System
from delineate.viz.curves import dress, save_figure, style

RIGHT, SAME = 0.8, 0.5
NO_JOINTS = {"keypoints": None, "visibility": None}
METRICS = ("mask_AP", "AP")


@dataclass(frozen=True)
class Round:
    """After so many pictures were corrected: what was measured, and the edits of the round, beside those by hand."""

    pictures: int
    ap: float
    metrics: Mapping[str, float]
    kinds: Mapping[str, int]
    edits: int
    by_hand: int
    seconds: float


class Desk:
    """An annotator has a folder of pictures open, and knows the truth."""

    def __init__(self, options: argparse.Namespace, folder: Path, run: Path | None) -> None:
        self.options, self.folder = options, folder
        self.truth = read_dataset(options.data, "train")
        task = options.task or ("instance" if "masks" in self.truth.contents else "detect")
        self.models = OneModel(None if run is None else NAME, run, device=options.device)
        self.labels = open_labels(
            folder,
            self.models,
            naming=Naming(classes=self.truth.categories.class_names, task=task),
            first_after=0,
            minutes=options.minutes,
            model=options.model,
            device=options.device,
            seed=options.seed,
        )

    @property
    def system(self) -> System | None:
        names = self.models.names()
        return self.models.system(names[0]) if names else None

    def round(self, pictures: Sequence[Picture]) -> Round:
        """Correct pictures, train on, and measure."""
        began, kinds, by_hand = time.perf_counter(), Counter[str](), 0
        for picture in pictures:
            target = self.truth[int(picture.file.stem)].target
            marks = [mark.model_copy(update=NO_JOINTS) for mark in marks_of(target, self.truth.categories)]
            found = self.labels.propose(picture, NAME)["objects"] if self.system else []
            kinds += edits(found, marks, target.image_size)
            by_hand += len(marks)
            replaced = {"kind": "replace", "objects": [mark.record() for mark in marks]}
            self.labels.edit(picture, 0, "annotator", [replaced, {"kind": "state", "state": "done"}])
        trained(self.labels)
        assert self.system is not None
        metrics = measured(self.system, self.options.data)
        return Round(
            pictures=self.labels.store.counts()["done"],
            ap=next(metrics[name] for name in METRICS if name in metrics),
            metrics={name: value for name, value in metrics.items() if "/" not in name},
            kinds={kind: kinds[kind] for kind in ("kept", "bent", "removed", "drawn")},
            edits=kinds["bent"] + kinds["removed"] + kinds["drawn"],
            by_hand=by_hand,
            seconds=time.perf_counter() - began,
        )


def main() -> None:
    options = arguments()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    first = kept(out / "first.json", lambda: begun(options, out / "first"))
    results = {order: first + kept(out / f"{order}.json", partial(ordered, options, order)) for order in options.orders}
    facts = {"settings": vars(options), "orders": results}
    (out / "labelling.json").write_text(json.dumps(facts, indent=1, default=str) + "\n")
    draw(results, out / "labelling.png")
    for order, rounds in results.items():
        for one in rounds:
            kinds = ", ".join(f"{count} {kind}" for kind, count in one["kinds"].items())
            print(
                f"{order:8s} {one['pictures']:4d} pictures  AP {one['ap']:.3f}  {one['edits']} edits of the round "
                f"({kinds}), {one['by_hand']} by hand  {one['seconds']:.0f} s"
            )


def kept(file: Path, work: Callable[[], list[Round]]) -> list[dict[str, Any]]:
    """Do what was not done yet."""
    if not file.is_file():
        file.write_text(json.dumps([asdict(one) for one in work()], indent=1) + "\n")
    rounds: list[dict[str, Any]] = json.loads(file.read_text())
    return rounds


def begun(options: argparse.Namespace, folder: Path) -> list[Round]:
    """Do the first round, whose pictures no model orders, in a folder of bare pictures."""
    shutil.rmtree(folder, ignore_errors=True)
    bare(read_dataset(options.data, "train").files, folder, options.pool, options.seed)
    desk = Desk(options, folder, None)
    rounds = [desk.round(desk.labels.queue.ordered("random")[: options.pictures[0]])]
    desk.labels.close()
    return rounds


def ordered(options: argparse.Namespace, order: str) -> list[Round]:
    """Go on from the first round in an order."""
    folder = options.out / order
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(options.out / "first", folder)
    desk = Desk(options, folder, folder / RUNS / "run-1")
    rounds = []
    for count in options.pictures[1:]:
        done = desk.labels.store.counts()["done"]
        rounds.append(desk.round(chosen(desk.labels, order, count - done, desk.system)))
    desk.labels.close()
    return rounds


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, nargs="+", default=[6, 12, 20, 30])
    parser.add_argument("--pool", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--orders", nargs="+", default=["teaches", "random"], choices=["teaches", "random", "name"])
    parser.add_argument("--task", default=None, help="instance where there are masks, if not given")
    parser.add_argument("--model", default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/labelling"))
    return parser.parse_args()


def bare(files: Sequence[Path], folder: Path, pool: int, seed: int) -> None:
    """Put pictures alone into a folder, named by their rows."""
    folder.mkdir(parents=True)
    for row in sorted(random.Random(seed).sample(range(len(files)), min(pool, len(files)))):
        shutil.copyfile(files[row], folder / f"{row:05d}{files[row].suffix}")


def chosen(labels: Labels, order: str, count: int, system: System | None) -> list[Picture]:
    """Take the first pictures of the queue that are not done, each of which the model has looked at."""
    queue = [one for one in labels.queue.ordered(order) if labels.store.state(one)[0] != "done"]
    if order == "teaches":
        assert system is not None
        values = {one.id: teaches([system], read_image(one.file)) for one in queue}
        queue.sort(key=lambda one: -values[one.id])
    return queue[:count]


def trained(labels: Labels) -> None:
    """Train as the page's button does, and use what was learned, as a first model is at once."""
    labels.begin_training()
    status = labels.training.wait()
    if status.state == "failed":
        raise SystemExit(status.error)
    if status.state == "done":
        labels.accept()


def measured(system: System, data: Path) -> dict[str, float]:
    """Measure a system on the data's val part."""
    return dict(evaluate(system, evaluation_data(system, Source(data, "val")).dataset).metrics)


def edits(found: Sequence[Mapping[str, Any]], truth: Sequence[Mark], size: tuple[int, int]) -> Counter[str]:
    """Count what is kept, bent, removed and drawn where what was found becomes the truth."""
    guesses = [Mark(key=str(row), **one) for row, one in enumerate(found)]
    overlaps = iou(guesses, truth, size)
    pairs = sorted(
        ((float(overlaps[a, b]), a, b) for a in range(len(guesses)) for b in range(len(truth))), reverse=True
    )
    left, missing, kinds = set(range(len(guesses))), set(range(len(truth))), Counter[str]()
    for overlap, a, b in pairs:
        if overlap < SAME or a not in left or b not in missing:
            continue
        left.discard(a)
        missing.discard(b)
        kinds["kept" if overlap >= RIGHT and guesses[a].label == truth[b].label else "bent"] += 1
    return kinds + Counter(removed=len(left), drawn=len(missing))


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
    """Draw AP, and what of a round's objects is drawn, beside all edits, against the pictures corrected."""
    with style(list(results)):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for order, rounds in results.items():
            pictures = [one["pictures"] for one in rounds]
            line = left.plot(pictures, [one["ap"] for one in rounds], marker="o", label=order)[0]
            by_hand = [max(1, one["by_hand"]) for one in rounds]
            drawn = [one["kinds"]["drawn"] / most for one, most in zip(rounds, by_hand, strict=True)]
            right.plot(pictures, drawn, marker="o", label=f"{order}: drawn")
            every = [one["edits"] / most for one, most in zip(rounds, by_hand, strict=True)]
            right.plot(pictures, every, marker="o", linestyle="--", color=line.get_color(), label=f"{order}: all edits")
        right.axhline(1, color="0.6", linestyle=":", linewidth=1)
        for axes, title in ((left, "AP on unseen pictures"), (right, "edits, as a share of drawing all")):
            dress(axes, title)
            axes.set_xlabel("pictures corrected")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set_ylim(bottom=0)
            axes.legend(frameon=False)
        save_figure(figure, file)


if __name__ == "__main__":
    main()

"""`python docs/figures.py RUN` draws pictures of docs/images: what the doctor mends, augmentation, tiles and choices.

RUN is a detector that was trained on synthetic pictures, as `delineate demo` trains one. Everything is synthetic.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from delineate.data import Synthetic, synthesise
from delineate.data.balancing import balance
from delineate.data.counting import amounts_by_class
from delineate.data.dataset import Dataset, Part
from delineate.data.tiles import Tiles
from delineate.deploy import Predictor
from delineate.doctor import examine, mend
from delineate.doctor.drawing import drawn
from delineate.doctor.findings import Example
from delineate.doctor.layouts import parts_of
from delineate.doctor.records import Record, Thing
from delineate.training import TrainingSettings
from delineate.training.showing import shown
from delineate.viz import comparison_grid, draw_target, fitted, palette, write_picture
from delineate.viz.curves import dress, save_figure, style
from delineate.viz.scaling import READABLE

IMAGES = Path(__file__).parent / "images"
SIZE = (96, 128)
SMALL: dict[str, Any] = {"backbone": "resnet10t", "width": 16}
PLAIN: dict[str, Any] = {"scale": (1.0, 1.0), "flip": 0.0, "colour": 0.0, "crop_size": SIZE, "arguments": SMALL}
VARIED: dict[str, dict[str, Any]] = {
    "picture": {},
    "--mosaic 1": {"mosaic": 1.0},
    "--mixup 1": {"mixup": 1.0},
    "--copy-paste 1": {"copy_paste": 1.0},
    "--rotate 25": {"rotate": 25.0},
    "--shear 40": {"shear": 40.0},
    "--blur 1": {"blur": 1.0},
    "--mosaic 1 --rotate 25": {"mosaic": 1.0, "rotate": 25.0},
}
CHOICES: dict[str, dict[str, Any]] = {
    "--min-score 0.5": {"min_score": 0.5},
    "--min-score 0.2": {"min_score": 0.2},
    "--min-score 0.2 --class-agnostic": {"min_score": 0.2, "class_agnostic": True},
    "--min-score 0.5 --nms-iou 0.8": {"min_score": 0.5, "nms_iou": 0.8},
}
BESIDE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "normalised": lambda row: {"bbox": [value / SIZE[1 - place % 2] for place, value in enumerate(row["bbox"])]},
    "reaches-out": lambda row: {"bbox": [row["bbox"][0], row["bbox"][1], 180, row["bbox"][3]], "segmentation": []},
    "box-not-mask": lambda row: {"bbox": [row["bbox"][0] - 14, row["bbox"][1] - 10, *row["bbox"][2:]]},
    "keypoints-outside": lambda row: {"keypoints": [150, 40, 2, *row["keypoints"][3:]]},
}
"""What is planted of each kind in an object."""


def large(image: Tensor, target: Any, categories: Any) -> Tensor:
    """Draw what is known of a picture at a size that can be read."""
    return draw_target(*fitted(image, target, smallest=READABLE, largest=1024), categories)


def draw_augmentations(data: Path) -> None:
    """Show a picture as each option varies it."""
    images = []
    for options in VARIED.values():
        settings = TrainingSettings(model="mask_rcnn", data=data, seed=3, **PLAIN, **options)
        categories, pictures = shown(settings, 2, 1)
        *_, (_, [varied]) = pictures
        images.append(large(varied.image, varied.target, categories))
    titles = tuple(VARIED)
    rows = [comparison_grid([images[first : first + 4]], titles=titles[first : first + 4]) for first in (0, 4)]
    write_picture(IMAGES / "augmentations.png", torch.cat(rows, 1))


def draw_tiles() -> None:
    """Show a picture, and the tiles that a training makes of it, of one in which little is left of a large object."""
    for seed in range(60):
        whole = Synthetic(1, image_size=(128, 208), seed=seed)
        tiles = Tiles(whole, 128, 32)
        samples = [whole[0], *(tiles[index] for index in range(len(tiles)))]
        sides = torch.cat(
            [(one.target.boxes[:, 2:] - one.target.boxes[:, :2])[one.target.difficult] for one in samples]
        )
        if len(sides) and sides.amin(1).max() > 14:
            break
    row = [large(one.image, one.target, whole.categories) for one in samples]
    titles = ("picture", *(f"tile {number}" for number in range(1, len(samples))))
    write_picture(IMAGES / "tiles_training.png", comparison_grid([row], titles=titles))


def draw_choices(run: str) -> None:
    """Show what a detector finds in a crowded picture by each choice among its detections."""
    predictor = Predictor.load(run, device="cpu")
    image = Synthetic(1, image_size=SIZE, seed=11)[0].image
    found = [predictor(image, **options)[0] for options in CHOICES.values()]
    row = [large(image, one, predictor.categories) for one in found]
    write_picture(IMAGES / "choices.png", comparison_grid([row], titles=tuple(CHOICES)))


def long_tailed(num_images: int) -> Dataset:
    """Keep of the pictures with stars and figures a few, and all others."""
    whole = Synthetic(num_images, image_size=(64, 64))
    _, names, amounts, _ = amounts_by_class(whole)
    having = amounts[:, [names.index("star"), names.index("figure")]] > 0
    few = {int(index) for column, keep in zip(having.T, (8, 20), strict=True) for index in column.nonzero()[0][:keep]}
    return Part(whole, [index for index in range(num_images) if index in few or not having[index].any()])


def draw_rare() -> None:
    """Show how often pictures with each class come."""
    dataset = long_tailed(300)
    _, names, amounts, _ = amounts_by_class(dataset)
    factors = balance(dataset)[0].numpy()
    present = amounts > 0
    order = np.argsort(present.sum(0))
    shuffled, balanced = present.sum(0)[order], (present * factors[:, None]).sum(0)[order]
    colors, places = (palette(2) / 255).tolist(), np.arange(len(order))
    with style(tuple(names)):
        figure = Figure(figsize=(7, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.barh(places + 0.2, shuffled, 0.38, color=colors[0], label="shuffled")
        axes.barh(places - 0.2, balanced, 0.38, color=colors[1], label="--sampler class_balanced")
        axes.set_yticks(places, [names[index] for index in order])
        axes.legend(loc="lower right", frameon=False, fontsize=9)
        dress(axes, f"pictures of an epoch ({len(dataset)}) that have the class")
        save_figure(figure, IMAGES / "rare_classes.png")


def planted(root: Path) -> None:
    """Write a set with one fault of each kind, in a picture of its own."""
    synthesise(root, num_images=24, image_size=SIZE, seed=2)
    source = root / "annotations/instances_train.json"
    document = json.loads(source.read_text())
    taken: set[int] = set()
    for kind, change in BESIDE.items():
        needs = "keypoints" if kind == "keypoints-outside" else "segmentation"
        row = next(
            row
            for row in document["annotations"]
            if any(row.get(needs) or ()) and not row["iscrowd"] and row["image_id"] not in taken and row["area"] > 700
        )
        row.update(change(row))
        taken.add(row["image_id"])
    source.write_text(json.dumps(document))


def of_copy(copy: Path, example: Example) -> Iterator[tuple[Record, Sequence[Thing]]]:
    """Find the picture of an example in the mended copy."""
    assert example.record is not None
    for part in parts_of(copy, "coco"):
        for record in part.records:
            if record.split == example.record.split and record.file.name == example.record.file.name:
                yield record, part.things(record)[0]


def draw_mended(folder: Path) -> None:
    """Show objects before and after `--fix`."""
    planted(folder / "data")
    findings = examine(folder / "data")
    mend(findings, folder / "mended")
    columns = []
    for kind in BESIDE:
        example = findings.found[kind].examples[0]
        [(record, things)] = of_copy(folder / "mended", example)
        after = Example(place=example.place, record=record, things=things, rows=example.rows)
        columns.append([drawn(one)[0][1] for one in (example, after)])
    write_picture(IMAGES / "doctor_fix.png", comparison_grid(list(zip(*columns, strict=True)), titles=tuple(BESIDE)))


def of_small_objects(root: Path, rows: int = 3, columns: int = 3) -> None:
    """Write one picture made of many, whose objects are small in it."""
    parts = Synthetic(rows * columns, image_size=(96, 96), seed=9)
    samples = [parts[index] for index in range(len(parts))]
    lines = [torch.cat([one.image for one in samples[row * columns :][:columns]], 2) for row in range(rows)]
    boxes = [
        (box + torch.tensor([96 * (index % columns), 96 * (index // columns)]).repeat(2), int(label))
        for index, one in enumerate(samples)
        for box, label in zip(one.target.boxes, one.target.labels, strict=True)
    ]
    objects = [
        {
            "id": number,
            "image_id": 1,
            "category_id": label + 1,
            "bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()],
        }
        for number, (box, label) in enumerate(boxes, 1)
    ]
    images = [{"id": 1, "file_name": "a.png", "height": 96 * rows, "width": 96 * columns}]
    categories = [{"id": number, "name": name} for number, name in enumerate(parts.categories.class_names, 1)]
    document = {"images": images, "annotations": objects, "categories": categories}
    for folder in ("images/train", "annotations"):
        (root / folder).mkdir(parents=True)
    write_picture(root / "images/train/a.png", torch.cat(lines, 1))
    (root / "annotations/instances_train.json").write_text(json.dumps(document))


def draw_lost(folder: Path) -> None:
    """Show the objects that no default box of SSD matches."""
    of_small_objects(folder)
    [(_, picture)] = drawn(examine(folder, system="ssd").found["unmatched"].examples[0])
    write_picture(IMAGES / "doctor_for.png", picture)


def main() -> None:
    """Draw all of them."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        synthesise(Path(folder) / "shapes", num_images=20, image_size=SIZE, seed=7)
        draw_augmentations(Path(folder) / "shapes")
        draw_mended(Path(folder))
        draw_lost(Path(folder) / "small")
    draw_tiles()
    draw_rare()
    draw_choices(sys.argv[1])


if __name__ == "__main__":
    main()

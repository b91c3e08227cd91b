"""A tiny form of every system, and pictures for all of them: what the tests of the contract share."""

from collections.abc import Sequence
from typing import Any

import torch
from tests.models.one_stage import tiny as one_stage
from tests.models.queries import tiny as queries
from tests.models.regression import tiny as regression
from tests.models.segmentation import tiny as segmentation
from tests.models.two_stage import tiny as two_stage
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.metrics import CocoEvaluation
from delineate.models.contract import AnyModel, Inputs
from delineate.system.catalog import CATALOG, build
from delineate.system.system import System
from delineate.values import IGNORE, Categories, Target, Truth

TINY: dict[str, dict[str, Any]] = {
    **segmentation.TINY,
    **regression.TINY,
    **two_stage.TINY,
    **one_stage.TINY,
    **queries.TINY,
}
"""The smallest form of each system; one without an entry here runs as its preset is."""


def family(room: str) -> list[str]:
    """The systems whose preset is in `models/ROOM`."""
    return [name for name, entry in CATALOG.items() if f".models.{room}." in entry.preset.__module__]


SEGMENTATION, REGRESSION, TWO_STAGE, ONE_STAGE, QUERIES = (
    family(room) for room in ("segmentation", "regression", "two_stage", "one_stage", "queries")
)

CATEGORIES = Categories(
    class_names=("disk", "box"),
    label_map_names=("disk", "box", "background"),
    keypoint_names=("centre", "top", "right"),
)
SIZE = (66, 91)


def tiny(name: str) -> AnyModel:
    model = build(name, CATEGORIES, **TINY.get(name, {}))
    if "keypoint_classes" in model.state_dict():
        model.begin(Disks())
    return model


class Disks:
    """What is known of `pictures` before training: disks have keypoints."""

    def object_sizes(self) -> Tensor:
        return torch.cat([target.boxes[:, 2:] - target.boxes[:, :2] for target in pictures(8)[1]])

    def keypoint_classes(self) -> Tensor:
        return torch.tensor([True, False])

    def class_weights(self) -> Tensor | None:
        return None


def system_of(name: str, model: AnyModel | None = None, preprocess: Preprocess | None = None) -> System:
    """A system around its tiny model, or another one, which takes pictures at their own size where it takes any."""
    model = tiny(name) if model is None else model
    return System(
        name=name,
        arguments=TINY.get(name, {}),
        model=model,
        preprocess=preprocess or Preprocess(size=model.input_size),
        categories=CATEGORIES,
    )


def batch(model: AnyModel, images: Tensor, targets: Sequence[Target]) -> tuple[Inputs, list[Truth]]:
    """What `Model.loss` takes."""
    return System(name="", model=model, preprocess=Preprocess(), categories=CATEGORIES).batch(images, targets)


def size_for(model: AnyModel) -> tuple[int, int]:
    """The size of pictures that the tests give it: an odd one, where it takes any."""
    return model.input_size or SIZE


def pictures(count: int, size: tuple[int, int] = SIZE) -> tuple[Tensor, list[Target]]:
    """Coloured disks and boxes on gray, large enough for the coarsest system to tell apart; disks have keypoints."""
    height, width = size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    images, targets = [], []
    for i in range(count):
        image = torch.full((3, height, width), 110) + torch.randint(-25, 25, (3, height, width))
        label_map = torch.full(size, 2)
        cy, cx, radius = height * (0.35 + 0.1 * (i % 3)), width * (0.3 + 0.05 * (i % 4)), height * 0.28
        disk = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
        box = (y > height * 0.1 * i) & (y < height * (0.5 + 0.1 * i)) & (x > width * 0.62) & (x < width * 0.95)
        for value, (shape, colour) in enumerate(((disk, (220, 60, 40)), (box, (40, 90, 220)))):
            label_map[shape] = value
            image[:, shape] += (torch.tensor(colour) - 110)[:, None]
        images.append(image.clamp(0, 255).to(torch.uint8))
        masks = torch.stack([label_map == value for value in range(2)])
        keypoints = torch.zeros(2, 3, 2)
        keypoints[0] = torch.tensor([[cx, cy], [cx, cy - radius], [cx + radius, cy]]) + 0.5
        targets.append(
            Target(
                image_size=size,
                boxes=torch.stack([_box(mask) for mask in masks]),
                labels=torch.arange(2),
                masks=masks,
                keypoints=keypoints,
                visibility=torch.tensor([[2, 2, 2], [0, 0, 0]]),
                label_map=label_map,
                categories=CATEGORIES,
            )
        )
    return torch.stack(images), targets


def nothing(size: tuple[int, int] = SIZE) -> Target:
    """The target of a picture without objects, and without a pixel that is known."""
    return Target(image_size=size, label_map=torch.full(size, IGNORE), categories=CATEGORIES)


def overfit_boxes(system: System, size: tuple[int, int], learning_rate: float) -> dict[str, float]:
    """COCO's metrics on four pictures that the system was trained on until it finds them, or for 300 steps."""
    model = system.model
    images, targets = pictures(4, size)
    inputs, truths = batch(model, images, targets)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0)
    metrics: dict[str, float] = {}
    for step in range(300):
        optimizer.zero_grad()
        sum(model.train().loss(inputs, truths).values()).backward()
        optimizer.step()
        if step % 20 == 19:
            evaluation = CocoEvaluation()
            for result, target in zip(system.infer(list(images)), targets, strict=True):
                evaluation.add(result, target)
            metrics = evaluation.metrics(CATEGORIES.class_names)
            if metrics["AP50"] >= 0.95 and metrics["AP75"] >= 0.7:
                break
    return metrics


def _box(mask: Tensor) -> Tensor:
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()

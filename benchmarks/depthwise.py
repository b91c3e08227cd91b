"""Depthwise convolutions in float32, as training computes them on CPUs, beside all in bfloat16 (`torch.autocast`).

    python benchmarks/depthwise.py [--repeats 5] [--json]

All but 3x3 with a stride and a dilation of 1 are. A step (loss, gradients, AdamW) of systems around backbones that have
such, on four random pictures of 320 x 448 with twelve objects each, on a CPU that has bfloat16.
"""

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import torch

from delineate.models.contract import AnyModel, Inputs
from delineate.system.catalog import build, light_form
from delineate.training import TrainingSettings
from delineate.training.optimisation import make_optimizer
from delineate.training.precision import autocast
from delineate.values import Categories, Truth
from timing import interleaved, print_rows

SIZE = (320, 448)
SYSTEMS = {
    "fcos": "tf_efficientnet_lite0",
    "faster_rcnn": "tf_efficientnet_lite0",
    "deeplabv3plus": "tf_efficientnet_lite0",
    "unet": "tf_efficientnet_lite0",
    "lraspp": "mobilenetv3_large_100",
}


def stepping(name: str, backbone: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Give a step of that system as training takes it, and one by `torch.autocast` alone, on the same pictures."""
    torch.manual_seed(0)
    names = ("one", "two", "three")
    categories = Categories(class_names=names, label_map_names=names)
    arguments, _ = light_form(name)
    model: AnyModel = build(name, categories, **{**arguments, "backbone": backbone})
    model.to(memory_format=torch.channels_last).train()
    settings = TrainingSettings(model=name, data=Path(), precision="bf16")
    optimizer = make_optimizer(model, settings)
    images = torch.randn(4, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    truths = []
    for _ in range(4):
        corners = torch.rand(12, 2) * torch.tensor([SIZE[1] - 80.0, SIZE[0] - 80.0])
        boxes = torch.cat([corners, corners + 30 + 50 * torch.rand(12, 2)], 1)
        label_map = torch.randint(0, 3, SIZE)
        truths.append(Truth(SIZE, boxes, torch.randint(0, 3, (12,)), boxes[:0], label_map=label_map))

    def step(precision: Callable[[], AbstractContextManager[object]]) -> None:
        with precision():
            losses = model.loss(Inputs(images), truths)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()

    ours = partial(autocast, settings, torch.device("cpu"), model)
    return partial(step, ours), partial(step, partial(torch.autocast, "cpu", torch.bfloat16))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [
        interleaved(f"{name}, {backbone}: seconds a step", *stepping(name, backbone), options.repeats)
        for name, backbone in SYSTEMS.items()
    ]
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()

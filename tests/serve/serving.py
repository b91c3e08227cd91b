"""Small runs, pictures as bytes, and a crew that can be held: what the tests of the server share."""

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from delineate.data.preprocess import Preprocess
from delineate.deploy import Predictor, prediction_record
from delineate.serve import ServedModels
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.values import Categories

NAMES = ("cat", "dog")
LOW = 0.05
"""What has learned nothing finds objects from this score on."""


def mask_rcnn(folder: Path, seed: int = 0) -> Path:
    """Write a run of a Mask R-CNN that has learned nothing."""
    torch.manual_seed(seed)
    arguments = {"backbone": "resnet10t", "width": 16, "anchor_size": 8, "num_rois": 32}
    categories = Categories(class_names=NAMES)
    model = build("mask_rcnn", categories, **arguments)
    torch.nn.init.normal_(model.box_head.classify.weight, std=1.0)  # scores differ
    System(
        name="mask_rcnn", model=model, arguments=arguments, categories=categories, preprocess=Preprocess(short_side=48)
    ).save(folder / "best.safetensors")
    return folder


def segmenter(folder: Path) -> Path:
    """Write a run of a dense system that has learned nothing."""
    torch.manual_seed(0)
    categories = Categories(class_names=NAMES, label_map_names=(*NAMES, "background"))
    arguments = {"width": 4, "depth": 2}
    model = build("fcn_full_resolution", categories, **arguments)
    torch.nn.init.zeros_(model.network[-1].bias)  # else one class wins everywhere
    System(
        name="fcn_full_resolution",
        model=model,
        arguments=arguments,
        categories=categories,
        preprocess=Preprocess(short_side=32),
    ).save(folder / "best.safetensors")
    return folder


def picture(height: int = 48, width: int = 64, seed: int = 0, kind: str = "png") -> bytes:
    """Write a picture of noise, smoothed enough to hold something, as a file's bytes."""
    noise = torch.randint(0, 256, (6, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    stream = io.BytesIO()
    Image.fromarray(noise.numpy()).resize((width, height), Image.Resampling.BICUBIC).save(stream, format=kind)
    return stream.getvalue()


def record(run: Path, data: bytes, file: str = "", **options: Any) -> dict[str, Any]:
    """What `predict --json` writes of a picture, without a server."""
    predictor = Predictor.load(run, device="cpu")
    [prediction] = predictor(data, **options)
    return prediction_record(prediction, predictor.categories, file=file)


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Records are the same, to what the order of sums in a batch may change."""
    close = {"boxes": 1e-2, "scores": 1e-5}
    if set(first) != set(second) or len(first["boxes"]) != len(second["boxes"]):
        return False
    return all(
        torch.allclose(torch.tensor(first[key]), torch.tensor(second[key]), atol=close[key])
        if key in close
        else first[key] == second[key]
        for key in first
        if key != "masks"  # whose borders follow the boxes' last digits
    )


class Held:
    """A crew does nothing else until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Event()

    def __call__(self, items: Sequence[Any]) -> Callable[[], Sequence[Any]]:
        self.begun.release()
        self.go.wait(20)
        return lambda: [None] * len(items)


@contextmanager
def held(models: ServedModels, name: str) -> Iterator[Held]:
    """Hold every thread of a model's crew."""
    crew = models[name].loaded.crew
    holds = [Held() for _ in crew._threads]
    for hold in holds:
        crew.ask(hold, None)
    for hold in holds[: crew.at_once]:
        assert hold.begun.acquire(timeout=20)
    try:
        yield holds[0]
    finally:
        for hold in holds:
            hold.go.set()

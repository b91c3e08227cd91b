"""A predictor is a trained system ready for use."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, Unpack

import torch
from jaxtyping import UInt8
from torch import Tensor

from delineate.artefact import load_system
from delineate.deploy.pictures import Pictures, decoded
from delineate.deploy.tiling import segment_tiled
from delineate.system.system import System
from delineate.values import Categories, InputError, Prediction, on_cpu


class Predicted(NamedTuple):
    """A result comes with its picture, and the picture's file (`""` for one that was given in memory)."""

    file: str
    image: UInt8[Tensor, "3 h w"]
    prediction: Prediction


class ThresholdOptions(TypedDict, total=False):
    """These options of `Predictor.predict` choose among objects, as `Thresholds` does."""

    min_score: float | None
    nms_iou: float | None
    max_candidates: int | None
    max_detections: int | None


class PredictOptions(ThresholdOptions, total=False):
    """These are all options of `Predictor.predict`."""

    tile: tuple[int, int] | None
    overlap: int
    batch_size: int
    workers: int
    unreadable: Callable[[InputError], None] | None


class Predictor:
    """A predictor is a trained system that takes pictures of every kind, and gives results in their coordinates.

    `predictor(pictures)` gives a list; `predictor.predict(pictures)` goes through any number of them one by one.
    """

    def __init__(self, system: System) -> None:
        system.model.eval()
        self.system = system

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        device: str = "auto",
        weights: Literal["best", "last"] = "best",
        precision: Literal["auto", "fp32", "bf16"] = "fp32",
    ) -> "Predictor":
        """Load the system of a run folder, of a `.safetensors` file that a run wrote, or of a folder of `export`.

        `device` is `auto` (a GPU if there is one), or torch's name of one. With `precision` `bf16` networks compute in
        bfloat16, which is faster where the device has instructions for it, and changes scores by about a hundredth;
        `auto` does so there; an export computes in its own precision. Raises `InputError` when there is no such run, no
        such device, or the file is no checkpoint.
        """
        return cls(load_system(Path(run), device=device, weights=weights, precision=precision))

    @property
    def categories(self) -> Categories:
        """Give the names behind the numbers of the results."""
        return self.system.categories

    def __call__(self, pictures: Pictures, **options: Unpack[PredictOptions]) -> list[Prediction]:
        """List the results of some pictures, in the order given; see `predict`."""
        return [predicted.prediction for predicted in self.predict(pictures, **options)]

    def predict(
        self,
        pictures: Pictures,
        *,
        tile: tuple[int, int] | None = None,
        overlap: int = 64,
        batch_size: int = 1,
        workers: int = 0,
        unreadable: Callable[[InputError], None] | None = None,
        **thresholds: Unpack[ThresholdOptions],
    ) -> Iterator[Predicted]:
        """Give results one by one, in the order of the pictures, each at its picture's original size.

        Objects that score `min_score` or more are given; `nms_iou`, `max_candidates` and `max_detections` are those of
        `Thresholds`; what is `None` is as the system was saved. With `tile`, pictures larger than that
        `(height, width)` go through the network in tiles that overlap by `overlap` pixels (dense systems only). Of
        `batch_size` pictures, those of one resized size go through the network together; `workers` threads read ahead.

        Raises `InputError` for a threshold where the system has nothing to choose, and for a picture that cannot be
        read, unless `unreadable` takes the error: then the picture is passed over.
        """
        min_score = thresholds.pop("min_score", None)
        score = None if min_score is None else _just_below(min_score)
        system = self.system.with_thresholds(score=score, **thresholds)
        if tile is not None and "label_map" not in system.task.needs:
            raise InputError("tile: only dense systems can go through a picture in tiles; leave it out for a detector")
        pictures_read = decoded(pictures, unreadable, workers)
        while batch := list(islice(pictures_read, batch_size)):
            images = [image for _, image in batch]
            if tile is None:
                predictions = system.infer(images)
            else:
                predictions = [_tiled(system, image, tile, overlap, batch_size) for image in images]
            for (file, image), prediction in zip(batch, predictions, strict=True):
                yield Predicted(file, image, on_cpu(prediction))


def _just_below(score: float) -> float:
    """Lower a score by the least that float32 can tell: scores are above a threshold, and `min_score` is included."""
    return float(torch.nextafter(torch.tensor(score, dtype=torch.float32), torch.tensor(0.0)))


def _tiled(system: System, image: Tensor, tile: tuple[int, int], overlap: int, batch_size: int) -> Prediction:
    if image.shape[-2] <= tile[0] and image.shape[-1] <= tile[1]:
        return system.infer([image])[0]
    return segment_tiled(system, image, tile=tile, overlap=overlap, batch_size=batch_size)

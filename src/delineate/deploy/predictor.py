"""A predictor is a trained system ready for use."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, Unpack

import torch
from jaxtyping import Float, Real, UInt8
from torch import Tensor

from delineate.artefact import is_export, load_system
from delineate.data.regions import Regions, as_seen
from delineate.deploy.choosing import Score, choosing
from delineate.deploy.pictures import Pictures, in_regions, read_ahead
from delineate.deploy.pipeline import gathered, in_order, reordered
from delineate.deploy.tiling import check_tiled, find_tiled
from delineate.deploy.video import PredictedFrame, Video, VideoSource, open_video, predicted_frames
from delineate.export.optimising import load_optimised
from delineate.io.machine import num_cores
from delineate.io.runs import find_checkpoint
from delineate.models.contract import Rows, Scores
from delineate.system.system import System, evaluating
from delineate.values import Categories, InputError, Prediction, on_cpu

SPAN = 4
"""So many batches' pictures may come between two that go through the network together."""


class Predicted(NamedTuple):
    """A result comes with its picture, and the picture's file (`""` for one that was given in memory).

    A picture that was read by regions is shrunk, and its result is that of the original size.
    """

    file: str
    image: UInt8[Tensor, "3 h w"]
    prediction: Prediction


class ThresholdOptions(TypedDict, total=False):
    """These options of `Predictor.predict` choose among objects, as `Thresholds` does."""

    min_score: Score | None
    nms_iou: float | None
    max_candidates: int | None
    max_detections: int | None
    class_agnostic: bool | None
    calibrate_scores: bool


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
        optimise: Literal["auto"] | None = None,
    ) -> "Predictor":
        """Load the system of a run folder, of a `.safetensors` file that a run wrote, or of a folder of `export`.

        `device` is `auto` (a GPU if there is one), or torch's name of one. With `precision` `bf16` networks compute in
        bfloat16, which is faster where the device has instructions for it, and changes scores by about a hundredth;
        `auto` does so there; an export computes in its own precision. With `optimise` `auto`, a run is loaded in its
        fastest form on this CPU that gives its results, which is found out the first time (`load_optimised`).

        Raises `InputError` when there is no such run, no such device, or the file is no checkpoint.
        """
        if optimise is None:
            return cls(load_system(Path(run), device=device, weights=weights, precision=precision))
        if device not in ("auto", "cpu") or precision != "fp32":
            raise InputError("optimise: it looks among every precision on a CPU; leave precision and device out")
        if is_export(Path(run)):
            raise InputError(f"optimise: {run} is an export, which is in a form already; name its run")
        return cls(load_optimised(find_checkpoint(Path(run), weights)))

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

        Objects that score `min_score` or more are given, which may be one for each class by its name; where there is
        none, those that the operating points of the run say. `calibrate_scores` makes scores the share of such
        detections that is right. `nms_iou`, `max_candidates`, `max_detections` and `class_agnostic` are those of
        `Thresholds`; what is `None` is as the system was saved. With `tile`, pictures larger than that
        `(height, width)` go through the network in tiles that overlap by `overlap` pixels, detectors' once as a whole,
        too; a large TIFF is then read region by region, and never whole in memory. Up to
        `batch_size` pictures of one resized size, which need not follow each other, go through the network together;
        `workers` threads read and resize pictures ahead of it; where there are some, PyTorch takes a batch on each core
        of a CPU, and otherwise one thread makes objects of the network's outputs behind it. However many pictures there
        are, those of a few batches are in memory.

        Raises `InputError` for a threshold where the system has nothing to choose, and for a picture that cannot be
        read, unless `unreadable` takes the error: then the picture is passed over.
        """
        system, take = choosing(self.system, **thresholds)
        for found in self._found(system, pictures, tile, overlap, batch_size, workers, unreadable):
            yield found._replace(prediction=take(found.prediction))

    def _found(
        self,
        system: System,
        pictures: Pictures,
        tile: tuple[int, int] | None,
        overlap: int,
        batch_size: int,
        workers: int,
        unreadable: Callable[[InputError], None] | None,
    ) -> Iterator[Predicted]:
        if tile is not None:
            yield from _tiled(system, in_regions(pictures, unreadable, workers), tile, overlap, batch_size, unreadable)
            return
        ready = read_ahead(pictures, partial(made_ready, system), unreadable, workers, batch_size + workers)
        batches = gathered(ready, lambda one: tuple(one.resized.shape), batch_size, SPAN * batch_size)
        if workers and takes_cores(system):
            whole = (partial(_whole, system, batch) for batch in batches)
            yield from reordered(results() for results in in_order(whole, num_cores(), num_cores(), at_once=True))
            return
        passes = (begun(system, batch) for batch in batches)
        behind = 0 if "label_map" in system.task.needs else min(workers, 1)  # torch's own threads make label maps
        yield from reordered(results() for results in in_order(passes, behind, 1, at_once=True))

    def predict_video(
        self, video: VideoSource | Video, *, track: bool = False, **options: Unpack[PredictOptions]
    ) -> Iterator[PredictedFrame]:
        """Give the results of the frames of a video one by one, as `predict` does those of pictures.

        `video` is a file, a camera's number, an open file, `-` for standard input, or what `open_video` gives. With
        `track`, objects keep an identity from frame to frame (`Detections.tracks`): what scores `min_score` or more,
        0.5 if not given, begins one. Frames are decoded ahead; however long the video is, a few are in memory.

        Raises `InputError` as `open_video` does, where objects cannot be tracked, and at the end for what could not be
        decoded, unless `unreadable` takes that.
        """
        with video if isinstance(video, Video) else open_video(video) as opened:
            yield from predicted_frames(opened, self.predict, self.system.task, track=track, **options)


class Ready(NamedTuple):
    """A picture is read and resized, and searched for proposals where the system wants them."""

    file: str
    image: UInt8[Tensor, "3 h w"]
    resized: Real[Tensor, "3 h2 w2"]
    proposals: Float[Tensor, "p 4"] | None


Batch = Sequence[tuple[int, Ready]]


def made_ready(system: System, file: str, image: Tensor) -> Ready:
    """Resize a picture for a system, and search it for proposals."""
    proposals = system.search([image])
    return Ready(file, image, system.preprocess.resize(image), None if proposals is None else proposals[0])


@torch.inference_mode()
def begun(system: System, batch: Batch) -> Callable[[], list[tuple[int, Predicted]]]:
    """Find what is in pictures of one resized size; what is given makes the results of it."""
    resized = torch.stack([ready.resized for _, ready in batch])
    proposals = [ready.proposals for _, ready in batch if ready.proposals is not None]
    with evaluating(system.model):
        outputs = system.find(system.inputs(resized, proposals or None))
    return partial(_results, system, batch, outputs)


def takes_cores(system: System) -> bool:
    """Tell whether PyTorch computes on the CPU: there, batches side by side are faster than one on all cores."""
    return system.device.type == "cpu" and not system.exported


def _whole(system: System, batch: Batch) -> list[tuple[int, Predicted]]:
    return begun(system, batch)()


@torch.inference_mode()
def _results(system: System, batch: Batch, outputs: Rows | Scores) -> list[tuple[int, Predicted]]:
    size = (batch[0][1].resized.shape[-2], batch[0][1].resized.shape[-1])
    sizes = [(ready.image.shape[-2], ready.image.shape[-1]) for _, ready in batch]
    return [
        (place, Predicted(ready.file, ready.image, on_cpu(prediction)))
        for (place, ready), prediction in zip(batch, system.reader.results(outputs, size, sizes), strict=True)
    ]


def _tiled(
    system: System,
    pictures: Iterator[tuple[str, Regions]],
    tile: tuple[int, int],
    overlap: int,
    batch_size: int,
    unreadable: Callable[[InputError], None] | None,
) -> Iterator[Predicted]:
    check_tiled(system, tile, overlap)
    for file, picture in pictures:
        try:
            found = find_tiled(system, picture, tile=tile, overlap=overlap, batch_size=batch_size)
            predicted = Predicted(file, as_seen(picture), found)
        except InputError as error:
            if unreadable is None:
                raise
            unreadable(error)
        else:
            yield predicted

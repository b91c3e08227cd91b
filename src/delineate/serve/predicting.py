"""A picture's bytes go through the steps of a prediction, of which each has its threads, and all that waits is bounded.

bytes ──► header: format, pixels ──► budget of pixels ──► readers: decode, resize ──► crew: batches, network, results
                                                                                      answer ◄── readers: write, draw
"""

import asyncio
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from jaxtyping import UInt8
from torch import Tensor

from delineate.data.images import read_header, read_stream
from delineate.data.regions import InMemory
from delineate.deploy import Predicted
from delineate.deploy.predictor import Ready, begun, made_ready
from delineate.deploy.tiling import find_tiled
from delineate.serve.limits import Refused
from delineate.serve.metrics import Metrics
from delineate.serve.models import Loaded, ServedModels
from delineate.serve.options import OVERLAP, Options
from delineate.system.system import System
from delineate.values import InputError

FORMATS = frozenset({"JPEG", "MPO", "PNG", "WEBP", "AVIF", "JPEG2000", "GIF", "BMP", "DIB", "TIFF", "PPM"})
"""Of what Pillow reads, these are decoded: others start programs, or are rare enough to be full of holes."""
Made = TypeVar("Made")


class Upload(NamedTuple):
    """A picture came in a request: how answers call it, how mistakes call it, and its bytes."""

    file: str
    name: str
    data: bytes


class Asked(NamedTuple):
    """A picture was ready at a time, by `time.perf_counter`."""

    ready: Ready
    since: float


@dataclass(frozen=True)
class Pass:
    """Pictures of one resized size go through a system together."""

    model: str
    system: System
    size: tuple[int, int]
    metrics: Metrics = field(compare=False)

    def __call__(self, asked: Sequence[Asked]) -> Callable[[], list[Predicted]]:
        now = time.perf_counter()
        for one in asked:
            self.metrics.steps.labels(self.model, "wait").observe(now - one.since)
        self.metrics.batches.labels(self.model).observe(len(asked))
        with self.metrics.step(self.model, "network"):
            finish = begun(self.system, [(place, one.ready) for place, one in enumerate(asked)])
        return partial(self._results, finish)

    def _results(self, finish: Callable[[], list[tuple[int, Predicted]]]) -> list[Predicted]:
        with self.metrics.step(self.model, "results"):
            return [predicted for _, predicted in finish()]


@dataclass(frozen=True, eq=False)
class Tiled:
    """One picture goes through a system in tiles, by itself."""

    model: str
    system: System
    tile: tuple[int, int]
    metrics: Metrics

    def __call__(self, pictures: Sequence[tuple[str, UInt8[Tensor, "3 _h _w"]]]) -> Callable[[], list[Predicted]]:
        ((file, image),) = pictures
        with self.metrics.step(self.model, "network"):
            found = find_tiled(self.system, InMemory(image), tile=self.tile, overlap=OVERLAP)
        return lambda: [Predicted(file, image, found)]


async def predict_all(
    models: ServedModels,
    name: str,
    loaded: Loaded,
    uploads: Sequence[Upload],
    options: Options,
    make: Callable[[Predicted], Made],
) -> list[Made]:
    """Find what is in pictures by what was loaded for a name, and give what is made of each result, in their order.

    Where one is refused, so are all, and none is left in work. Raises `InputError` and `Refused`.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_predict(models, name, loaded, one, options, make)) for one in uploads]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _predict(
    models: ServedModels, name: str, loaded: Loaded, upload: Upload, options: Options, make: Callable[[Predicted], Made]
) -> Made:
    system, take = loaded.chosen(options.min_score)
    metrics = models.metrics

    def in_reader(step: str, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(models.readers, partial(_timed, metrics, name, step, work))

    pixels = await in_reader("header", partial(_num_pixels, upload, models.limits.num_pixels))
    async with models.budget.taken(pixels):
        image = await in_reader("read", partial(read_stream, io.BytesIO(upload.data), upload.name))
        if options.tile is not None:
            tiled = Tiled(name, system, options.tile, metrics)
            answer = loaded.crew.ask(tiled, (upload.file, image))
        else:
            ready = await in_reader("resize", partial(made_ready, system, upload.file, image))
            height, width = ready.resized.shape[-2:]
            answer = loaded.crew.ask(Pass(name, system, (height, width), metrics), Asked(ready, time.perf_counter()))
            del ready
        del image
        try:
            found: Predicted = await asyncio.wrap_future(answer)
        except asyncio.CancelledError:
            metrics.dropped.labels(name).inc()
            raise
        made: Made = await in_reader("answer", lambda: make(found._replace(prediction=take(found.prediction))))
        return made


def _timed(metrics: Metrics, model: str, step: str, work: Callable[[], Made]) -> Made:
    with metrics.step(model, step):
        return work()


def _num_pixels(upload: Upload, most: int) -> int:
    """Count the pixels of a picture by its header alone.

    Raises `Refused` for a format that is not taken (415) and for too many pixels (413), and `InputError` for what is no
    picture.
    """
    if not upload.data:
        raise InputError(f"{upload.name}: it is empty; send the bytes of a picture's file")
    header = read_header(upload.name, io.BytesIO(upload.data))
    height, width = header.size
    if header.format not in FORMATS:
        raise Refused(415, f"{upload.name}: {header.format} is not taken; send a JPEG, PNG, WebP or TIFF")
    if height * width > most:
        raise Refused(413, f"{upload.name}: it has {width} x {height} pixels, and {most} at most are taken")
    return height * width

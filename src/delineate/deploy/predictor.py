"""A trained system ready for use."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.deploy.pictures import Pictures, each_picture, to_image
from delineate.deploy.tiling import segment_tiled
from delineate.models.contract import Model
from delineate.models.segmentation import Segmenter
from delineate.system.checkpoint import find_checkpoint, load_checkpoint
from delineate.system.inference import find_device, infer
from delineate.values import Categories, Detections, InputError, Prediction, on_cpu


class Predicted(NamedTuple):
    """A result with its picture, and the picture's file (`""` for one that was given in memory)."""

    file: str
    image: UInt8[Tensor, "3 h w"]
    prediction: Prediction


class Predictor:
    """A model with its preprocessing and class names: pictures in, results in original coordinates out.

    `predictor(pictures)` gives a list; `predictor.predict(pictures)` goes through any number of them one by one.
    """

    def __init__(self, *, model: Model[Any, Any], preprocess: Preprocess, categories: Categories) -> None:
        self.model = model.eval()
        self.preprocess = preprocess
        self.categories = categories

    @classmethod
    def load(cls, run: str | Path, *, device: str = "auto", weights: Literal["best", "last"] = "best") -> "Predictor":
        """The system of a run folder, or of a `.safetensors` file that a run wrote.

        `device` is `auto` (a GPU if there is one), or torch's name of one. Raises `InputError` when there is no such
        run, no such device, or the file is no checkpoint.
        """
        checkpoint = load_checkpoint(find_checkpoint(Path(run), weights))
        model = checkpoint.model.to(find_device(device))
        return cls(model=model, preprocess=checkpoint.preprocess, categories=checkpoint.categories)

    @property
    def is_dense(self) -> bool:
        """Whether it gives label maps, and not objects."""
        return isinstance(self.model, Segmenter)

    def __call__(
        self,
        pictures: Pictures,
        *,
        min_score: float = 0.0,
        tile: tuple[int, int] | None = None,
        overlap: int = 64,
    ) -> list[Prediction]:
        """The results of some pictures, in the order given; see `predict`."""
        each = self.predict(pictures, min_score=min_score, tile=tile, overlap=overlap)
        return [predicted.prediction for predicted in each]

    def predict(
        self,
        pictures: Pictures,
        *,
        min_score: float = 0.0,
        tile: tuple[int, int] | None = None,
        overlap: int = 64,
        batch_size: int = 1,
        unreadable: Callable[[InputError], None] | None = None,
    ) -> Iterator[Predicted]:
        """Results one by one, in the order given, each at its picture's original size.

        Of objects, those that score `min_score` or more are given. With `tile`, pictures larger than that
        `(height, width)` go through the network in tiles that overlap by `overlap` pixels (dense systems only). A
        picture that cannot be read raises `InputError`, or is handed to `unreadable` and passed over.
        """
        self._check(min_score, tile)
        decoded = _decoded(pictures, unreadable)
        while batch := list(islice(decoded, batch_size)):
            images = [image for _, image in batch]
            if tile is None:
                predictions = infer(self.model, self.preprocess, images)
            else:
                predictions = [self._tiled(image, tile, overlap, batch_size) for image in images]
            for (file, image), prediction in zip(batch, predictions, strict=True):
                found = on_cpu(prediction)
                yield Predicted(file, image, found.above(min_score) if isinstance(found, Detections) else found)

    def _check(self, min_score: float, tile: tuple[int, int] | None) -> None:
        if tile is not None and not self.is_dense:
            raise InputError("tile: only dense systems can go through a picture in tiles; leave it out for a detector")
        if min_score and self.is_dense:
            raise InputError("min_score: a dense system gives every pixel a class and no scores; leave it out")

    def _tiled(self, image: Tensor, tile: tuple[int, int], overlap: int, batch_size: int) -> Prediction:
        assert isinstance(self.model, Segmenter)
        if image.shape[-2] <= tile[0] and image.shape[-1] <= tile[1]:
            return infer(self.model, self.preprocess, [image])[0]
        return segment_tiled(self.model, self.preprocess, image, tile=tile, overlap=overlap, batch_size=batch_size)


def _decoded(
    pictures: Pictures, unreadable: Callable[[InputError], None] | None
) -> Iterator[tuple[str, UInt8[Tensor, "3 h w"]]]:
    for picture in each_picture(pictures):
        try:
            image = to_image(picture)
        except InputError as error:
            if unreadable is None:
                raise
            unreadable(error)
        else:
            yield str(picture) if isinstance(picture, str | Path) else "", image

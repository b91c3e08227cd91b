"""A stage of an explanation, and how what is inside a network is drawn on its picture."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.deploy import Predictor
from delineate.ops.boxes import scale_boxes
from delineate.values import Detections, on_cpu
from delineate.viz import draw_target, fitted
from delineate.viz.scaling import READABLE

LARGEST = 1024
SHADES = torch.tensor([[13, 8, 60], [110, 20, 130], [220, 70, 90], [250, 170, 60], [250, 250, 190]]).float()
"""From nothing to most, dark to light."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """What happens, in a line, and the pictures that show it with their captions."""

    title: str
    line: str
    pictures: Sequence[tuple[str, UInt8[Tensor, "3 _h _w"]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A picture on its way: as it is, as the network's batch of one, and the system that looks at it."""

    predictor: Predictor
    image: UInt8[Tensor, "3 h w"]
    batch: Float[Tensor, "1 3 h2 w2"]

    @property
    def size(self) -> tuple[int, int]:
        """Of the picture."""
        return self.image.shape[-2], self.image.shape[-1]

    @property
    def input_size(self) -> tuple[int, int]:
        """Of the batch."""
        return self.batch.shape[-2], self.batch.shape[-1]

    def result(self, outputs: Any) -> Any:
        """What the system makes of outputs of its network, on the CPU."""
        (found,) = self.predictor.model.postprocess(outputs, [self.size])
        return on_cpu(found)

    def boxes(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "_m 4"]:
        """Boxes of the batch in the picture, those that lie in it."""
        limit = boxes.new_tensor([self.input_size[1], self.input_size[0]]).repeat(2)
        inside = scale_boxes(boxes.clamp(min=0).minimum(limit), self.input_size, self.size).cpu()
        kept: Tensor = inside[(inside[:, 2:] > inside[:, :2]).all(1)]
        return kept

    def drawn(self, found: Detections) -> UInt8[Tensor, "3 _h _w"]:
        """The picture with what was found."""
        image, found = fitted(self.image, found, smallest=READABLE, largest=LARGEST)
        return draw_target(image, found, self.predictor.categories)

    def heat(self, values: Float[Tensor, "h w"], *, low: float = 0.0, high: float | None = None) -> Tensor:
        """The picture in gray under the values of a map, each of which is a square of one colour.

        Colours go from `low` to `high`, the largest value if not given.
        """
        values = values.detach().float().cpu()
        high = float(values.max()) if high is None else high
        share = ((values - low) / max(high - low, 1e-9)).clamp(0, 1)
        image, _ = fitted(self.image, nothing(self.size), smallest=READABLE, largest=LARGEST)
        size = (image.shape[-2], image.shape[-1])
        share = F.interpolate(share[None, None], size=size, mode="nearest")[0, 0]
        place = share * (len(SHADES) - 1)
        below = place.long().clamp(max=len(SHADES) - 2)
        colour = SHADES[below].lerp(SHADES[below + 1], (place - below)[..., None]).permute(2, 0, 1)
        gray = image.float().mean(0, keepdim=True).expand(3, -1, -1)
        return (0.35 * gray + 0.65 * colour).round().clamp(0, 255).to(torch.uint8)


def nothing(size: tuple[int, int]) -> Detections:
    """Detections of a picture in which nothing was found."""
    return Detections(
        image_size=size,
        boxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.int64),
        scores=torch.zeros(0),
    )


def boxes_of(found: Detections) -> Detections:
    """The same without masks and keypoints."""
    return Detections(image_size=found.image_size, boxes=found.boxes, labels=found.labels, scores=found.scores)


@contextmanager
def changed(value: Any, **attributes: Any) -> Iterator[None]:
    """The object with other values of some attributes, for a while."""
    before = {name: getattr(value, name) for name in attributes}
    for name, other in attributes.items():
        setattr(value, name, other)
    try:
        yield
    finally:
        for name, other in before.items():
            setattr(value, name, other)


@contextmanager
def watched(modules: Sequence[nn.Module]) -> Iterator[list[tuple[nn.Module, tuple[Any, ...], Any]]]:
    """What goes into some modules and what comes out, call by call."""
    calls: list[tuple[nn.Module, tuple[Any, ...], Any]] = []
    hooks = [
        module.register_forward_hook(lambda its, inputs, outputs: calls.append((its, inputs, outputs)))
        for module in modules
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def strength(values: Float[Tensor, "1 c h w"]) -> Float[Tensor, "h w"]:
    """How strongly a feature map answers at each place: the mean size of its channels."""
    return values[0].float().abs().mean(0)

"""An explanation has stages, which draw what is inside a network on the picture."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.metrics.detection import LIKELY
from delineate.models.contract import AnyModel, Inputs
from delineate.ops.boxes import scale_boxes
from delineate.system.system import System, trimmed
from delineate.values import Detections, Prediction, Target, on_cpu
from delineate.viz import draw_target, fitted
from delineate.viz.scaling import LARGEST, READABLE

Least = float | Float[Tensor, " c"]
"""What counts as likely is scored so much, or by each class so much."""
LARGEST_OF_EACH = "the largest value of each map"
MANY = 100_000
"""No system has as many detections."""
SHADES = torch.tensor([[13, 8, 60], [110, 20, 130], [220, 70, 90], [250, 170, 60], [250, 250, 190]]).float()
"""From nothing to most, dark to light."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """A stage says in a line what happens, and shows it in pictures with captions.

    Where these are maps, their colours go from 0 to what `scale` says.
    """

    title: str
    line: str
    pictures: Sequence[tuple[str, UInt8[Tensor, "3 _h _w"]]]
    scale: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A system looks at a picture, which is held as it is and as the network takes it.

    What scores `least` is likely. `history` is the folder in which a run kept how its answers moved in training.
    """

    system: System
    image: UInt8[Tensor, "3 h w"]
    inputs: Inputs
    least: Least = LIKELY
    history: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Give the size of the picture."""
        return self.image.shape[-2], self.image.shape[-1]

    @property
    def input_size(self) -> tuple[int, int]:
        """Give the size of the network's input."""
        return self.inputs.images.shape[-2], self.inputs.images.shape[-1]

    @property
    def canvas(self) -> UInt8[Tensor, "3 _h _w"]:
        """Give the picture in the size that it is drawn in."""
        return fitted(self.image, Target(image_size=self.size), smallest=READABLE, largest=LARGEST)[0]

    def rows(self, raw: Any, **thresholds: Any) -> Any:
        """Find what is in a network's outputs, in pixels of its input, with other thresholds where they are given."""
        reader = self.system.with_thresholds(**thresholds).reader
        return self.system.model.extend(raw, trimmed(reader.find(raw, self.input_size)))

    def result(self, raw: Any, **thresholds: Any) -> Any:
        """Read the result from a network's outputs, in the coordinates of the picture and on the CPU."""
        return self.read(self.rows(raw, **thresholds))

    def read(self, rows: Any) -> Any:
        """Read the result from `rows`, in the coordinates of the picture and on the CPU."""
        (prediction,) = self.system.reader.results(rows, self.input_size, [self.size])
        return on_cpu(prediction)

    def boxes(self, boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "_m 4"]:
        """Move boxes of the network's input to the picture, those that lie in it."""
        limit = boxes.new_tensor([self.input_size[1], self.input_size[0]]).repeat(2)
        inside = scale_boxes(boxes.clamp(min=0).minimum(limit), self.input_size, self.size).cpu()
        kept: Tensor = inside[(inside[:, 2:] > inside[:, :2]).all(1)]
        return kept

    def drawn(self, prediction: Prediction) -> UInt8[Tensor, "3 _h _w"]:
        """Draw a result on the picture."""
        image, prediction = fitted(self.image, prediction, smallest=READABLE, largest=LARGEST)
        return draw_target(image, prediction, self.system.categories)

    def heat(self, values: Float[Tensor, "h w"], *, high: float | None = None, stride: int | None = None) -> Tensor:
        """Draw the picture in gray under the values of a map, each of which is a square of one colour.

        Colours go from 0 to `high`, the largest value if not given. A map of a `stride` may reach beyond the picture,
        where that was padded; others have the picture's extent.
        """
        values = values.detach().float().cpu()
        high = float(values.max()) if high is None else high
        share = (values / max(high, 1e-9)).clamp(0, 1)
        if stride is not None:
            share = share.repeat_interleave(stride, 0).repeat_interleave(stride, 1)
            share = share[: self.input_size[0], : self.input_size[1]]
        image = self.canvas
        share = F.interpolate(share[None, None], size=(image.shape[-2], image.shape[-1]), mode="nearest")[0, 0]
        colour = shades(share).permute(2, 0, 1)
        gray = image.float().mean(0, keepdim=True).expand(3, -1, -1)
        return (0.35 * gray + 0.65 * colour).round().clamp(0, 255).to(torch.uint8)


Explain = Callable[[Seen, Any], list[Stage]]
"""Shows the stages of a model that looks at a picture."""
Explained = Mapping[type[AnyModel], Explain]
"""Each class of models has stages of its own."""


def thinned_out(seen: Seen, raw: Any) -> list[Stage]:
    """Show the likely boxes before NMS, and what is left of them after it."""
    before = seen.result(raw, nms_iou=1.0, max_detections=MANY).above(seen.least)
    after = seen.result(raw).above(seen.least)
    several = ", often several for one object" if len(before) > 1 else ""
    line = f"{boxes_score(len(before), seen.least)}{several}."
    return around_nms(seen, before, after, title="Before NMS", line=line)


def around_nms(seen: Seen, before: Detections, after: Detections, *, title: str, line: str) -> list[Stage]:
    """Show boxes before NMS, with a title and a line of their own, and what is left of them after it."""
    thresholds = seen.system.reader.thresholds
    assert thresholds is not None
    left = (
        f"Of boxes that overlap by more than {thresholds.nms_iou:.2f}, the best of its class stays: "
        f"{len(after):,} {'is' if len(after) == 1 else 'are'} left."
    )
    return [
        Stage(title=title, line=line, pictures=[("before NMS", seen.drawn(_boxes_of(before)))]),
        Stage(title="After NMS", line=left, pictures=[("after NMS", seen.drawn(_boxes_of(after)))]),
    ]


def _boxes_of(detections: Detections) -> Detections:
    """Leave masks and keypoints out."""
    return replace(detections, rles=None, keypoints=None, visibility=None)


def shades(shares: Float[Tensor, "*n"]) -> Float[Tensor, "*n 3"]:
    """Choose the colours of values from 0 to 1 along `SHADES`."""
    place = shares * (len(SHADES) - 1)
    below = place.long().clamp(max=len(SHADES) - 2)
    return SHADES[below].lerp(SHADES[below + 1], (place - below)[..., None])


@contextmanager
def watched(modules: Sequence[nn.Module]) -> Iterator[list[tuple[nn.Module, tuple[Any, ...], Any]]]:
    """Record what goes into some modules and what comes out, call by call."""
    calls: list[tuple[nn.Module, tuple[Any, ...], Any]] = []
    hooks = [
        module.register_forward_hook(lambda called, inputs, outputs: calls.append((called, inputs, outputs)))
        for module in modules
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def shape(values: Tensor) -> str:
    """Write the shape of a map `(1, C, H, W)`."""
    return " x ".join(map(str, values.shape[1:]))


def boxes_score(count: int, score: Least) -> str:
    """Say how many boxes score so much, as a sentence without its point."""
    if count == 0:
        return f"No box scores {in_words(score)} or more"
    return (
        f"1 box scores {in_words(score)} or more" if count == 1 else f"{count:,} boxes score {in_words(score)} or more"
    )


def in_words(score: Least) -> str:
    """Write from which score on a thing is likely."""
    if isinstance(score, float | int):
        return f"{score:.2f}"
    low, high = float(score.min()), float(score.max())
    return f"what its class needs, {low:.2f} to {high:.2f}," if high > low else f"{low:.2f}"


def lowest(score: Least) -> float:
    """Give the score below which no class has anything likely."""
    return float(score) if isinstance(score, float | int) else float(score.min())


def strength(values: Float[Tensor, "1 c h w"]) -> Float[Tensor, "h w"]:
    """Measure how strongly a feature map answers at each place, as the mean size of its channels."""
    return values[0].float().abs().mean(0)

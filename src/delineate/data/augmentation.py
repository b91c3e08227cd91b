"""Training pictures vary: each time, another part of a picture is seen, at another size and in other colours.

    picture ─► window, by the way of a paper ─► resized ─► mirrored ─► colours ─► placed on a canvas

The window is chosen in the original picture, so that nothing is resized only to be cut away.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from delineate.data.elastic import bent
from delineate.data.preprocess import Preprocess
from delineate.data.transforms import Transform, horizontal_flip, pad, resized_crop
from delineate.values import Categories, InputError, Sample

Way = Literal["scale", "yolo", "detr", "ssd"]
Size = tuple[int, int]

MOST_ELASTIC = 0.2
JITTER = 0.2
"""Redmon et al. 2016, YOLO, section 2.2: translations of up to a fifth of the sides."""
SHORTER_SIDES, SMALLEST_CUT, LARGEST_CUT = (400, 500, 600), 384.0, 600.0
"""Carion et al. 2020, DETR, appendix A.4: of a picture of such a shorter side, cuts have such sides, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Training pictures vary by these rules.

    `scale` is the range of a uniform random factor of both sides, `crop_size` the `(height, width)` of what comes out
    (`None`: that of the resized picture), `flip` the probability of a mirrored picture, and `colour` the largest
    relative change of brightness, contrast and saturation. In the `way` "scale" a window of `crop_size` is cut at a
    random place, and what is smaller stands at a random place. "yolo" moves each side of the picture in the place of
    scaling (Redmon et al. 2016, section 2.2); "detr" begins in half of the cases with a cut, which is resized as a
    picture is (Carion et al. 2020, appendix A.4); "ssd" has distorted colours, zoom-out and crops that overlap objects
    in the place of scale, crop and colour (Liu et al. 2016, section 2.2). `elastic` is the standard deviation of random
    displacements by which pictures and label maps are bent, as a share of the sides; objects go (elastic.py).

    Raises `InputError` for values out of range.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    crop_size: Size | None = None
    flip: float = 0.5
    colour: float = 0.0
    elastic: float = 0.0
    way: Way = "scale"

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale: {self.scale} is not (smallest, largest) factor above 0")
        if self.crop_size is not None and min(self.crop_size) < 1:
            raise InputError(f"crop_size: {self.crop_size} is not (height, width), both at least 1")
        if not 0 <= self.flip <= 1:
            raise InputError(f"flip: {self.flip} is no probability in 0..1")
        if not 0 <= self.colour <= 1:
            raise InputError(f"colour: {self.colour} is outside 0..1")
        if not 0 <= self.elastic <= MOST_ELASTIC:
            raise InputError(f"elastic: {self.elastic} is outside 0..{MOST_ELASTIC}")


class Window(NamedTuple):
    """A window is a part of a picture, in whole pixels."""

    top: int
    left: int
    height: int
    width: int

    def within(self, other: "Window") -> "Window":
        """Give a window in another one in the coordinates of the picture."""
        return self._replace(top=self.top + other.top, left=self.left + other.left)


class Frame(NamedTuple):
    """A window of the picture is resized to `size`, and put on a `canvas` at `(y, x)`."""

    window: Window
    size: Size
    canvas: Size
    place: tuple[int, int]


def training_transform(augmentation: Augmentation, preprocess: Preprocess, categories: Categories) -> Transform:
    """Resize as `preprocess` says, and vary by `augmentation`; torch's randomness decides.

    What of the canvas is no picture has the mean colour. The picture stays uint8.
    """
    varied = _as_ssd if augmentation.way == "ssd" else _framed
    return partial(varied, augmentation=augmentation, preprocess=preprocess, flip_order=categories.flip_order)


def _framed(sample: Sample, augmentation: Augmentation, preprocess: Preprocess, flip_order: Sequence[int]) -> Sample:
    frame = FRAMES[augmentation.way](sample.target.image_size, augmentation, preprocess)
    sample = resized_crop(sample, frame.window, frame.size)
    if augmentation.elastic:
        sample = bent(sample, augmentation.elastic)
    if _uniform(0.0, 1.0) < augmentation.flip:
        sample = horizontal_flip(sample, flip_order)
    if augmentation.colour:
        jitter = v2.ColorJitter(augmentation.colour, augmentation.colour, augmentation.colour)
        sample = replace(sample, image=jitter(sample.image))
    return pad(sample, frame.canvas, frame.place)


def scaled(size: Size, augmentation: Augmentation, preprocess: Preprocess) -> Frame:
    """Scale the picture by a random factor; cut a window at a random place, or stand at one."""
    return _scaled(Window(0, 0, *size), preprocess.resized(size), augmentation)


def cut_or_whole(size: Size, augmentation: Augmentation, preprocess: Preprocess) -> Frame:
    """Scale the picture, or a cut of it, which has its shorter side then, and no longer one than the picture's."""
    resized = preprocess.resized(size)
    if _uniform(0.0, 1.0) < 0.5:
        return _scaled(Window(0, 0, *size), resized, augmentation)
    scale = SHORTER_SIDES[int(torch.randint(len(SHORTER_SIDES), ()))] / min(size)
    shares = (_uniform(SMALLEST_CUT, min(LARGEST_CUT, side * scale)) / (side * scale) for side in size)
    (top, height), (left, width) = (_stretch(side, share) for side, share in zip(size, shares, strict=True))
    back = replace(preprocess, short_side=min(resized), long_side=max(resized)).resized((height, width))
    return _scaled(Window(top, left, height, width), back, augmentation)


def moved_sides(size: Size, augmentation: Augmentation, preprocess: Preprocess) -> Frame:
    """Move each side of the picture inwards or outwards by up to a fifth: the canvas lies between the moved ones."""
    canvas = augmentation.crop_size or preprocess.resized(size)
    (top, height, y, rows), (left, width, x, columns) = (
        _moved_ends(side, of_canvas) for side, of_canvas in zip(size, canvas, strict=True)
    )
    return Frame(Window(top, left, height, width), (rows, columns), canvas, (y, x))


FRAMES: dict[Way, Callable[[Size, Augmentation, Preprocess], Frame]] = {
    "scale": scaled,
    "yolo": moved_sides,
    "detr": cut_or_whole,
}


def _scaled(window: Window, resized: Size, augmentation: Augmentation) -> Frame:
    """Scale a window that would be `resized`; the factor is kept to within half a pixel of what is cut of it."""
    factor = _uniform(*augmentation.scale)
    height, width = (max(1, round(side * factor)) for side in resized)
    canvas = augmentation.crop_size or (height, width)
    size = min(canvas[0], height), min(canvas[1], width)
    (top, rows), (left, columns) = _stretch(window.height, size[0] / height), _stretch(window.width, size[1] / width)
    place = _start(canvas[0], size[0]), _start(canvas[1], size[1])
    return Frame(Window(top, left, rows, columns).within(window), size, canvas, place)


def _moved_ends(side: int, canvas: int) -> tuple[int, int, int, int]:
    """Move both ends of a side: the start and length of what is seen, and its place and length on the canvas."""
    first, last = _uniform(-JITTER, JITTER), 1 - _uniform(-JITTER, JITTER)
    start, end = round(max(0.0, first) * side), max(round(min(1.0, last) * side), 1)
    start = min(start, end - 1)
    place = min(round(max(0.0, -first) / (last - first) * canvas), canvas - 1)
    length = max(1, min(round((end - start) / side / (last - first) * canvas), canvas - place))
    return start, end - start, place, length


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def _start(whole: int, part: int) -> int:
    return int(torch.randint(whole - part + 1, ()))


def _stretch(side: int, share: float) -> tuple[int, int]:
    """Draw the start and the length of a stretch, in whole pixels, that is `share` of the side."""
    length = max(1, round(side * share))
    return _start(side, length), length


def _as_ssd(sample: Sample, augmentation: Augmentation, preprocess: Preprocess, flip_order: Sequence[int]) -> Sample:
    sample = zoomed_out(replace(sample, image=v2.RandomPhotometricDistort()(sample.image)))
    sample = overlapping_crop(sample, augmentation.crop_size or preprocess.resized(sample.target.image_size))
    return horizontal_flip(sample, flip_order) if _uniform(0.0, 1.0) < augmentation.flip else sample


def zoomed_out(sample: Sample) -> Sample:
    """Put every second picture on a canvas of up to four times its sides (Liu et al. 2016, SSD, section 3.6)."""
    if _uniform(0.0, 1.0) < 0.5:
        return sample
    factor = _uniform(1.0, 4.0)
    size = sample.target.image_size
    height, width = (round(side * factor) for side in size)
    return pad(sample, (height, width), (_start(height, size[0]), _start(width, size[1])))


def overlapping_crop(sample: Sample, size: Size) -> Sample:
    """Cut a window that overlaps an object by a random IoU, or the whole, and resize it to `size`.

    Objects whose centre lies outside of it go (Liu et al. 2016, SSD, section 2.2).
    """
    target = sample.target
    if len(target):
        boxes = tv_tensors.BoundingBoxes(target.boxes, format="XYXY", canvas_size=target.image_size)
        drawn = v2.RandomIoUCrop().make_params([tv_tensors.Image(sample.image), boxes])
        if drawn:
            window = (drawn["top"], drawn["left"], drawn["height"], drawn["width"])
            inside = replace(sample, target=target[drawn["is_within_crop_area"]])
            return resized_crop(inside, window, size)
    return resized_crop(sample, (0, 0, *target.image_size), size)

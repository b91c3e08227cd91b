"""Pictures of textured shapes are made on the fly: data without files, for trying things out and for tests.

Shapes hide one another: the last drawn is in front. Masks and boxes are of the visible part; a shape of which less than
`VISIBLE` would be seen is not drawn at all. Pixel `(x, y)` covers `x..x+1`, so that its centre is at `x + 0.5`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from delineate.data import shapes
from delineate.data.dataset import EVERYTHING, Dataset
from delineate.data.files import check_new
from delineate.data.formats import coco
from delineate.data.shapes import Distance, Field
from delineate.data.textures import background, paint, random_texture
from delineate.ops.masks import boxes_of_masks, paint_label_map
from delineate.values import IGNORE, Categories, InputError, Sample, Target

SHAPES: Mapping[str, Distance] = {
    "disk": shapes.disk,
    "ring": shapes.ring,
    "square": shapes.square,
    "triangle": shapes.triangle,
    "star": shapes.star,
    "cross": shapes.cross,
}
FIGURE = len(SHAPES)
CATEGORIES = Categories(
    class_names=(*SHAPES, "figure"),
    label_map_names=(*SHAPES, "figure", "background"),
    keypoint_names=shapes.POSE_NAMES,
    skeleton=shapes.POSE_SKELETON,
)

EMPTY = 0.1  # the share of pictures without objects
CROWD = 0.1  # the share of pictures with a crowd region
VISIBLE = 0.2  # the share of an object that must be seen
MIN_SIDE = 48


@dataclass(frozen=True)
class _Part:
    """A part is one shape in its window of the picture: the distance to its edge in pixels, and its own coordinates."""

    window: tuple[slice, slice]
    distance: Field
    u: Field
    v: Field


@dataclass(frozen=True)
class _Object:
    """An object is one row of the target: one shape, or a crowd of them. Keypoints are `(7, 2)`, in pixels."""

    label: int
    parts: list[_Part]
    keypoints: NDArray[np.float32] | None = None
    crowd: bool = False

    def mask(self, image_size: tuple[int, int]) -> NDArray[np.bool_]:
        mask = np.zeros(image_size, dtype=bool)
        for part in self.parts:
            mask[part.window] |= part.distance < 0
        return mask


class Synthetic(Dataset):
    """The set has `num_images` pictures of the endless sequence that `seed` names, beginning with number `first`.

    Each picture is a function of `(seed, number)` alone. Seven classes: six shapes, and a figure with seven keypoints;
    each has a hue that its objects come near, as things in the world do. A figure fills about half of its box, as
    people do, and as OKS, which divides by the area, takes for granted.
    About one picture in ten has no object, and one in ten has a crowd; with `single`, each has just one object.
    `image_size` is `(height, width)`.

    Raises `InputError` for negative numbers and for sides under 48 pixels.
    """

    categories = CATEGORIES
    contents = EVERYTHING

    def __init__(
        self,
        num_images: int,
        *,
        seed: int = 0,
        first: int = 0,
        image_size: tuple[int, int] = (128, 128),
        single: bool = False,
    ) -> None:
        for name, value in (("num_images", num_images), ("seed", seed), ("first", first)):
            if value < 0:
                raise InputError(f"{name}: {value} is negative; give 0 or more")
        if min(image_size) < MIN_SIDE:
            raise InputError(f"image_size: {image_size} is too small to tell shapes; give {MIN_SIDE} or more a side")
        self.seed = seed
        self.first = first
        self.image_size = image_size
        self.single = single
        self.files = [Path(f"synthetic/{number:06d}.png") for number in range(first, first + num_images)]

    def __getitem__(self, index: int) -> Sample:
        file = self.files[index]
        rng = np.random.default_rng((self.seed, self.first + index % len(self)))
        canvas = background(rng, self.image_size)
        things = [_random_object(rng, self.image_size)] if self.single else _random_objects(rng, self.image_size)
        objects, masks = _in_sight(things, self.image_size)
        for thing in objects:
            hue = thing.label / len(CATEGORIES.class_names)
            for part in thing.parts:
                paint(canvas[:, *part.window], part.distance, random_texture(rng, hue, part.u, part.v))
        image = torch.from_numpy(np.rint(canvas.clip(0, 255)).astype(np.uint8))
        return Sample(image=image, target=_target(objects, masks, self.image_size), file=str(file))

    def size(self, index: int) -> tuple[int, int]:
        return self.image_size

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        """Draw picture `index` for its target; `image_size` is the data set's own."""
        return self[index].target


def synthesise(
    root: Path,
    *,
    num_images: int,
    seed: int = 0,
    image_size: tuple[int, int] = (128, 128),
    splits: Mapping[str, float] | None = None,
    single: bool = False,
) -> list[str]:
    """Write a synthetic set as COCO JSON and PNGs; no two splits share a picture.

    `splits` maps the name of a split to its share of the pictures, 80 % `train` and 20 % `val` by default. Returns what
    the files could not hold. Raises `InputError` where the shares do not add up to 1, and as `Synthetic` does.
    """
    check_new(root)
    shares = {"train": 0.8, "val": 0.2} if splits is None else splits
    if not math.isclose(sum(shares.values()), 1):
        raise InputError(f"splits: the shares {dict(shares)} add up to {sum(shares.values()):g}; make it 1")
    lost, reached, first = [], 0.0, 0
    for split, share in shares.items():
        reached += share
        end = round(num_images * reached)
        dataset = Synthetic(end - first, seed=seed, first=first, image_size=image_size, single=single)
        lost += coco.write(dataset, root, split)
        first = end
    return lost


def _random_objects(rng: np.random.Generator, image_size: tuple[int, int]) -> list[_Object]:
    """Draw the objects of a picture at random, from the back to the front."""
    if rng.random() < EMPTY:
        return []
    things = [_random_object(rng, image_size) for _ in range(rng.integers(1, 7))]
    if rng.random() < CROWD / (1 - EMPTY):
        things.insert(rng.integers(len(things) + 1), _random_crowd(rng, image_size))
    return things


def _random_object(rng: np.random.Generator, image_size: tuple[int, int]) -> _Object:
    label = int(rng.integers(FIGURE + 1))
    height, width = image_size
    centre = rng.uniform(0.08, 0.92, 2) * (width, height)
    stretch = rng.uniform(0.85, 1.18)
    if label < FIGURE:
        radius = min(image_size) * math.exp(rng.uniform(math.log(0.09), math.log(0.26)))
        axes = _axes(rng.uniform(0, 2 * math.pi), radius, stretch)
        return _Object(label, [_placed(_shape(label), centre, axes, image_size)])
    axes = _axes(rng.uniform(-0.5, 0.5), min(image_size) * rng.uniform(0.17, 0.32), stretch)
    pose = shapes.random_pose(rng)
    part = _placed(partial(shapes.figure, pose=pose), centre, axes, image_size)
    return _Object(label, [part], keypoints=(np.array(pose) @ axes + centre).astype(np.float32))


def _random_crowd(rng: np.random.Generator, image_size: tuple[int, int]) -> _Object:
    """Put ten to twenty small shapes of one class close together."""
    label = int(rng.integers(FIGURE))
    height, width = image_size
    centre = rng.uniform(0.2, 0.8, 2) * (width, height)
    radius = min(image_size) * 0.04
    parts = []
    for _ in range(rng.integers(10, 21)):
        place = (centre + rng.normal(0, min(image_size) * 0.09, 2)).clip(0, (width - 1, height - 1))
        axes = _axes(rng.uniform(0, 2 * math.pi), radius * rng.uniform(0.8, 1.2), 1.0)
        parts.append(_placed(_shape(label), place, axes, image_size))
    return _Object(label, parts, crowd=True)


def _shape(label: int) -> Distance:
    return list(SHAPES.values())[label]


def _axes(angle: float, radius: float, stretch: float) -> NDArray[np.float64]:
    """Compute the two axes of a shape in the picture, one a row."""
    turned = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    axes: NDArray[np.float64] = turned * radius * np.array([[stretch], [1 / stretch]])
    return axes


def _placed(
    shape: Distance, centre: NDArray[np.float64], axes: NDArray[np.float64], image_size: tuple[int, int]
) -> _Part:
    """Put the shape in the window that holds it and its shadow, never empty as the centre is inside the picture."""
    reach = 1.2 * np.abs(axes).sum(0) + 4
    x1, y1 = np.maximum(np.floor(centre - reach), 0).astype(int)
    x2, y2 = np.minimum(np.ceil(centre + reach), image_size[::-1]).astype(int)
    x = np.arange(x1, x2, dtype=np.float32)[None, :] + np.float32(0.5 - centre[0])
    y = np.arange(y1, y2, dtype=np.float32)[:, None] + np.float32(0.5 - centre[1])
    back = np.linalg.inv(axes).astype(np.float32)
    u, v = x * back[0, 0] + y * back[1, 0], x * back[0, 1] + y * back[1, 1]
    scale = np.float32(math.sqrt(abs(axes[0, 0] * axes[1, 1] - axes[0, 1] * axes[1, 0])))
    return _Part((slice(y1, y2), slice(x1, x2)), shape(u, v) * scale, u, v)


def _in_sight(objects: list[_Object], image_size: tuple[int, int]) -> tuple[list[_Object], list[NDArray[np.bool_]]]:
    """Keep the objects that are seen well enough, with the visible part of each, from the back to the front."""
    covered = np.zeros(image_size, dtype=bool)
    kept, masks = [], []
    for thing in reversed(objects):
        whole = thing.mask(image_size)
        visible = whole & ~covered
        if visible.sum() >= max(VISIBLE * whole.sum(), 1):
            kept.append(thing)
            masks.append(visible)
            covered |= whole
    return kept[::-1], masks[::-1]


def _target(objects: list[_Object], visible: list[NDArray[np.bool_]], image_size: tuple[int, int]) -> Target:
    masks = torch.from_numpy(np.array(visible)) if visible else torch.zeros(0, *image_size, dtype=torch.bool)
    labels = torch.tensor([thing.label for thing in objects], dtype=torch.int64)
    crowd = torch.tensor([thing.crowd for thing in objects], dtype=torch.bool)
    keypoints = torch.zeros(len(objects), len(shapes.POSE_NAMES), 2)
    visibility = torch.zeros(keypoints.shape[:2], dtype=torch.int64)
    for row, thing in enumerate(objects):
        if thing.keypoints is not None:
            keypoints[row], visibility[row] = _seen(torch.from_numpy(thing.keypoints), masks[row])
    return Target(
        image_size=image_size,
        boxes=boxes_of_masks(masks),
        labels=labels,
        masks=masks,
        keypoints=keypoints,
        visibility=visibility,
        crowd=crowd,
        label_map=paint_label_map(masks, labels.masked_fill(crowd, IGNORE), len(SHAPES) + 1),
    )


def _seen(keypoints: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Tell the keypoints' visibility: 2 on the visible part, 1 behind another shape, 0 outside the picture."""
    height, width = mask.shape
    x, y = keypoints.floor().long().unbind(1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seen = mask[y.clamp(0, height - 1), x.clamp(0, width - 1)]
    return keypoints * inside[:, None], inside * (1 + seen.long())

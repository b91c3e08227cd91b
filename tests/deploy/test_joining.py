"""Objects of tiles are joined: a system that sees every blob of a colour finds the same with tiles and without."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.data.regions import InMemory
from delineate.deploy import Predictor
from delineate.deploy.tiling import detect_tiled
from delineate.models.contract import Inputs, Model, Reader, Scores
from delineate.ops.boxes import scale_boxes
from delineate.ops.masks import boxes_of_masks, decode_rle, encode_rle, flips_of, moved_rle, sampled_rle
from delineate.system.catalog import build
from delineate.system.system import System
from delineate.values import Categories, Detections, InputError, Thresholds, Truth

NAMES = ("red", "green", "blue")


@dataclass(frozen=True, kw_only=True)
class BlobReader(Reader[Scores, Scores]):
    """Every connected region of a channel that is bright is an object, the larger the likelier, less so when shrunk."""

    thresholds: Thresholds
    with_keypoints: bool = False
    with_masks: bool = True

    def find(self, raw: Scores, size: tuple[int, int]) -> Scores:
        return raw

    def results(self, found: Scores, size: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        def resized(logits: Tensor, original: tuple[int, int]) -> Tensor:
            return torch.nn.functional.interpolate(logits, original) if self.with_masks else logits

        return [
            self._of(resized(logits[None], original)[0], original, 1.0 if original == size else 0.5)
            for logits, original in zip(found.logits, sizes, strict=True)
        ]

    def _of(self, channels: Tensor, size: tuple[int, int], likely: float) -> Detections:
        masks, labels = [], []
        for label in (channels.flatten(1).amax(1) > 0.9).nonzero()[:, 0].tolist():
            regions, count = ndimage.label((channels[label] > 0.9).numpy())
            masks += [torch.from_numpy(regions == number) for number in range(1, count + 1)]
            labels += [label] * count
        own = (channels.shape[-2], channels.shape[-1])
        every = torch.stack(masks) if masks else torch.zeros(0, *own, dtype=torch.bool)
        scores = likely * (1 - 1 / (1 + every.flatten(1).sum(1).float()))
        order = scores.argsort(descending=True, stable=True)
        boxes = scale_boxes(boxes_of_masks(every[order]) if masks else torch.zeros(0, 4), own, size)
        middles = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
        return Detections(
            image_size=size,
            boxes=boxes,
            labels=torch.tensor(labels, dtype=torch.int64)[order],
            scores=scores[order],
            rles=encode_rle(every[order]) if self.with_masks else None,
            keypoints=middles if self.with_keypoints else None,
            visibility=torch.full((len(boxes), 1), 2) if self.with_keypoints else None,
        )


class Blobs(Model[Scores, Scores]):
    """Its outputs are the picture's channels."""

    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.reader = BlobReader(thresholds=Thresholds(), **options)
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor, proposals: Tensor | None = None) -> Scores:
        return Scores(images)

    def loss(self, inputs: Inputs, truths: Sequence[Truth]) -> dict[str, Tensor]:
        raise AssertionError


def blobs(**options: bool) -> System:
    return System(
        name="mask_rcnn",
        model=Blobs(**options),
        preprocess=Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        categories=Categories(class_names=NAMES),
    )


def canvas(height: int = 150, width: int = 200) -> Tensor:
    return torch.zeros(3, height, width, dtype=torch.uint8)


def the_same(tiled: Detections, whole: Detections) -> None:
    """Hold two results to each other, whatever the order of rows."""
    assert len(tiled) == len(whole)
    assert whole.rles is not None
    assert tiled.rles is not None
    ours, theirs = (
        sorted(
            zip(
                map(tuple, found.boxes.tolist()),
                found.labels.tolist(),
                (rle["counts"] for rle in found.rles or ()),
                strict=True,
            )
        )
        for found in (tiled, whole)
    )
    assert ours == theirs


def both(image: Tensor, tile: int = 80, overlap: int = 32, **options: bool) -> tuple[Detections, Detections]:
    predictor = Predictor(blobs(**options))
    (tiled,), (whole,) = predictor(image, tile=(tile, tile), overlap=overlap, batch_size=3), predictor(image)
    assert isinstance(tiled, Detections)
    assert isinstance(whole, Detections)
    return tiled, whole


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_small_objects_are_found_once_wherever_borders_fall(seed: int) -> None:
    """Objects of up to 20 pixels, on a grid so that none touch; a quarter of the overlap is more than what is near."""
    random, image = np.random.default_rng(seed), canvas()
    for y in range(0, 150, 30):
        for x in range(0, 200, 30):
            height, width = random.integers(4, 21, 2)
            top, left = y + random.integers(0, 6), x + random.integers(0, 6)
            image[random.integers(3), top : top + height, left : left + width] = 255
    the_same(*both(image))


def test_an_object_that_no_tile_holds_is_joined() -> None:
    image = canvas()
    image[0, 40:60, 10:190] = 255  # over three tiles
    image[0, 60:140, 100:112] = 255  # an L, over two rows of them
    image[1, 100:110, 20:30] = 255
    tiled, whole = both(image, tile=70)
    the_same(tiled, whole)
    assert decode_rle(tiled.rles or [], (150, 200))[0].equal(image[0] > 0)


def test_two_objects_of_a_class_at_a_border_stay_two() -> None:
    image = canvas()
    image[0, 10:30, 30:100], image[0, 34:54, 30:100] = 255, 255
    the_same(*both(image))


def test_keypoints_are_those_of_the_largest_piece() -> None:
    image = canvas()
    image[0, 10:20, 10:30], image[1, 60:70, 5:150] = 255, 255
    tiled, _ = both(image, with_keypoints=True)
    assert tiled.keypoints is not None
    small, long = (tiled.keypoints[tiled.labels == label][0, 0].tolist() for label in (0, 1))
    assert small == [20.0, 15.0]
    assert long[1] == 65.0
    assert 5 < long[0] < 150


def test_where_one_tile_holds_all_nothing_changes() -> None:
    image = torch.randint(0, 256, (3, 60, 80), dtype=torch.uint8)
    tiled, whole = both(image, tile=80)
    assert torch.equal(tiled.boxes, whole.boxes)
    assert tiled.rles == whole.rles


def test_nothing_is_found_in_an_empty_picture() -> None:
    tiled, _ = both(canvas())
    assert len(tiled) == 0
    assert tiled.rles == []


def test_nms_may_be_of_all_classes() -> None:
    image = canvas()
    image[0, 20:40, 20:40] = image[1, 21:40, 20:40] = 255
    system = blobs()
    assert len(Predictor(system)(image, tile=(80, 80), overlap=32)[0]) == 2
    assert len(Predictor(system)(image, tile=(80, 80), overlap=32, class_agnostic=True)[0]) == 1


def test_one_thing_a_picture_is_not_looked_for_in_tiles() -> None:
    categories = Categories(class_names=("cat",))
    model = build("localizer", categories, backbone="resnet10t", image_size=64)
    system = System(name="localizer", model=model, categories=categories, preprocess=Preprocess(size=(64, 64)))
    with pytest.raises(
        InputError, match="tile: localizer finds the class and the box of the one object, of which every"
    ):
        Predictor(system)(canvas(), tile=(64, 64), overlap=32)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_masks_are_moved_and_sampled_as_their_pixels_are(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    height, width = (int(torch.randint(1, 9, (), generator=random)) for _ in range(2))
    mask = torch.rand(height, width, generator=random) > 0.4
    (rle,) = encode_rle(mask[None])
    top, left, below, right = (int(torch.randint(0, 4, (), generator=random)) for _ in range(4))
    picture = torch.nn.functional.pad(mask, (left, right, top, below))
    moved = moved_rle(rle, (top, left), (picture.shape[0], picture.shape[1]))
    assert moved == encode_rle(picture[None])[0]
    rows, columns = torch.arange(0, picture.shape[0], 2), torch.arange(0, picture.shape[1], 3)
    assert torch.equal(sampled_rle(moved, rows, columns), picture[rows[:, None], columns])
    assert int(flips_of(moved)[-1]) == picture.numel()


def test_runs_of_large_pictures_are_read() -> None:
    (rle,) = encode_rle(torch.ones(1, 30, 40, dtype=torch.bool))
    moved = moved_rle(rle, (19_000, 18_000), (20_000, 20_000))
    flips = flips_of(moved).tolist()
    assert flips[:2] == [18_000 * 20_000 + 19_000, 18_000 * 20_000 + 19_030]
    assert flips[-1] == 20_000 * 20_000


def test_the_whole_picture_finds_what_tiles_cut() -> None:
    """Without an overlap no strip is shared: pieces are no whole, and the shrunk picture's answer is taken."""
    image = canvas(160, 160)
    image[2, 20:140, 20:140] = 255
    found = detect_tiled(blobs(), InMemory(image), tile=(80, 80), overlap=0)
    assert found.boxes[0].tolist() == pytest.approx([20, 20, 140, 140], abs=3)
    assert len(found) == 1

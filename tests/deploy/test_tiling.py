from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from delineate.data.cutting import starts
from delineate.data.preprocess import Preprocess
from delineate.data.regions import InMemory
from delineate.deploy import Predictor
from delineate.deploy.tiling import segment_tiled, taper
from delineate.models.segmentation import Segmenter
from delineate.system.system import System
from delineate.values import Categories, InputError

NAMES = ("a", "b", "c", "d")
PREPROCESS = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def segmenter(kernel_size: int, preprocess: Preprocess = PREPROCESS) -> System:
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, kernel_size, padding=kernel_size // 2)
    return System(
        name="fcn_full_resolution",
        model=Segmenter(network=network, num_classes=4).eval(),
        preprocess=preprocess,
        categories=Categories(class_names=NAMES, label_map_names=NAMES),
    )


def noise(height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@given(size=st.integers(1, 400), tile=st.integers(1, 100), data=st.data())
def test_tiles_cover_the_size_and_overlap_enough(size: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    begins = starts(size, tile, overlap)
    assert begins[0] == 0
    assert begins[-1] == max(0, size - tile)
    steps = [after - before for before, after in pairwise(begins)]
    assert all(0 < step <= tile - overlap for step in steps)


def test_weights_rise_over_the_overlap() -> None:
    assert taper(7, 2).tolist() == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 2 / 3, 1 / 3])
    assert taper(3, 0).tolist() == [1, 1, 1]


@pytest.mark.parametrize("size", [(50, 70), (33, 20), (90, 16)])
def test_a_network_that_sees_one_pixel_cannot_tell_tiles(size: tuple[int, int]) -> None:
    predictor, image = Predictor(segmenter(1)), noise(*size)
    [whole] = predictor(image)
    [tiled] = predictor(image, tile=(32, 24), overlap=10)
    assert torch.equal(tiled.label_map, whole.label_map)


@torch.inference_mode()
def test_blending_equals_its_formula() -> None:
    system, image = segmenter(5), noise(61, 47)
    scores, sums = torch.zeros(4, 61, 47), torch.zeros(61, 47)
    weights = taper(20, 6)[:, None] * taper(16, 6)[None]
    for top in starts(61, 20, 6):
        for left in starts(47, 16, 6):
            part = image[:, top : top + 20, left : left + 16]
            logits = system.model(PREPROCESS.normalise(part)[None]).logits[0]
            scores[:, top : top + 20, left : left + 16] += weights * logits
            sums[top : top + 20, left : left + 16] += weights
    assert sums.min() > 0
    for batch_size in (1, 3):
        tiled = segment_tiled(system, InMemory(image), tile=(20, 16), overlap=6, batch_size=batch_size)
        assert torch.equal(tiled.label_map, (scores / sums).argmax(0))


def test_tiles_are_resized_as_pictures_are() -> None:
    shrinking = Preprocess(short_side=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    predictor = Predictor(segmenter(3, shrinking))
    image = noise(16, 32)
    [tiled] = predictor(image, tile=(16, 16), overlap=0)
    left, right = predictor([image[..., :16], image[..., 16:]])
    assert torch.equal(tiled.label_map, torch.cat([left.label_map, right.label_map], 1))


def test_an_overlap_as_large_as_the_tile_is_refused() -> None:
    with pytest.raises(InputError, match="overlap: 16 is not between 0 and the tile's 16"):
        segment_tiled(segmenter(1), InMemory(noise(40, 40)), tile=(16, 16), overlap=16)

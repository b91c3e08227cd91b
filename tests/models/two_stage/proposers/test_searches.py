from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.systems import CATEGORIES
from torch import Tensor
from torchvision.ops import box_iou

from delineate.data.preprocess import Preprocess
from delineate.data.proposals import Search
from delineate.models.two_stage import rcnn
from delineate.models.two_stage.proposers import SelectiveSearch, SlidingWindow, selective_search
from delineate.system.system import System

SIZE = (80, 112)
IMAGES = torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8)


def window(**arguments: Any) -> SlidingWindow:
    return SlidingWindow(**{"scales": [16.0, 32.0, 64.0], "aspect_ratios": [0.5, 1.0, 2.0], **arguments})


def system(search: Search, preprocess: Preprocess | None = None) -> System:
    """A system that takes the proposals of a search."""
    model = rcnn(num_classes=2, backbone="resnet10t", warp_size=32)
    model.search = search
    return System(name="rcnn", model=model, preprocess=preprocess or Preprocess(), categories=CATEGORIES)


@settings(max_examples=60, deadline=None)
@given(size=st.tuples(st.integers(1, 200), st.integers(1, 200)), step=st.sampled_from([0.25, 0.5, 1.0]))
def test_windows_lie_within_the_picture(size: tuple[int, int], step: float) -> None:
    boxes = window(step=step).windows(size)
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= size[1]).all()
    assert (boxes[:, 3] <= size[0]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    if step == 0.25 and min(size) >= 16:
        assert len(boxes) > 0


def test_a_square_anywhere_has_a_window_close_to_it() -> None:
    # at most half a step away in both directions, which is an eighth of the side: IoU (7/8)^2 / (2 - (7/8)^2)
    boxes = window().windows(SIZE)
    for side in (16, 32, 64):
        corners = torch.rand(200, 2) * (torch.tensor([112.0, 80.0]) - side)
        squares = torch.cat([corners, corners + side], 1)
        assert box_iou(squares, boxes).amax(1).min() > 0.62


def test_windows_are_cut_at_borders_but_never_by_more_than_half() -> None:
    boxes = SlidingWindow(scales=[32.0], aspect_ratios=[1.0], step=0.5).windows((64, 64))
    sides = (boxes[:, 2:] - boxes[:, :2]).tolist()
    assert sorted(set(map(tuple, sides))) == [(16, 32), (32, 16), (32, 32)]
    assert len(boxes) == 9 + 12  # 3 x 3 whole ones, 3 at each border, none of the four corners


def test_windows_are_the_same_for_every_picture_of_one_size() -> None:
    first, second = system(window()).inputs(IMAGES).proposals
    assert torch.equal(first, second)
    assert torch.equal(first, window().windows(SIZE))


def test_windows_are_those_of_the_resized_picture() -> None:
    assert not window().kept
    (prepared,) = system(window(), Preprocess(short_side=40)).prepare(list(IMAGES))
    assert torch.equal(prepared.inputs.proposals[0], window().windows((40, 56)))


def test_proposals_that_are_given_are_taken() -> None:
    given = [torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[5.0, 5.0, 10.0, 10.0]] * 3)]
    first, second = system(window()).inputs(IMAGES, given).proposals
    assert torch.equal(first[:1], given[0])
    assert not first[1:].any(), "a picture with fewer proposals than others has boxes of zeros"
    assert torch.equal(second, given[1])


def test_selective_search_sees_the_colours_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [1.0, 1.0, 5.0, 5.0]])

    def search(image: Tensor, **options: Any) -> Tensor:
        seen.append((image, options))
        return boxes

    monkeypatch.setattr(selective_search, "selective_search", search)
    preprocess = Preprocess(mean=(0.2, 0.5, 0.6), std=(0.3, 0.1, 0.2))
    images = torch.randint(0, 256, (2, 3, 12, 15), dtype=torch.uint8)
    inputs = system(SelectiveSearch(mode="quality", max_proposals=7), preprocess).inputs(images)
    assert torch.equal(torch.stack([image for image, _ in seen]), images)
    assert all(options == {"mode": "quality", "max_proposals": 7} for _, options in seen)
    assert torch.equal(inputs.proposals, boxes.expand(2, -1, -1)), "the likeliest first"


def test_other_settings_of_a_search_have_another_name() -> None:
    searches = [SelectiveSearch(), SelectiveSearch(mode="quality"), SelectiveSearch(max_proposals=50)]
    searches += [window(), window(step=0.5), window(scales=[16.0]), window(aspect_ratios=[1.0])]
    assert len({search.settings for search in searches}) == len(searches)
    assert all(isinstance(search, Search) for search in searches)

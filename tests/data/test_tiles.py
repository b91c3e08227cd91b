"""Pictures are cut into tiles to train on, and what is cut is kept honestly."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from torch import Tensor

from delineate.data import Synthetic, regions
from delineate.data.cutting import windows
from delineate.data.dataset import Dataset
from delineate.data.images import read_image
from delineate.data.tiles import Tiles, cut_target
from delineate.values import Categories, Sample, Target


class One(Dataset):
    """A data set of one picture, in a file."""

    categories = Categories(class_names=("cat",))
    contents = frozenset({"boxes", "masks", "keypoints"})

    def __init__(self, file: Path, target: Target) -> None:
        self.files, self.known = [file], target

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return self.known


def boxes(*rows: list[int]) -> Tensor:
    return torch.tensor(rows).float()


def target(**fields: object) -> Target:
    """Objects wholly in the left half, cut by its border to nine and to three tenths, and wholly outside."""
    given = boxes([10, 10, 30, 30], [42, 0, 52, 10], [47, 20, 57, 30], [60, 40, 70, 50])
    return Target(image_size=(60, 100), boxes=given, labels=torch.zeros(4, dtype=torch.int64), **fields)  # type: ignore[arg-type]


def test_objects_of_which_little_is_left_are_ignored() -> None:
    cut = cut_target(target(), (0, 0, 60, 50))
    assert cut.boxes.tolist() == [[10, 10, 30, 30], [42, 0, 50, 10], [47, 20, 50, 30]]
    assert cut.ignored.tolist() == [False, False, True]
    right = cut_target(target(), (0, 50, 60, 50))
    assert right.boxes.tolist() == [[0, 0, 2, 10], [0, 20, 7, 30], [10, 40, 20, 50]]
    assert right.ignored.tolist() == [True, False, False]


def test_a_mask_says_how_much_is_left() -> None:
    masks = torch.zeros(4, 60, 100, dtype=torch.bool)
    masks[0, 10:30, 10:30] = masks[3, 40:50, 60:70] = True
    masks[1, 0:10, 51:52] = masks[1, 0, 42:51] = True  # most of the box lies in the left half, but not of the mask
    masks[2, 20:30, 47:57] = True
    assert cut_target(target(masks=masks), (0, 0, 60, 50)).ignored.tolist() == [False, False, True]
    masks[1, 0, 42:51] = False
    masks[1, 0, 42] = True
    cut = cut_target(target(masks=masks), (0, 0, 60, 50))
    assert cut.ignored.tolist() == [False, True, True]
    assert cut.masks is not None
    assert torch.equal(cut.masks, masks[:3, :, :50])


def test_crowds_and_difficult_objects_stay_what_they_are() -> None:
    known = target(crowd=torch.tensor([1, 0, 0, 0]) > 0, difficult=torch.tensor([0, 1, 0, 0]) > 0)
    cut = cut_target(known, (0, 0, 60, 50))
    assert (cut.crowd.tolist(), cut.difficult.tolist()) == ([True, False, False], [False, True, True])


def test_keypoints_outside_are_not_annotated() -> None:
    keypoints = torch.tensor([[[12.0, 12.0]], [[51.0, 5.0]], [[48.0, 25.0]], [[65.0, 45.0]]])
    cut = cut_target(target(keypoints=keypoints, visibility=torch.full((4, 1), 2)), (0, 0, 60, 50))
    assert cut.visibility is not None
    assert cut.visibility[:, 0].tolist() == [2, 0, 2]


def test_tiles_are_the_pixels_and_the_annotation_of_their_place() -> None:
    whole = Synthetic(3, image_size=(64, 96))
    tiles = Tiles(whole, 48, 16)
    assert len(tiles) == 3 * 2 * 3
    for index, (picture, window) in enumerate(tiles.rows):
        top, left, height, width = window
        sample = tiles[index]
        assert tiles.size(index) == sample.target.image_size == (48, 48)
        assert torch.equal(sample.image, whole[picture].image[:, top : top + height, left : left + width])
        read = tiles.target(index, tiles.size(index))
        assert torch.equal(read.boxes, sample.target.boxes)
        assert torch.equal(read.difficult, sample.target.difficult)
        assert sample.target.label_map is not None
        assert whole[picture].target.label_map is not None
        assert torch.equal(
            sample.target.label_map, whole[picture].target.label_map[top : top + height, left : left + width]
        )
        assert sample.file.endswith(f"#{top},{left}")
    assert tiles.needing(frozenset({"boxes"})).needs == {"boxes"}


def test_every_object_is_learned_whole_in_a_tile_where_the_overlap_holds_it() -> None:
    side, overlap = 100, 30
    for left in range(271):
        one = Target(
            image_size=(100, 300), boxes=boxes([left, 10, left + overlap, 40]), labels=torch.zeros(1, dtype=torch.int64)
        )
        kept = [cut_target(one, window) for window in windows((100, 300), (side, side), overlap)]
        widths = [float(part.boxes[0, 2] - part.boxes[0, 0]) for part in kept if len(part[~part.ignored])]
        assert max(widths) == overlap


def test_a_picture_no_larger_than_a_tile_stays_itself() -> None:
    whole = Synthetic(2, image_size=(48, 64))
    tiles = Tiles(whole, 64, 16)
    assert [tiles[index].file for index in range(2)] == [whole[index].file for index in range(2)]
    assert torch.equal(tiles[1].image, whole[1].image)


def test_large_tiffs_are_read_by_their_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "LARGE", 1000)
    pixels = np.random.default_rng(0).integers(0, 255, (60, 100, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(32, 32), photometric="rgb")
    tiles = Tiles(One(tmp_path / "a.tif", target()), 50, 10)
    image = read_image(tmp_path / "a.tif")
    with monkeypatch.context() as patched:
        patched.setattr("delineate.data.dataset.read_image", lambda _: pytest.fail("it was read whole"))
        samples: list[Sample] = [tiles[index] for index in range(len(tiles))]
    for sample, (_, (top, left, height, width)) in zip(samples, tiles.rows, strict=True):
        assert torch.equal(sample.image, image[:, top : top + height, left : left + width])

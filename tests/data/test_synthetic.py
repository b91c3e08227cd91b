import hashlib
from pathlib import Path

import pytest
import torch
from tests.data.samples import assert_targets_equal

from delineate.data.formats import coco
from delineate.data.synthetic import CATEGORIES, Synthetic, synthesise
from delineate.values import IGNORE, InputError

FIGURE = CATEGORIES.class_names.index("figure")
RING = CATEGORIES.class_names.index("ring")


@pytest.fixture(scope="module")
def samples() -> list:
    return list(Synthetic(300, seed=5))


def test_a_picture_depends_on_seed_and_number_alone() -> None:
    whole = Synthetic(8, seed=3, image_size=(64, 96))
    part = Synthetic(3, seed=3, first=5, image_size=(64, 96))
    for index, sample in enumerate(part):
        assert sample.image.equal(whole[5 + index].image)
        assert sample.file == whole[5 + index].file == f"synthetic/{5 + index:06d}.png"
        assert_targets_equal(sample.target, whole[5 + index].target)
        assert_targets_equal(part.target(index, (64, 96)), sample.target)
    assert part[-1].image.equal(part[2].image)
    assert not whole[0].image.equal(Synthetic(1, seed=4, image_size=(64, 96))[0].image)
    with pytest.raises(IndexError):
        part[3]


def test_masks_are_the_visible_parts_and_everything_else_follows(samples: list) -> None:
    background = len(CATEGORIES.class_names)
    for sample in samples:
        target = sample.target
        expected = torch.full((128, 128), background)
        assert target.masks.sum(0).max() <= 1
        for row, mask in enumerate(target.masks):
            y, x = mask.nonzero().unbind(1)
            assert target.boxes[row].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
            expected[mask] = IGNORE if target.crowd[row] else target.labels[row]
        assert target.label_map.equal(expected)


def test_pictures_vary(samples: list) -> None:
    targets = [sample.target for sample in samples]
    assert 15 <= sum(len(target) == 0 for target in targets) <= 45
    assert 15 <= sum(bool(target.crowd.any()) for target in targets) <= 45
    counts = torch.bincount(torch.cat([target.labels for target in targets]))
    assert len(counts) == CATEGORIES.num_classes
    assert counts.min() > 0.6 * counts.float().mean()
    # every picture has light and dark, and no two are alike
    assert min(sample.image.float().std() for sample in samples) > 8
    assert len({hashlib.sha1(sample.image.numpy().tobytes()).digest() for sample in samples}) == len(samples)


def test_keypoints_are_on_their_figures(samples: list) -> None:
    seen = hidden = 0
    for target in (sample.target for sample in samples):
        figures = target.labels == FIGURE
        assert not target.visibility[~figures].any()
        for keypoints, visibility, mask in zip(
            target.keypoints[figures], target.visibility[figures], target.masks[figures], strict=True
        ):
            column, row = keypoints[visibility == 2].long().unbind(1)
            assert mask[row, column].all()
            column, row = keypoints[visibility == 1].long().unbind(1)
            assert not mask[row, column].any()
            assert not keypoints[visibility == 0].any()
            seen, hidden = seen + int((visibility == 2).sum()), hidden + int((visibility == 1).sum())
    assert 0 < hidden < 0.3 * seen


def test_a_figure_that_stands_upright_has_its_left_on_our_right(samples: list) -> None:
    names = CATEGORIES.keypoint_names
    left, right = names.index("left_hand"), names.index("right_hand")
    across = torch.cat([s.target.keypoints[(s.target.visibility > 0).all(1)] for s in samples])[:, [left, right], 0]
    assert len(across) > 50
    assert (across[:, 0] > across[:, 1]).float().mean() > 0.95
    assert CATEGORIES.flip_order[left] == right


def test_a_figure_fills_as_much_of_its_box_as_people_do(samples: list) -> None:
    """OKS divides by the mask's area: others take 0.53 of the box where people have no masks."""
    shares = []
    for target in (sample.target for sample in samples):
        for row in ((target.visibility == 2).all(1)).nonzero().flatten().tolist():
            x1, y1, x2, y2 = target.boxes[row].tolist()
            shares.append(float(target.masks[row].sum()) / ((x2 - x1) * (y2 - y1)))
    assert len(shares) > 30
    assert 0.48 < sum(shares) / len(shares) < 0.58
    assert min(shares) > 0.35


def test_a_ring_has_a_hole(samples: list) -> None:
    filled = []
    for target in (sample.target for sample in samples):
        for row in ((target.labels == RING) & ~target.crowd).nonzero().flatten().tolist():
            x1, y1, x2, y2 = target.boxes[row].long().tolist()
            if min(x1, y1, 128 - x2, 128 - y2) > 0:
                middle = target.label_map[(y1 + y2) // 2, (x1 + x2) // 2]
                filled.append(bool(middle == RING))
    assert len(filled) > 30
    assert sum(filled) < 0.2 * len(filled)  # a few are half hidden, and so is where their middle is


def test_shapes_differ_from_what_is_around_them(samples: list) -> None:
    differences = []
    for sample in samples[:60]:
        image = sample.image.float()
        for mask in sample.target.masks[~sample.target.crowd]:
            around = torch.nn.functional.max_pool2d(mask[None].float(), 13, 1, 6)[0].bool() & ~mask
            differences.append((image[:, mask].mean(1) - image[:, around].mean(1)).abs().max())
    assert torch.stack(differences).median() > 40


@pytest.mark.parametrize("wanted", [{"num_images": -1}, {"seed": -1}, {"first": -1}, {"image_size": (128, 20)}])
def test_mistakes_are_named(wanted: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wanted))):
        Synthetic(**{"num_images": 1, **wanted})


def test_synthesise_writes_splits_that_share_no_picture(tmp_path: Path) -> None:
    assert synthesise(tmp_path, num_images=10, seed=2, image_size=(64, 80)) == []
    assert coco.splits(tmp_path) == ["train", "val"]
    whole = Synthetic(10, seed=2, image_size=(64, 80))
    for split, numbers in (("train", range(8)), ("val", range(8, 10))):
        read = coco.read(tmp_path, split)
        assert read.categories == CATEGORIES
        assert len(read) == len(numbers)
        for number, sample in zip(numbers, read, strict=True):
            assert sample.image.equal(whole[number].image)
            assert_targets_equal(sample.target, whole[number].target)


def test_shares_must_add_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="splits: the shares"):
        synthesise(tmp_path, num_images=10, splits={"train": 0.5, "val": 0.2})

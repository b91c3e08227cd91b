from dataclasses import replace

import pytest
import torch

from delineate.data.augmentation import Augmentation, training_transform
from delineate.data.elastic import bent, sampling_grid
from delineate.data.preprocess import Preprocess
from delineate.data.synthetic import Synthetic
from delineate.values import IGNORE, Categories, InputError, Sample, Target

SIZE = (64, 96)
Y, X = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")


def ramp() -> Sample:
    """A picture whose red and green say where a pixel was, and a label map that follows from them."""
    image = torch.stack([X * 2, Y * 3, torch.zeros_like(X)]).to(torch.uint8)
    target = Target(image_size=SIZE, label_map=(X >= 48).long() + 2 * (Y >= 32).long())
    return Sample(image=image, target=target, file="ramp.png")


def test_without_displacements_everything_stays() -> None:
    sample = bent(ramp(), 0.0)
    assert torch.equal(sample.image, ramp().image)
    assert torch.equal(sample.target.label_map, ramp().target.label_map)


def test_picture_and_label_map_move_together_and_smoothly() -> None:
    torch.manual_seed(0)
    sample = bent(ramp(), 0.05)
    x, y = sample.image[0].float() / 2, sample.image[1].float() / 3
    moved = torch.stack([x - X, y - Y])
    assert 2 < moved.abs().amax() < 25
    assert moved[:, 8:-8, 8:-8].diff(dim=1).abs().max() < 1.5
    far = ((x - 47.5).abs() > 1.5) & ((y - 31.5).abs() > 1.5)  # from where two labels meet
    expected = (x >= 48).long() + 2 * (y >= 32).long()
    assert torch.equal(sample.target.label_map[far], expected[far])
    assert far.float().mean() > 0.8
    torch.manual_seed(0)
    again = bent(ramp(), 0.05)
    assert torch.equal(again.image, sample.image)
    assert not torch.equal(bent(ramp(), 0.05).image, sample.image)


def test_displacements_are_those_of_the_grid_and_bicubic_between() -> None:
    drawn = torch.zeros(2, 3, 3)
    drawn[0, 1, 1] = 0.1  # the middle comes from a tenth of the width further right
    grid = sampling_grid(drawn, (65, 65))
    staying = sampling_grid(torch.zeros(2, 3, 3), (65, 65))
    moved = (grid - staying)[0] / 2
    assert moved[32, 32].tolist() == pytest.approx([0.1, 0.0])
    assert moved[0].abs().max() == pytest.approx(0, abs=1e-6)
    # Keys' kernel, a = -0.75, half way between two points: 0.59375
    assert moved[32, 16, 0].item() == pytest.approx(0.1 * 0.59375, abs=1e-3)


def test_ignored_pixels_stay_ignored_and_no_label_is_invented() -> None:
    label_map = torch.where(X < 30, IGNORE, 7)
    sample = replace(ramp(), target=Target(image_size=SIZE, label_map=label_map))
    assert set(bent(sample, 0.1).target.label_map.unique().tolist()) == {7, IGNORE}


def test_objects_are_left_out() -> None:
    sample = next(sample for sample in Synthetic(9) if len(sample.target))
    target = bent(sample, 0.02).target
    assert len(target) == 0
    assert target.masks is None
    assert target.label_map is not None


def test_training_pictures_are_bent_where_asked() -> None:
    def varied(**rules: float) -> torch.Tensor:
        torch.manual_seed(1)
        augmentation = Augmentation(flip=0.0, **rules)
        return training_transform(augmentation, Preprocess(), Categories(class_names=()))(ramp()).image

    assert torch.equal(varied(), ramp().image)
    assert not torch.equal(varied(elastic=0.02), ramp().image)
    with pytest.raises(InputError, match=r"elastic: -0\.1 is outside 0\.\.0\.2"):
        Augmentation(elastic=-0.1)

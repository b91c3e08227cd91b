import numpy as np
import pytest
import torch

from delineate.data.balancing import balance, balanced_order, median_frequency, object_weights, repeat_factors
from delineate.data.sampling import EpochSampler, mixed
from delineate.values import Categories, Sample, Target

from .samples import InMemory

CATEGORIES = Categories(class_names=("common", "usual", "rare"))


def pictures(*labels: list[int]) -> InMemory:
    samples = []
    for number, these in enumerate(labels):
        boxes = torch.tensor([[0.0, 0, 8, 8]]).repeat(len(these), 1)
        target = Target(image_size=(16, 16), boxes=boxes, labels=torch.tensor(these, dtype=torch.int64))
        samples.append(Sample(image=torch.zeros(3, 16, 16).byte(), target=target, file=f"{number}.png"))
    return InMemory(samples, CATEGORIES, frozenset({"boxes"}))


# of 16 pictures all have what is common, 4 what is usual, 1 what is rare
LONG_TAIL = pictures([0, 2], *[[0, 0, 1]] * 4, *[[0]] * 11)


def test_factors_are_the_papers_formula_with_the_median_as_threshold() -> None:
    present = torch.zeros(16, 3, dtype=torch.bool)
    present[:, 0], present[1:5, 1], present[0, 2] = True, True, True
    factors = repeat_factors(present)
    assert (factors / factors[-1]).tolist() == pytest.approx([2.0] + [1.0] * 15), "the root of 4 / 1"
    assert float(factors.mean()) == pytest.approx(1)
    assert repeat_factors(torch.zeros(3, 2, dtype=torch.bool)).tolist() == [1, 1, 1]


def test_an_order_has_each_picture_its_factors_number_of_times() -> None:
    factors = torch.tensor([3.5, 1.0, 0.25, 0.25])
    generator, counts = torch.Generator().manual_seed(0), torch.zeros(4)
    for _ in range(200):
        drawn, turns = balanced_order(factors, generator)
        of_each = drawn.bincount(minlength=4)
        assert of_each.sum() == 4
        assert ((of_each - factors * 4 / 5).abs() < 1).all(), "rounded up or down"
        for picture in range(4):
            assert turns[drawn == picture].sort().values.tolist() == list(range(int(of_each[picture])))
        counts += of_each
    torch.testing.assert_close(counts / 200, factors * 4 / 5, atol=0.12, rtol=0)


def batches(**options: object) -> list[list[tuple[int, int]]]:
    factors, _ = balance(LONG_TAIL)
    sampler = EpochSampler(16, batch_size=2, seed=3, factors=factors, **options)  # type: ignore[arg-type]
    sampler.set_epoch(5)
    return list(sampler)


def test_an_epoch_is_a_function_of_seed_and_epoch_and_goes_on_where_it_stopped() -> None:
    whole = batches()
    assert whole == batches()
    factors, _ = balance(LONG_TAIL)
    sampler = EpochSampler(16, batch_size=2, seed=3, factors=factors)
    sampler.set_epoch(5, start_batch=3)
    assert list(sampler) == whole[3:]
    sampler.set_epoch(6)
    assert list(sampler) != whole
    dealt = batches(rank=0, world_size=2) + batches(rank=1, world_size=2)
    assert sorted(key for batch in dealt for key in batch) == sorted(key for batch in whole for key in batch)


def test_a_picture_that_comes_again_is_varied_otherwise() -> None:
    rows = [index for batch in batches() for _, index in batch]
    assert sorted(index for index in rows if index % 16 == 0) in ([0], [0, 16])
    many = EpochSampler(4, batch_size=4, seed=0, factors=torch.tensor([4.0, 0.1, 0.1, 0.1]))
    [batch] = list(many)
    again = [index for _, index in batch if index % 4 == 0]
    assert len(again) >= 3
    assert len({mixed(0, 0, index) for index in again}) == len(again)


def test_what_it_does_is_said_with_counts() -> None:
    _, line = balance(LONG_TAIL)
    assert line.startswith("sampler class_balanced: 1 of 16 pictures come up to 1.88 times an epoch, the others less;")
    assert line.endswith("common 1.00, usual 0.94, rare 1.88")


def test_objects_are_weighed_as_pixels_are() -> None:
    weights, line = object_weights(LONG_TAIL)
    shares = np.array([20 / 25, 4 / 12, 1 / 2])
    assert weights.tolist() == pytest.approx(np.median(shares) / shares)
    assert line == "class weights: common 0.62 (20 objects), usual 1.50 (4 objects), rare 1.00 (1 object)"
    assert median_frequency(np.array([0, 4]), np.array([0, 8])).tolist() == [1, 1], "what does not occur has weight 1"

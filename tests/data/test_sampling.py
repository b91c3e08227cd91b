import pickle
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.data import sampling
from delineate.data.sampling import EpochSampler, mixed, own_randomness, seed_all


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_randomness_follows_from_the_seed_and_leaves_no_trace() -> None:
    before = random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state()
    with own_randomness():
        seed_all(mixed(1, 2, 3))
        first = drawn()
        drawn()
        seed_all(mixed(1, 2, 3))
        assert drawn() == first
        seed_all(mixed(1, 2, 4))
        assert not set(drawn()) & set(first)
    assert random.getstate() == before[0]
    assert pickle.dumps(np.random.get_state()) == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_an_epoch_goes_on_where_it_was_left() -> None:
    sampler = EpochSampler(20, batch_size=3, seed=0)
    sampler.set_epoch(4)
    whole = list(sampler)
    assert len(whole) == len(sampler) == 6
    assert {epoch for batch in whole for epoch, _ in batch} == {4}
    sampler.set_epoch(4, start_batch=5)
    assert list(sampler) == whole[5:]
    sampler.set_epoch(5)
    assert len(list(sampler)) == 6


@pytest.mark.parametrize("factors", [None, torch.linspace(0.5, 2.5, 60)])
def test_pictures_of_an_archive_come_near_each_other_and_resumed_they_come_alike(factors: torch.Tensor | None) -> None:
    groups = torch.arange(60) % 12
    sampler = EpochSampler(60, batch_size=5, seed=0, factors=factors, groups=groups)
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        epochs.append([groups[index % 60] for batch in batches for _, index in batch])
        sampler.set_epoch(epoch, start_batch=7)
        assert list(sampler) == batches[7:]
    if factors is None:
        for group in (epochs[0], epochs[1]):
            parts = [group[first : first + 20] for first in (0, 20, 40)]
            assert [len({*map(int, part)}) for part in parts] == [sampling.AT_ONCE] * 3
            assert any(one != other for one, other in zip(parts[0], sorted(parts[0]), strict=True)), "they are mixed"
    changes = sum(one != other for one, other in zip(epochs[0], epochs[0][1:], strict=False))
    assert changes > 25
    assert epochs[0] != epochs[1]
    alone = EpochSampler(60, batch_size=5, seed=0, factors=factors)
    assert sorted(i for b in sampler_epoch(alone) for i in b) == sorted(
        i for b in sampler_epoch(EpochSampler(60, batch_size=5, seed=0, factors=factors, groups=groups)) for i in b
    ), "the same pictures, as often"


def sampler_epoch(sampler: EpochSampler) -> list[list[int]]:
    return [[index for _, index in batch] for batch in sampler]


@settings(max_examples=30, deadline=None)
@given(num_samples=st.integers(1, 40), batch_size=st.integers(1, 9), world_size=st.integers(1, 4))
def test_ranks_share_the_pictures(num_samples: int, batch_size: int, world_size: int) -> None:
    ranks = []
    for rank in range(world_size):
        sampler = EpochSampler(num_samples, batch_size=batch_size, seed=3, rank=rank, world_size=world_size)
        assert len(sampler) == len(list(sampler))
        ranks.append(list(sampler))
    assert len({tuple(len(batch) for batch in batches) for batches in ranks}) == 1
    sizes = [len(batch) for batch in ranks[0]]
    assert sizes
    assert all(0 < size <= batch_size for size in sizes)
    assert all(size == batch_size for size in sizes[:-1])
    indices = [index for batches in ranks for batch in batches for _, index in batch]
    per_rank = -(-num_samples // world_size)
    together = batch_size * world_size
    if num_samples >= together:  # what one rank with as large a batch learns from, step by step
        alone = EpochSampler(num_samples, batch_size=together, seed=3)
        steps = [[one for batch in batches for one in batch] for batches in zip(*ranks, strict=True)]
        assert [sorted(step) for step in steps] == [sorted(batch) for batch in alone]
    if num_samples % together == 0 or num_samples < together:  # no batch is left out
        assert set(indices) == set(range(num_samples))
        assert len(indices) == per_rank * world_size  # fewer than one more a rank
    if num_samples % world_size == 0:
        assert len(set(indices)) == len(indices)

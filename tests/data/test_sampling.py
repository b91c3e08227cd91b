import pickle
import random

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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

"""Which pictures come when, and what is random about them, follows from the seed, the epoch and the index alone."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from delineate.data.balancing import balanced_order
from delineate.values import InputError

AT_ONCE = 4
"""Pictures of so many archives come mixed, before those of the next ones do."""


class EpochSampler(Sampler[list[tuple[int, int]]]):
    """The sampler gives the batches of an epoch, as lists of `(epoch, index)`.

    The order is a function of the seed and the epoch alone. Where pictures come as often as `factors` say
    (`balancing.repeat_factors`), the index of one that comes again in the epoch is higher by `num_samples`, for each
    time: what is random about it is different. Every rank gets equally many: the order is dealt out in
    turn, and its beginning again where it does not come out even. So the ranks' batches together are those of one rank
    with as large a batch. The last batch is left out when it is incomplete, unless there is no other.

    Pictures of the same group, as an archive is, come near each other: groups are shuffled, and the pictures of
    `AT_ONCE` groups among themselves.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        factors: Tensor | None = None,
        groups: Tensor | None = None,
    ) -> None:
        if num_samples == 0:
            raise InputError("the data set has no pictures to train on")
        self.num_samples = num_samples
        self.factors, self.groups = factors, groups
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.per_rank = -(-num_samples // world_size)
        self.set_epoch(0)

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Choose what the next iteration gives, without the first `start_batch` batches of the epoch."""
        assert 0 <= start_batch <= self.num_batches, f"start_batch {start_batch} of {self.num_batches}"
        self.epoch = epoch
        self.start_batch = start_batch

    @property
    def num_batches(self) -> int:
        """A whole epoch has this many."""
        return max(1, self.num_samples // (self.batch_size * self.world_size))

    def __len__(self) -> int:
        return self.num_batches - self.start_batch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        generator = torch.Generator().manual_seed(mixed(self.seed, self.epoch))
        if self.factors is None:
            shuffled = torch.randperm(self.num_samples, generator=generator)
        else:
            pictures, turns = balanced_order(self.factors, generator)
            shuffled = pictures + turns * self.num_samples
        if self.groups is not None:
            ranks = torch.randperm(int(self.groups.max()) + 1, generator=generator)
            turn = ranks[self.groups[shuffled % self.num_samples]] // AT_ONCE
            shuffled = shuffled[turn.argsort(stable=True)]
        order = shuffled.tolist()
        mine = [order[(self.rank + self.world_size * turn) % self.num_samples] for turn in range(self.per_rank)]
        for batch in range(self.start_batch, self.num_batches):
            rows = mine[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(self.epoch, index) for index in rows]


def mixed(*numbers: int) -> int:
    """Make a seed that differs between all tuples of numbers."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest(), "little")


@contextmanager
def own_randomness() -> Iterator[None]:
    """Leave the process's random numbers as they would have been, whatever is seeded and drawn inside."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def seed_all(seed: int) -> None:
    """Seed torch's (on the CPU), NumPy's and Python's random numbers; `torch.manual_seed` would seed accelerators."""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)

"""Worker processes make batches of a data set; what comes is a function of the seed, the epoch and the index."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Real
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from delineate.data.augmenting import Mix, alone
from delineate.data.dataset import Dataset, skippable
from delineate.data.preprocess import Preprocess
from delineate.data.sampling import EpochSampler, mixed, own_randomness, seed_all
from delineate.data.transforms import Transform, changed, pad, resized_target
from delineate.values import InputError, Sample, Target, counted

Item = TypeVar("Item")
NICENESS = 19
"""Workers that share the cores with what learns have the lowest priority."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """A batch has pictures of one size, their targets in the same coordinates, and their files.

    Pictures of several sizes are padded, masks and label maps with them. `skipped` has a line for each picture that
    could not be read and was replaced by another.
    """

    images: Real[Tensor, "b 3 h w"]
    targets: tuple[Target, ...]
    files: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def to(self, device: torch.device | str) -> "Batch":
        """Copy the batch to a device; copies from pinned memory do not wait."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        def mapped(target: Target) -> Target:
            tensors = {name: change(value) for name, value in vars(target).items() if isinstance(value, Tensor)}
            return changed(target, **tensors)

        return replace(self, images=change(self.images), targets=tuple(mapped(target) for target in self.targets))

    def __getstate__(self) -> dict[str, Any]:
        """Send label maps between processes as one tensor of bytes, which is an eighth to copy."""
        maps = [target.label_map for target in self.targets if target.label_map is not None]
        if len(maps) < len(self.targets):
            return vars(self)
        bytes_suffice = all(int(label_map.max()) < 256 for label_map in maps)
        dtype = torch.uint8 if bytes_suffice else torch.int64
        return {
            **vars(self),
            "targets": tuple(changed(target, label_map=None) for target in self.targets),
            "label_maps": torch.stack([label_map.to(dtype) for label_map in maps]),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        label_maps = state.pop("label_maps", None)
        if label_maps is not None:
            pairs = zip(state["targets"], label_maps.long(), strict=True)
            state["targets"] = tuple(changed(target, label_map=label_map) for target, label_map in pairs)
        self.__dict__.update(state)


def collate(samples: Sequence[Sample], skipped: Sequence[str] = ()) -> Batch:
    """Make one batch; pictures are padded at the right and the bottom to the largest height and width among them.

    For training: in use, a picture's prediction must not depend on others' sizes. Each target keeps its picture's own
    `image_size`. The memory is channels-last.
    """
    size = (
        max(sample.target.image_size[0] for sample in samples),
        max(sample.target.image_size[1] for sample in samples),
    )
    padded = [pad(sample, size) for sample in samples]
    return Batch(
        images=torch.stack([sample.image.permute(1, 2, 0) for sample in padded]).permute(0, 3, 1, 2),
        targets=tuple(
            changed(sample.target, image_size=own.target.image_size)
            for sample, own in zip(padded, samples, strict=True)
        ),
        files=tuple(sample.file for sample in padded),
        skipped=tuple(skipped),
    )


class Loader(Generic[Item]):
    """A loader gives what worker processes make, in order; an `InputError` raised there arrives as its one line.

    Without a GPU the workers share the cores with what learns from their batches, and take the time that it leaves.
    """

    def __init__(
        self, items: TorchDataset[Item | InputError], sampler: Iterable[Any], num_workers: int, persistent: bool
    ) -> None:
        self._loader = DataLoader(
            items,
            sampler=sampler,
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            worker_init_fn=partial(_begin, niceness=0 if torch.cuda.is_available() else NICENESS),
            persistent_workers=persistent and num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else every epoch draws from the randomness that training uses
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Item]:
        for item in self._loader:
            if isinstance(item, InputError):
                raise item
            yield item


class TrainingLoader(Loader[Batch]):
    """The loader gives an epoch's batches and keeps its workers for the next; its length is what is left of one."""

    def __init__(self, items: TorchDataset[Batch | InputError], sampler: EpochSampler, num_workers: int) -> None:
        super().__init__(items, sampler, num_workers, persistent=True)
        self.items = items
        self._sampler = sampler

    @property
    def num_batches(self) -> int:
        """A whole epoch has this many."""
        return self._sampler.num_batches

    def close(self) -> None:
        """End the worker processes; the loader gives nothing any more."""
        del self._loader

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Choose what the next iteration gives; `start_batch` batches are passed over without being read."""
        self._sampler.set_epoch(epoch, start_batch)


def training_loader(
    dataset: Dataset,
    transforms: Sequence[Transform],
    *,
    batch_size: int,
    seed: int,
    num_workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
    skip_unreadable: bool = False,
    factors: Tensor | None = None,
    mix: Mix = alone,
) -> TrainingLoader:
    """Load shuffled batches of transformed samples, the same for any number of workers and after a resume.

    Each comes once an epoch, or as often as its factor says; `mix` makes it of itself and of others. One of the
    transforms, drawn anew for each batch, makes all samples of a batch. Pictures of an archive come near each other. An
    unreadable picture raises `InputError`; with
    `skip_unreadable` the next one that can be read takes its place, and `Batch.skipped` says so.
    """
    groups = dataset.groups()
    sampler = EpochSampler(
        len(dataset), batch_size=batch_size, seed=seed, rank=rank, world_size=world_size, factors=factors, groups=groups
    )
    batches = _TrainingBatches(dataset, transforms, seed, skip_unreadable, mix, groups)
    return TrainingLoader(batches, sampler, num_workers)


def evaluation_loader(
    dataset: Dataset, preprocess: Preprocess, *, num_workers: int = 0, rank: int = 0, world_size: int = 1
) -> Loader[tuple[Batch, Target]]:
    """Load every picture once, in order: alone in a batch at its resized size, and its target at its original size.

    Each rank has its share, every `world_size`-th picture.
    """
    mine = range(rank, len(dataset), world_size)
    return Loader(_EvaluationBatches(dataset, preprocess), mine, num_workers, persistent=False)


@dataclass(frozen=True)
class _TrainingBatches(TorchDataset[Batch | InputError]):
    dataset: Dataset
    transforms: Sequence[Transform]
    seed: int
    skip_unreadable: bool
    mix: Mix = alone
    groups: Tensor | None = None

    def __getitem__(self, keys: list[tuple[int, int]]) -> Batch | InputError:
        samples, skipped = [], []
        transform = self.transforms[mixed(self.seed, *keys[0]) % len(self.transforms)]
        with own_randomness():
            for epoch, index in keys:
                try:
                    sample, problems = self._read(index)
                    seed_all(mixed(self.seed, epoch, index))
                    samples.append(self.mix(transform(sample), partial(self._another, transform, index)))
                except InputError as error:
                    return error if self.skip_unreadable else skippable(error)
                skipped += problems
        return collate(samples, skipped)

    def _another(self, transform: Transform, index: int) -> Sample:
        """Draw another picture; where they lie in archives, one of the same."""
        if self.groups is None:
            return transform(self._read(int(torch.randint(len(self.dataset), ())))[0])
        mates = (self.groups == self.groups[index % len(self.groups)]).nonzero()[:, 0]
        return transform(self._read(int(mates[torch.randint(len(mates), ())]))[0])

    def _read(self, index: int) -> tuple[Sample, list[str]]:
        problems: list[str] = []
        for step in range(len(self.dataset)):
            try:
                return self.dataset[(index + step) % len(self.dataset)], problems
            except InputError as error:
                if not self.skip_unreadable:
                    raise
                problems.append(str(error))
        raise InputError(f"none of {counted(len(self.dataset), 'picture')} can be read; the first: {problems[0]}")


@dataclass(frozen=True)
class _EvaluationBatches(TorchDataset[tuple[Batch, Target] | InputError]):
    dataset: Dataset
    preprocess: Preprocess

    def __getitem__(self, index: int) -> tuple[Batch, Target] | InputError:
        try:
            sample = self.dataset[index]
        except InputError as error:
            return skippable(error)
        images, target = self.preprocess.resize(sample.image)[None], resized_target(sample.target, self.preprocess)
        return Batch(images=images, targets=(target,), files=(sample.file,)), sample.target


def _as_it_is(item: Item) -> Item:
    return item


def _begin(_worker: int, *, niceness: int) -> None:
    """Begin a worker, which leaves the cores to what learns.

    Threads that compute wait for one another, so that a worker with one core in its turn stops both. What learns waits
    for a batch that is missing, and its cores are free for the worker then.
    """
    _end_without_parent()
    if hasattr(os, "nice"):  # Windows has none
        os.nice(niceness)


def _end_without_parent() -> None:
    """End a worker whose parent was killed while it began, which would wait for work for ever.

    PyTorch's watchdog, which begins later, takes whatever is the parent then for the right one. A forked worker has the
    pipes of the others, too, and cannot tell by its own that the parent has gone.
    """
    parent = multiprocessing.parent_process()
    is_forked = multiprocessing.get_start_method() == "fork"
    if parent is None or not (parent.pid == os.getppid() if is_forked else parent.is_alive()):
        sys.exit("the process that loads these pictures has ended")

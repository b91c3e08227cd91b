import multiprocessing
import os
import pickle
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from delineate.data.augmentation import Augmentation, training_transform
from delineate.data.dataset import Dataset
from delineate.data.loading import Batch, Loader, TrainingLoader, collate, evaluation_loader, training_loader
from delineate.data.preprocess import Preprocess
from delineate.data.transforms import MEAN_COLOUR
from delineate.values import IGNORE, Categories, InputError, Sample, Target

CATEGORIES = Categories(class_names=("a", "b"), label_map_names=("a", "b"))
TRANSFORM = training_transform(
    Augmentation(scale=(0.5, 2.0), crop_size=(16, 24), flip=0.5, colour=0.3), Preprocess(), CATEGORIES
)


HINT = " (--skip-unreadable passes over what cannot be read)"


class Noise(Dataset):
    """Pictures of several sizes, of which some cannot be read."""

    def __init__(self, num_images: int, broken: Sequence[int] = ()) -> None:
        self.files = [Path(f"{index}.png") for index in range(num_images)]
        self.categories = CATEGORIES
        self.contents = frozenset({"label_map"})
        self.broken = broken

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return Target(image_size=image_size, label_map=torch.full(image_size, index % 2))

    def __getitem__(self, index: int) -> Sample:
        if index in self.broken:
            raise InputError(f"{self.files[index]}: the picture is broken")
        size = (20 + index, 30)
        image = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(index))
        return Sample(image=image, target=self.target(index, size), file=str(self.files[index]))


def with_every_randomness(sample: Sample) -> Sample:
    values = [random.randrange(256), int(np.random.randint(256)), int(torch.randint(256, ()))]
    image = torch.tensor(values, dtype=torch.uint8).view(3, 1, 1).expand(3, 4, 4)
    return replace(sample, image=image, target=Target(image_size=(4, 4)))


def loader(
    num_images: int = 11, *, seed: int = 5, epoch: int = 0, start_batch: int = 0, **arguments: Any
) -> TrainingLoader:
    batches = training_loader(Noise(num_images), [TRANSFORM], batch_size=3, seed=seed, **arguments)
    batches.set_epoch(epoch, start_batch)
    return batches


def assert_same(actual: Sequence[Batch], expected: Sequence[Batch]) -> None:
    assert [batch.files for batch in actual] == [batch.files for batch in expected]
    for here, there in zip(actual, expected, strict=True):
        assert torch.equal(here.images, there.images)
        for target, other in zip(here.targets, there.targets, strict=True):
            assert target.label_map is not None
            assert other.label_map is not None
            assert torch.equal(target.label_map, other.label_map)


def test_the_number_of_workers_changes_nothing() -> None:
    alone = list(loader(epoch=2))
    assert len(alone) == 3
    for num_workers in (1, 2):
        assert_same(list(loader(epoch=2, num_workers=num_workers)), alone)


def test_the_state_of_the_process_changes_nothing_and_is_not_changed() -> None:
    expected = list(loader())
    torch.manual_seed(1234)
    before = torch.get_rng_state()
    assert_same(list(loader()), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_numpy_and_python_are_seeded_too() -> None:
    runs = []
    for num_workers in (0, 2):
        batches = training_loader(Noise(6), [with_every_randomness], batch_size=2, seed=1, num_workers=num_workers)
        runs.append(torch.cat([batch.images[:, :, 0, 0] for batch in batches]))
    assert torch.equal(*runs)
    assert len({tuple(row) for row in runs[0].tolist()}) == 6


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resume_in_the_middle_gives_the_rest(num_workers: int) -> None:
    whole = list(loader(epoch=1))
    rest = loader(epoch=1, start_batch=2, num_workers=num_workers)
    assert (len(rest), rest.num_batches) == (1, 3)
    assert_same(list(rest), whole[2:])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_one_loader_for_many_epochs(num_workers: int) -> None:
    many = loader(epoch=0, start_batch=1, num_workers=num_workers)
    assert_same(list(many), list(loader(epoch=0))[1:])
    many.set_epoch(1)
    next(iter(many))  # an epoch that is left in its middle
    many.set_epoch(2)
    assert len(many) == 3
    assert_same(list(many), list(loader(epoch=2)))


def test_epochs_and_seeds_differ() -> None:
    def orders(**arguments: int) -> list[tuple[str, ...]]:
        return [batch.files for batch in loader(**arguments)]

    assert orders(epoch=0) != orders(epoch=1)
    assert orders(seed=0) != orders(seed=1)
    first, second = (next(iter(loader(1, epoch=epoch))) for epoch in (0, 1))
    assert not torch.equal(first.images, second.images)


def test_two_ranks_cover_the_set_once() -> None:
    files = [
        file for rank in (0, 1) for batch in loader(12, rank=rank, world_size=2, num_workers=1) for file in batch.files
    ]
    assert sorted(files) == sorted(f"{index}.png" for index in range(12))


def test_fewer_pictures_than_a_batch_are_a_batch() -> None:
    assert [len(batch.files) for batch in loader(2)] == [2]


def test_no_pictures_is_an_error() -> None:
    with pytest.raises(InputError, match="no pictures"):
        loader(0)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_picture_is_named_in_one_line(num_workers: int) -> None:
    broken = training_loader(Noise(4, [2]), [TRANSFORM], batch_size=2, seed=0, num_workers=num_workers)
    with pytest.raises(InputError) as caught:
        list(broken)
    assert str(caught.value) == f"2.png: the picture is broken{HINT}"


@pytest.mark.parametrize("num_workers", [0, 2])
def test_unreadable_pictures_are_replaced_and_reported_when_asked(num_workers: int) -> None:
    batches = list(
        training_loader(
            Noise(6, [1, 2]), [TRANSFORM], batch_size=2, seed=0, num_workers=num_workers, skip_unreadable=True
        )
    )
    files = sorted(file for batch in batches for file in batch.files)
    assert files == ["0.png", "3.png", "3.png", "3.png", "4.png", "5.png"]
    lines = sorted(line for batch in batches for line in batch.skipped)
    assert lines == [f"{index}.png: the picture is broken" for index in (1, 2, 2)]


def test_nothing_readable_is_an_error_even_when_skipping() -> None:
    with pytest.raises(InputError, match=r"none of 2 pictures can be read; the first: [01]\.png"):
        list(training_loader(Noise(2, [0, 1]), [TRANSFORM], batch_size=1, seed=0, skip_unreadable=True))


def test_pictures_of_several_sizes_are_padded_to_the_largest() -> None:
    small, large = Noise(4)[0], Noise(4)[3]
    batch = collate([small, large])
    assert batch.images.shape == (2, 3, 23, 30)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch.images[0, :, :20], small.image)
    assert batch.images[0, :, 22, 5].tolist() == list(MEAN_COLOUR)
    label_map = batch.targets[0].label_map
    assert label_map is not None
    assert label_map[20:].eq(IGNORE).all()
    assert not label_map[:20].any()
    assert [target.image_size for target in batch.targets] == [(20, 30), (23, 30)]


def test_a_batch_moves_with_its_targets() -> None:
    batch = next(iter(loader())).to("meta")
    assert batch.images.is_meta
    assert all(target.boxes.is_meta and target.label_map.is_meta for target in batch.targets)  # type: ignore[union-attr]


def test_a_batch_is_the_same_in_another_process() -> None:
    batch = next(iter(loader()))
    assert_same([pickle.loads(pickle.dumps(batch))], [batch])
    label_map = torch.tensor([[0, 300]])
    sample = Sample(
        image=torch.zeros(3, 1, 2, dtype=torch.uint8), target=Target(image_size=(1, 2), label_map=label_map), file="x"
    )
    assert_same([pickle.loads(pickle.dumps(collate([sample])))], [collate([sample])])
    without = replace(sample, target=Target(image_size=(1, 2)))
    (target,) = pickle.loads(pickle.dumps(collate([without]))).targets
    assert target.label_map is None


@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_gives_every_picture_alone_and_its_target_as_it_was(num_workers: int) -> None:
    pairs = list(evaluation_loader(Noise(5), Preprocess(short_side=10), num_workers=num_workers))
    assert [batch.files for batch, _ in pairs] == [(f"{index}.png",) for index in range(5)]
    assert [target.image_size for _, target in pairs] == [(20 + index, 30) for index in range(5)]
    assert pairs[4][0].images.shape == (1, 3, 10, 12)
    assert pairs[4][0].targets[0].image_size == (10, 12)


@pytest.mark.parametrize("resizing", ["smooth", "sampled"])
def test_evaluation_resizes_as_use_does(resizing: Literal["smooth", "sampled"]) -> None:
    preprocess = Preprocess(short_side=17, resizing=resizing)
    for index, (batch, _) in enumerate(evaluation_loader(Noise(3), preprocess)):
        expected = preprocess.resize(Noise(3)[index].image)
        assert batch.images.dtype == expected.dtype == preprocess.dtype
        assert torch.equal(batch.images[0], expected)


def test_evaluation_is_shared_among_ranks() -> None:
    files = [
        batch.files[0]
        for rank in (0, 1)
        for batch, _ in evaluation_loader(Noise(5), Preprocess(), rank=rank, world_size=2)
    ]
    assert files == ["0.png", "2.png", "4.png", "1.png", "3.png"]


def test_evaluation_names_an_unreadable_picture() -> None:
    with pytest.raises(InputError, match=rf"^3\.png: the picture is broken{re.escape(HINT)}$"):
        list(evaluation_loader(Noise(5, [3]), Preprocess(), num_workers=1))


def halved(sample: Sample) -> Sample:
    return replace(sample, image=sample.image[:, :2, :2], target=Target(image_size=(2, 2)))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_one_transform_is_drawn_for_each_batch(num_workers: int) -> None:
    def sizes(seed: int) -> list[tuple[int, ...]]:
        batches = training_loader(
            Noise(24), [with_every_randomness, halved], batch_size=2, seed=seed, num_workers=num_workers
        )
        return [tuple(batch.images.shape) for batch in batches]

    drawn = sizes(0)
    assert set(drawn) == {(2, 3, 4, 4), (2, 3, 2, 2)}
    assert drawn == sizes(0) != sizes(1)


class Priorities(torch.utils.data.Dataset[int]):
    """Each item is the priority of the process that makes it."""

    def __getitem__(self, index: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="processes have no priority here")
def test_workers_take_the_time_that_learning_leaves() -> None:
    """With a GPU nothing else needs the cores."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    [worker] = Loader(Priorities(), range(1), num_workers=1, persistent=False)
    assert worker == (own if torch.cuda.is_available() else 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


BEREFT = """
import os, signal, time
from torch.utils.data._utils import signal_handling
from delineate.data.loading import Loader

parent = os.getpid()

def bereave():
    os.kill(parent, signal.SIGKILL)
    while os.getppid() == parent:
        time.sleep(0.01)

signal_handling._set_worker_signal_handlers = bereave  # the first that a worker does
list(Loader(range(2), range(2), num_workers=1, persistent=False))
"""


@pytest.mark.skipif(multiprocessing.get_start_method() != "fork", reason="the patch reaches forked workers alone")
def test_a_worker_ends_whose_parent_was_killed_while_it_began() -> None:
    """It has the pipe of its parent, which closes once both have ended."""
    ended = subprocess.run([sys.executable, "-c", BEREFT], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == -9
    assert ended.stderr == "the process that loads these pictures has ended\n"


@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="there is no fork server")
def test_workers_of_a_fork_server_work() -> None:
    """Their parent by the process table is the server, and not who loads."""
    script = (
        "import multiprocessing; from delineate.data.loading import Loader; "
        "multiprocessing.set_start_method('forkserver'); "
        "print(list(Loader(range(2), range(2), num_workers=1, persistent=False)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "[0, 1]\n"), ended.stderr

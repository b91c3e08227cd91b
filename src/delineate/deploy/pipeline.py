"""Pictures go through a pipeline: threads work ahead of the network and behind it, and all that waits is bounded.

files ──► in_order: read, resize ──► gathered: batches of one size ──► network ─► in_order: results ──┐
                                                                  └──► in_order: both, on a CPU ──────┤
files ◄── in_order: draw, write ◄────────────────────── reordered ◄───────────────────────────────────┘
"""

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import repeat
from typing import TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_order(
    jobs: Iterable[Callable[[], Made]], workers: int, waiting: int, *, at_once: bool = False
) -> Generator[Callable[[], Made], None, None]:
    """Give for each job, in order, what waits until a thread has done it, and then returns or raises what it did.

    There are so many `workers`, with up to `waiting` jobs ahead of what is given; without them each job is given as it
    is. What is done is given before the next job is asked for, where it is wanted `at_once`.
    """
    if not workers:
        yield from jobs
        return
    begun: deque[Future[Made]] = deque()
    threads = ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1))  # each is one core's work
    try:
        for job in jobs:
            begun.append(threads.submit(job))
            while len(begun) > waiting or (at_once and begun and begun[0].done()):
                yield begun.popleft().result
        while begun:
            yield begun.popleft().result
    finally:
        threads.shutdown(cancel_futures=True)
        torch.set_num_threads(torch.get_num_threads())  # what a thread sets is also the beginning of later ones


def ahead(items: Iterable[Item], waiting: int) -> Generator[Item, None, None]:
    """Give items in order, which a thread of their own makes, up to `waiting` ahead of what is asked for."""
    iterator, end = iter(items), object()
    with closing(in_order(repeat(partial(next, iterator, end)), 1, waiting)) as taken:
        for take in taken:
            item = take()
            if item is end:
                return
            yield item


def gathered(
    items: Iterable[Item], kind: Callable[[Item], Hashable], most: int, span: int
) -> Iterator[list[tuple[int, Item]]]:
    """Gather up to `most` items of one kind, each with its place among all; none waits for more than `span` others."""
    held: dict[Hashable, list[tuple[int, Item]]] = {}  # the kind that has waited longest comes first
    for place, item in enumerate(items):
        its_kind = kind(item)
        held.setdefault(its_kind, []).append((place, item))
        if len(held[its_kind]) == most:
            yield held.pop(its_kind)
        if held and place - next(iter(held.values()))[0][0] >= span:
            yield held.pop(next(iter(held)))
    yield from held.values()


def reordered(batches: Iterable[Iterable[tuple[int, Item]]]) -> Iterator[Item]:
    """Give numbered items in the order of their numbers, each as soon as all before it are there."""
    early: dict[int, Item] = {}
    place = 0
    for batch in batches:
        early.update(batch)
        while place in early:
            yield early.pop(place)
            place += 1

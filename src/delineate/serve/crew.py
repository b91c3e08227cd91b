"""A crew is the threads of one device, which take pictures in batches, the one that has waited longest first.

ask(kind, picture) ──► held: pictures of one kind, such as one resized size ──► a batch: `most` of them, or what has
                       waited `wait` seconds ──► kind(pictures) on the device ──► its results, behind it
"""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch


@runtime_checkable
class Kind(Hashable, Protocol):
    """Items of a kind go through a device together: what it gives then makes a result of each, in order."""

    def __call__(self, items: Sequence[Any], /) -> Callable[[], Sequence[Any]]: ...


class Job(NamedTuple):
    """An item waits for its result."""

    item: Any
    answer: "Future[Any]"
    since: float


class Crew:
    """Threads work on a device, `at_once` batches at a time, each with `cores` of torch's threads.

    With `behind`, one thread more makes results, while the others have the device. A batch has at most `most` items; no
    item waits longer than `wait` seconds for others while a thread is free. One that was cancelled is dropped.
    """

    def __init__(self, name: str, *, at_once: int, behind: int, cores: int | None, most: int, wait: float) -> None:
        self.at_once, self.most, self.wait = at_once, most, wait
        self._held: dict[Kind, list[Job]] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._device = threading.BoundedSemaphore(at_once)
        self._threads = [
            threading.Thread(target=self._work, args=(cores,), name=f"{name}-{number}", daemon=True)
            for number in range(at_once + behind)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, kind: Kind, item: Any) -> "Future[Any]":
        """Put an item in the queue; raises `RuntimeError` when the crew has gone."""
        job = Job(item, Future(), time.monotonic())
        with self._changed:
            if self._ended:
                raise RuntimeError("the crew has gone")
            self._held.setdefault(kind, []).append(job)
            self._changed.notify()
        job.answer.add_done_callback(lambda answer: self._drop(kind, job) if answer.cancelled() else None)
        return job.answer

    @property
    def num_waiting(self) -> int:
        """Count the items that no thread has taken yet."""
        with self._changed:
            return sum(map(len, self._held.values()))

    def close(self) -> None:
        """Let the threads finish what they were asked, and end."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _drop(self, kind: Kind, job: Job) -> None:
        """Let go of an item that nobody waits for."""
        with self._changed:
            kept = [other for other in self._held.get(kind, ()) if other is not job]
            if kept:
                self._held[kind] = kept
            else:
                self._held.pop(kind, None)

    def _work(self, cores: int | None) -> None:
        if cores is not None:
            torch.set_num_threads(cores)
        while batch := self._next():
            self._do(*batch)
            del batch  # which holds pictures

    def _next(self) -> tuple[Kind, list[Job]] | None:
        """Wait for a batch: a full one, or the one whose first item has waited long enough."""
        with self._changed:
            while True:
                if not self._held:
                    if self._ended:
                        return None
                    self._changed.wait()
                    continue
                oldest = min(self._held, key=lambda kind: self._held[kind][0].since)
                left = self._held[oldest][0].since + self.wait - time.monotonic()
                full = next((kind for kind, jobs in self._held.items() if len(jobs) >= self.most), None)
                if left <= 0 or self._ended:
                    return oldest, self._taken(oldest)
                if full is not None:
                    return full, self._taken(full)
                self._changed.wait(left)

    def _taken(self, kind: Kind) -> list[Job]:
        jobs = self._held.pop(kind)
        if rest := jobs[self.most :]:
            self._held[kind] = rest
        if self._held:
            self._changed.notify()  # another thread looks after what is left
        return jobs[: self.most]

    def _do(self, kind: Kind, jobs: list[Job]) -> None:
        """Answer jobs; of a batch that fails each is tried by itself, so that none fails for its mates."""
        jobs = [job for job in jobs if job.answer.running() or job.answer.set_running_or_notify_cancel()]
        if not jobs:
            return
        try:
            with self._device:
                finish = kind([job.item for job in jobs])
            results = finish()
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].answer.set_exception(error)
            else:
                for job in jobs:
                    self._do(kind, [job])
        else:
            for job, result in zip(jobs, results, strict=True):
                job.answer.set_result(result)

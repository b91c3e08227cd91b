import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch

from delineate.deploy.pipeline import gathered, in_order, reordered


def slow_first(number: int) -> int:
    time.sleep(0.05 if number == 0 else 0)
    return number


def threads() -> int:
    return threading.active_count()


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("at_once", [False, True])
def test_results_come_in_the_order_of_their_jobs(workers: int, at_once: bool) -> None:
    jobs = (partial(slow_first, number) for number in range(20))
    assert [result() for result in in_order(jobs, workers, 4, at_once=at_once)] == list(range(20))


def test_a_bounded_number_of_jobs_is_ahead() -> None:
    begun: list[int] = []
    results = in_order((partial(begun.append, number) for number in range(100)), 2, 5)
    for taken in range(1, 5):
        next(results)()
        assert len(begun) <= taken + 5
    results.close()


def test_what_is_done_is_given_before_more_is_asked_for() -> None:
    asked: list[int] = []

    def jobs() -> Iterator[Callable[[], int]]:
        for number in range(3):
            asked.append(number)
            yield partial(int, number)
            time.sleep(0.05)  # the network is slow

    results = in_order(jobs(), 1, 100, at_once=True)
    assert next(results)() == 0
    assert len(asked) <= 2, "the first was done when the second one came, if not before"
    results.close()


def test_a_failed_job_raises_in_its_turn_and_no_thread_is_left() -> None:
    before = threads()
    results = in_order((partial(divmod, 1, number) for number in (1, 0, 1)), 2, 2)
    assert next(results)() == (1, 0)
    with pytest.raises(ZeroDivisionError):
        next(results)()
    results.close()
    assert threads() == before


def test_an_endless_source_ends_when_nobody_asks() -> None:
    before, done = threads(), 0

    def jobs() -> Iterator[Callable[[], None]]:
        nonlocal done
        while True:
            done += 1
            yield partial(time.sleep, 0.01)

    results = in_order(jobs(), 2, 10)
    next(results)()
    results.close()
    assert threads() == before
    assert done < 20


def test_threads_compute_on_one_core_and_others_as_before() -> None:
    torch.set_num_threads(2)
    jobs = (torch.get_num_threads for _ in range(4))
    assert [result() for result in in_order(jobs, 2, 2)] == [1, 1, 1, 1]
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), later) == (2, [2])


def test_items_of_one_kind_are_gathered_from_those_that_come_next() -> None:
    batches = [[item for _, item in batch] for batch in gathered("abababab", str, 2, 8)]
    assert batches == [["a", "a"], ["b", "b"], ["a", "a"], ["b", "b"]]
    rest = [[item for _, item in batch] for batch in gathered("aab", str, 4, 8)]
    assert rest == [["a", "a"], ["b"]]


def test_a_rare_kind_does_not_wait_for_ever() -> None:
    read: list[str] = []

    def items() -> Iterator[str]:
        for item in "x" + "a" * 100:
            read.append(item)
            yield item

    batches = gathered(items(), str, 4, 8)
    first, second, third = (next(batches) for _ in range(3))
    assert [len(batch) for batch in (first, second, third)] == [4, 4, 1]
    assert third == [(0, "x")]
    assert len(read) == 9


def test_places_give_the_order_back_as_soon_as_it_is_known() -> None:
    asked: list[int] = []

    def batches() -> Iterator[list[tuple[int, str]]]:
        for batch in ([(0, "a"), (2, "c")], [(3, "d")], [(1, "b")], [(4, "e")]):
            asked.append(len(asked))
            yield batch

    results = reordered(batches())
    assert next(results) == "a"
    assert asked == [0]
    assert list(results) == ["b", "c", "d", "e"]

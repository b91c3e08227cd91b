import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import Any

import pytest

from delineate.serve.crew import Crew


@dataclass(frozen=True)
class Doubled:
    """Numbers of a kind are doubled; it says which went together."""

    name: str
    batches: list[list[int]] = field(default_factory=list, compare=False)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0), compare=False)
    go: threading.Event = field(default_factory=threading.Event, compare=False)

    def __call__(self, items: Sequence[int]) -> Callable[[], Sequence[int]]:
        self.begun.release()
        self.go.wait(10)
        if 13 in items:
            raise ValueError("thirteen")
        self.batches.append(list(items))
        return lambda: [2 * item for item in items]


def ready(name: str) -> Doubled:
    kind = Doubled(name)
    kind.go.set()
    return kind


@pytest.fixture
def crew() -> Iterator[Crew]:
    one = Crew("test", at_once=1, behind=1, cores=None, most=3, wait=0.05)
    yield one
    one.close()


def busy(crew: Crew) -> Doubled:
    """Let the crew do something until it is let go."""
    kind = Doubled("busy")
    crew.ask(kind, 0)
    assert kind.begun.acquire(timeout=5)
    return kind


def test_items_of_a_kind_go_together_as_many_as_may(crew: Crew) -> None:
    first = busy(crew)
    even, odd = ready("even"), ready("odd")
    answers = [crew.ask(even if item % 2 == 0 else odd, item) for item in range(10)]
    first.go.set()
    assert [answer.result(5) for answer in answers] == [2 * item for item in range(10)]
    assert even.batches == [[0, 2, 4], [6, 8]]
    assert odd.batches == [[1, 3, 5], [7, 9]]


def test_one_item_waits_no_longer_than_it_should(crew: Crew) -> None:
    began = time.monotonic()
    assert crew.ask(ready("alone"), 4).result(5) == 8
    assert 0.04 < time.monotonic() - began < 2
    began = time.monotonic()
    kind = ready("full")
    assert [answer.result(5) for answer in [crew.ask(kind, item) for item in (1, 2, 3)]] == [2, 4, 6]
    assert kind.batches == [[1, 2, 3]]


def test_what_is_cancelled_is_dropped_and_let_go_of(crew: Crew) -> None:
    first, kind = busy(crew), ready("kind")
    answers = [crew.ask(kind, item) for item in (1, 2)]
    time.sleep(0.1)  # the thread behind has taken them, and waits for the device
    later = [crew.ask(kind, item) for item in (3, 4, 5)]
    assert crew.num_waiting == 3
    assert later[1].cancel()
    assert crew.num_waiting == 2
    first.go.set()
    assert [answer.result(5) for answer in (*answers, later[0], later[2])] == [2, 4, 6, 10]
    assert kind.batches == [[1, 2], [3, 5]]


def test_of_a_batch_that_fails_the_others_are_answered(crew: Crew) -> None:
    first, kind = busy(crew), ready("kind")
    answers = [crew.ask(kind, item) for item in (12, 13, 14)]
    first.go.set()
    wait(answers, 5)
    assert [answer.exception() is None for answer in answers] == [True, False, True]
    assert str(answers[1].exception()) == "thirteen"
    assert answers[2].result() == 28


def test_results_are_made_while_others_have_the_device(crew: Crew) -> None:
    go = threading.Event()

    class Slow:
        def __call__(self, items: Sequence[Any]) -> Callable[[], Sequence[Any]]:
            def finish() -> Sequence[Any]:
                assert go.wait(10)
                return items

            return finish

    slow = crew.ask(Slow(), "slow")
    assert crew.ask(ready("quick"), 1).result(5) == 2
    assert not slow.done()
    go.set()
    assert slow.result(5) == "slow"


def test_it_finishes_what_it_was_asked_when_it_is_closed() -> None:
    crew = Crew("test", at_once=2, behind=0, cores=1, most=2, wait=60.0)
    kind = ready("kind")
    answers = [crew.ask(kind, item) for item in range(5)]
    crew.close()
    assert [answer.result(0) for answer in answers] == [0, 2, 4, 6, 8]
    with pytest.raises(RuntimeError, match="gone"):
        crew.ask(kind, 1)

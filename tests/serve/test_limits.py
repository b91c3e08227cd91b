import asyncio

import pytest

from delineate.serve.limits import Budget, Limits
from delineate.values import InputError


def test_limits_let_something_through() -> None:
    for name in ("num_bytes", "num_pixels", "num_pictures", "seconds", "queue"):
        nothing = type(getattr(Limits(), name))(0)
        with pytest.raises(InputError, match=f"{name}: {nothing} lets nothing through"):
            Limits(**{name: nothing})
    with pytest.raises(InputError, match="queue: 3 is less than the 4 pictures"):
        Limits(queue=3, num_pictures=4)


def test_a_budget_is_given_in_turn_and_taken_back() -> None:
    async def run() -> list[str]:
        budget, said = Budget(10), []
        go = asyncio.Event()

        async def take(name: str, pixels: int) -> None:
            async with budget.taken(pixels):
                said.append(name)
                await go.wait()

        tasks = [asyncio.create_task(take(*one)) for one in (("a", 6), ("large", 8), ("small", 1), ("b", 3))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert said == ["a"], "a small one does not overtake a large one, which would wait forever"
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
        await asyncio.sleep(0)
        assert said == ["a", "small", "b"]
        assert budget.left == 0
        go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.left == 10
        return said

    asyncio.run(run())

"""What a request may take, and what a server answers to one that takes more."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

from delineate.values import InputError

AT_ONCE = 4
"""So many pictures of the largest size that is taken may be decoded at once."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A request takes no more than this.

    `num_bytes` of a body, `num_pixels` of a picture, which are counted before it is decoded, `num_pictures` of a
    request, and `seconds` until it is answered. `queue` pictures wait for a model at most. Raises `InputError` for what
    would let nothing through.
    """

    num_bytes: int = 32 * 2**20
    num_pixels: int = 2**25
    num_pictures: int = 16
    seconds: float = 60.0
    queue: int = 64

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"{name}: {value} lets nothing through; give a number above 0")
        if self.num_pictures > self.queue:
            raise InputError(f"queue: {self.queue} is less than the {self.num_pictures} pictures of one request")


class Refused(Exception):  # noqa: N818  (an answer, not a mistake)
    """A request is answered by a status and one line."""

    def __init__(self, status: int, line: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(line)
        self.status, self.headers = status, headers


class Budget:
    """No more pixels than `most` are decoded at once; who comes when there are none left waits in turn."""

    def __init__(self, most: int) -> None:
        self.left = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def taken(self, pixels: int) -> AsyncIterator[None]:
        """Hold so many pixels, at most as many as there are, while the block lasts."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((pixels, turn))
        self._wake()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self.left += pixels
            turn.cancel()
            self._wake()

    def _wake(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self.left):
            pixels, turn = self._waiting.popleft()
            if not turn.done():
                self.left -= pixels
                turn.set_result(None)

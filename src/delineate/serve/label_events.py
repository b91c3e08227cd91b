"""Who listens to a folder's labels is sent what happens as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from delineate.label import Labels
from delineate.label.events import Event

MOST_UNHEARD = 256
"""Who lets so many events wait is sent none any more; a page that reads again asks anew, and sees what is now."""
BEAT = 15.0
"""Seconds of silence after which those who listen are sent a comment, so that no proxy takes them for gone."""


async def heard(labels: Labels, state: Any) -> AsyncIterator[str]:
    """Give the lines of the events, until `state.stopping` is set, the labels are closed, or too many wait."""
    loop, events = asyncio.get_running_loop(), asyncio.Queue[Event | None](MOST_UNHEARD)

    def put(event: Event | None) -> None:
        if events.full():
            while not events.empty():
                events.get_nowait()
            event = None
        events.put_nowait(event)

    def hear(event: Event | None) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(put, event)

    leave = labels.events.listen(hear)
    stopping = getattr(state, "stopping", None)
    ends = None if stopping is None else asyncio.ensure_future(stopping.wait())
    if ends is not None:
        ends.add_done_callback(lambda done: None if done.cancelled() else put(None))
    try:
        yield ": hello\n\n"
        while True:
            try:
                event = await asyncio.wait_for(events.get(), BEAT)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            if event is None:
                return
            yield f"data: {json.dumps(event)}\n\n"
    finally:
        leave()
        if ends is not None:
            ends.cancel()

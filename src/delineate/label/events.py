"""Whoever listens hears what happens: edits, training, models."""

import threading
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


class Events:
    """Events go to everybody who listens, in the thread in which they happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Event | None], None]] = []
        self.closed = False

    def listen(self, hear: Callable[[Event | None], None]) -> Callable[[], None]:
        """Let somebody hear every event, and `None` at the end; gives what is called to hear no more."""
        with self._lock:
            self._listeners.append(hear)
        if self.closed:
            hear(None)
        return lambda: self._leave(hear)

    def say(self, event: Event | None) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for hear in listeners:
            hear(event)

    def close(self) -> None:
        """Tell everybody that nothing will happen any more."""
        self.closed = True
        self.say(None)

    def _leave(self, hear: Callable[[Event | None], None]) -> None:
        with self._lock:
            if hear in self._listeners:
                self._listeners.remove(hear)

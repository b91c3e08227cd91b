"""The queue says which picture is corrected next; a thread of its own finds out what each would teach."""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from typing import Literal

from delineate.data.images import read_image
from delineate.label.models import Models
from delineate.label.ordering import teaches
from delineate.label.pictures import Picture
from delineate.label.store import Store
from delineate.system.system import System
from delineate.values import InputError

logger = logging.getLogger("delineate.label")

Order = Literal["teaches", "name", "random"]
ORDERS: tuple[Order, ...] = ("teaches", "name", "random")
PAUSE = 1.0
"""Seconds between two looks for something to do, where nothing is."""


class Queue:
    """A queue orders the pictures; `busy` tells when the machine is wanted for something else.

    In the order `teaches`, those come first that the models are unsure of; what is done comes last, in every order but
    that of names.
    """

    def __init__(self, store: Store, models: Models, busy: Callable[[], bool], *, seed: int = 0) -> None:
        self.store, self.models, self._busy = store, models, busy
        self._values: dict[int, tuple[float, int]] = {}
        self._systems: list[System] = []
        self._round = 0
        self._ends = threading.Event()
        shuffled = list(store.collection.pictures)
        random.Random(seed).shuffle(shuffled)
        self._places = {picture.id: place for place, picture in enumerate(shuffled)}
        self._thread = threading.Thread(target=self._work, name="queue", daemon=True)

    def start(self) -> None:
        """Begin to look at pictures, behind everything else."""
        self._thread.start()

    def close(self) -> None:
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join()

    def value(self, picture: Picture) -> float | None:
        """Say what a correction of a picture would teach, 0 to 1; `None` where nobody knows yet."""
        return self._values[picture.id][0] if picture.id in self._values else None

    def ordered(self, order: str) -> Sequence[Picture]:
        """Order all pictures; raises `InputError` for an order that there is not."""
        if order not in ORDERS:
            raise InputError(f"order: there is no order '{order}'; there are {', '.join(ORDERS)}")
        pictures = self.store.collection.pictures
        if order == "name":
            return pictures
        if order == "random":
            return sorted(pictures, key=lambda one: (self._is_done(one), self._places[one.id]))
        return sorted(pictures, key=lambda one: (self._is_done(one), -self._value(one)))

    def _is_done(self, picture: Picture) -> bool:
        return self.store.state(picture)[0] == "done"

    def _value(self, picture: Picture) -> float:
        value = self.value(picture)
        return -1.0 if value is None else value

    def _work(self) -> None:
        while not self._ends.is_set():
            picture = None if self._busy() else self._next()
            if picture is None:
                self._ends.wait(PAUSE)
                continue
            self._values[picture.id] = self._look(picture), self._round

    def _next(self) -> Picture | None:
        """Find a picture that the models of now have not looked at, of those that nobody has done; names come first."""
        names = list(self.models.names())[:2]
        systems = [system for system in map(self.models.system, names) if self._fits(system)]
        if [id(system) for system in systems] != [id(system) for system in self._systems]:
            self._systems, self._round = systems, self._round + 1
        if not systems:
            return None
        waiting = (one for one in self.store.collection.pictures if self._values.get(one.id, (0, 0))[1] < self._round)
        return next((one for one in waiting if not self._is_done(one)), None)

    def _fits(self, system: System) -> bool:
        """Tell whether a system finds what is labelled here."""
        return ("label_map" in system.task.needs) == self.store.collection.has_maps and (
            system.task.finds_many or self.store.collection.has_maps
        )

    def _look(self, picture: Picture) -> float:
        try:
            return teaches(self._systems, read_image(picture.file))
        except InputError:  # a broken picture teaches nothing
            return 0.0
        except Exception:  # nor does one that a model fails on, and the others are looked at still
            logger.exception("%s: a model fails on it", picture.name)
            return 0.0

"""A folder is labelled: what a page asks for, without the web."""

import threading
import time
from typing import Any, TypedDict

from delineate.label.assisting import prompted, proposed
from delineate.label.beginning import held_out_of, weights_of
from delineate.label.documents import document_record, read_edits
from delineate.label.events import Events
from delineate.label.journal import Journal
from delineate.label.maps import as_png
from delineate.label.models import Models
from delineate.label.pictures import Collection, Picture
from delineate.label.prompting import Box, Point, Prompts
from delineate.label.queue import ORDERS, Queue
from delineate.label.store import Store
from delineate.label.training import Status, Training
from delineate.label.writing import Written
from delineate.values import IGNORE, InputError

ENOUGH = 24
"""After so many pictures are done a first model is trained, where there is none."""
LEAST = 5
"""Training begins with so many pictures at least, of which one is validated on."""
MINUTES = 5.0
QUIET = 3.0
"""Seconds without an edit after which the corrected data set is written."""
RETRY = 60.0
"""Seconds until it is tried again where it could not be written."""
NAME = "labels"
"""A first model that is trained here has this name."""


class LabelOptions(TypedDict, total=False):
    """These say how training goes on: see `Labels`."""

    first_after: int
    minutes: float
    model: str | None
    device: str
    seed: int


class Labels:
    """Labels are a folder's pictures with what is marked in them, the models that help, and training that goes on.

    `open_labels` makes it; `start` begins what goes on behind: looking at pictures, writing the corrected data set, and
    where there is no model a first training, of a system `model` of the catalog, whenever `first_after` more pictures
    are done (0 for never). A training takes so many `minutes` where nothing else is said, on a `device`. The `seed` is
    that of the order `random`. All may be called from any thread.
    """

    def __init__(
        self,
        collection: Collection,
        journal: Journal,
        models: Models,
        *,
        first_after: int = ENOUGH,
        minutes: float = MINUTES,
        model: str | None = None,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.collection, self.models, self.events = collection, models, Events()
        self.first_after, self.minutes, self._model, self._device = first_after, minutes, model, device
        self.store = Store(collection, journal)
        self.written = Written(self.store)
        self.prompts = Prompts()
        self.training = Training(collection.root, collection.task, self._hear)
        self.queue = Queue(self.store, models, lambda: self.training.running, seed=seed)
        self._writing, self._marking = threading.Lock(), threading.Lock()
        self._ends = threading.Event()
        self._edited, self._written_edits, self._tried = time.monotonic(), -1, 0
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    @property
    def notes(self) -> list[str]:
        """Say what the readers and the journal left out, and what could not be written."""
        return list(dict.fromkeys((*self.collection.notes, *self.store.problems, *self.written.problems)))

    def start(self) -> None:
        """Begin what goes on behind."""
        self.queue.start()
        self._keeper.start()

    def close(self) -> None:
        """Stop what goes on behind, and write the corrected data set; nobody hears of anything any more."""
        self.events.close()
        self._ends.set()
        self.training.stop()
        self.queue.close()
        if self._keeper.is_alive():
            self._keeper.join()
        try:
            self.write()
        finally:
            self.store.close()

    def session(self) -> dict[str, Any]:
        """Say what is labelled, with which names, and how far it is."""
        categories, named = self.collection.categories, list(self.models.names())
        maps = self.collection.has_maps
        return {
            "folder": self.collection.root.resolve().name,
            "task": self.collection.task.name,
            "classes": list(categories.class_names),
            "can_add_classes": self.collection.can_grow,
            "keypoint_names": list(categories.keypoint_names),
            "skeleton": [list(edge) for edge in categories.skeleton],
            "flip_order": list(categories.flip_order),
            "label_map_names": list(categories.label_map_names) if maps else [],
            "ignore": IGNORE,
            "models": named,
            "counts": self.store.counts(),
            "orders": list(ORDERS),
            "can_train": self.can_train,
            "notes": self.notes,
        }

    @property
    def can_train(self) -> bool:
        """Whether enough pictures are done, or came with annotations."""
        return not self.training.running and (not self.collection.raw or self.store.counts()["done"] >= LEAST)

    def add_class(self, name: str) -> list[str]:
        """Add a class of objects to raw pictures, and give all; raises `InputError` as `Collection.with_class`."""
        self.store.add_class(name)
        names = list(self.collection.categories.class_names)
        self.events.say({"kind": "classes", "classes": names})
        return names

    def pictures(self, order: str = "teaches", offset: int = 0, limit: int = 200) -> dict[str, Any]:
        """List some of the pictures in an order."""
        ordered = self.queue.ordered(order)
        return {"total": len(ordered), "pictures": [self._entry(one) for one in ordered[offset : offset + limit]]}

    def document(self, picture: Picture) -> dict[str, Any]:
        """Say what is marked in a picture; raises `InputError` where it cannot be read."""
        return document_record(self.store.document(picture), picture, has_maps=self.collection.has_maps)

    def edit(self, picture: Picture, version: int, client: str, edits: Any) -> int:
        """Edit a version of a picture and give the next; raises `Conflict` and `InputError` as `Store.post`."""
        document = self.store.post(picture, version, client, read_edits(edits))
        self._edited = time.monotonic()
        self.events.say({"kind": "picture", "id": picture.id, "version": document.version, "client": client})
        return document.version

    def propose(self, picture: Picture, model: str, min_score: float | None = None) -> dict[str, Any]:
        """Let a model mark a picture, in turn, as `proposed` does; nothing is kept. Raises `LookupError` for none."""
        system = self.models.system(model)
        with self._marking:
            return proposed(system, picture, self.collection, min_score)

    def prompt(
        self,
        picture: Picture,
        model: str | None = None,
        *,
        box: Box | None = None,
        point: Point | None = None,
        label: str | None = None,
    ) -> dict[str, Any]:
        """Make an object of a rough box or a point, as `prompted` does, by one model or whichever can.

        Raises `LookupError` where there is no such model.
        """
        systems = [self.models.system(name) for name in ([model] if model else self.models.names())]
        return prompted(systems, self.prompts, picture, self.collection, box=box, point=point, label=label)

    def begin_training(self, minutes: float | None = None) -> Status:
        """Train on what is marked, from what the first model learned; raises `InputError` where that is too little."""
        if not self.can_train and not self.training.running:
            raise InputError(
                f"training: {LEAST} pictures that are done are the least; mark more, and say they are done"
            )
        names = list(self.models.names())
        run = self.models.run(names[0]) if names else None
        self.write(unedited=True)
        data, weights = self.written.folder, weights_of(run, self.collection.task)
        return self.training.begin(
            data, minutes=minutes or self.minutes, model=self._model, weights=weights, device=self._device
        )

    def accept(self) -> str:
        """Let the run that is done take the place of the first model, and give its name."""
        name = next(iter(self.models.names()), NAME)
        self.models.replace(name, self.training.run_that_is_done())
        self.training.forget()
        self.events.say({"kind": "model", "name": name})
        return name

    def write(self, *, unedited: bool = False) -> None:
        """Write the corrected data set where something was edited since; what nobody has edited only if asked to."""
        with self._writing:
            edits = self.store.edits
            if edits == self._written_edits or not (edits or unedited):
                return
            names = list(self.models.names())
            self.written.write(held_out_of(self.models.run(names[0]) if names else None))
            self._written_edits = edits

    def export(self) -> dict[str, Any]:
        """Write what is marked as COCO's document: of raw pictures those that are changed or done, else all."""
        return self.written.coco(self.written.exported(), self.collection.root)

    def export_maps(self) -> bytes:
        """Pack label maps of the pictures that `export` has, with the names of their values, as a ZIP."""
        return self.written.packed_maps(self.written.exported())

    def label_map(self, picture: Picture) -> bytes:
        """Write the label map of a picture as a palette PNG."""
        return as_png(self.store.label_map(picture))

    def _entry(self, picture: Picture) -> dict[str, Any]:
        state, version = self.store.state(picture)
        entry = {"id": picture.id, "file": picture.name, "state": state, "version": version}
        entry["value"] = self.queue.value(picture)
        try:
            height, width = picture.size
        except InputError as error:
            return entry | {"width": 0, "height": 0, "error": str(error)}
        return entry | {"width": width, "height": height}

    def _hear(self, status: Status) -> None:
        self.events.say({**status.record(), "kind": "training"})
        if status.state == "done" and not self.models.names():
            self.accept()

    def _keep(self) -> None:
        """Write what was corrected whenever nobody has edited for a while, and tell how far a training is."""
        while not self._ends.wait(1.0):
            if self.training.running:
                self.events.say({**self.training.status.record(), "kind": "training"})
            elif time.monotonic() - self._edited > QUIET:
                try:
                    self.write()
                    self._begin_first()
                except (InputError, OSError) as error:  # said on the page; whoever marks goes on
                    self.written.problems += [] if str(error) in self.written.problems else [str(error)]
                    self._edited = time.monotonic() + RETRY

    def _begin_first(self) -> None:
        """Train a first model where there is none, and enough was done since it was last tried."""
        done = self.store.counts()["done"]
        if self.first_after and not self.models.names() and done >= self._tried + self.first_after:
            self._tried = done
            if self.can_train:
                self.begin_training()

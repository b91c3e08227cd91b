"""Documents are kept: every edit goes through a journal, from which they are made again."""

import base64
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from delineate.label.documents import (
    EDITS,
    Conflict,
    Document,
    Edit,
    Posted,
    check_edits,
    edited,
)
from delineate.label.journal import Journal
from delineate.label.maps import Patch, Values, as_png, as_values, painted
from delineate.label.marks import Mark, first_line, marks_of
from delineate.label.pictures import Collection, Picture
from delineate.values import InputError, counted, listed

KEPT_MAPS = 8
"""So many label maps of those last asked for stay in memory."""


class Store:
    """A store has the newest document of every picture; each edit is on the disk before it is answered.

    What a picture begins with, by the folder's own annotations, is written into the journal with its first edit, so
    that the journal alone says what was made of it. `problems` say what of the journal was not read.
    """

    def __init__(self, collection: Collection, journal: Journal) -> None:
        self.collection, self.journal = collection, journal
        self.problems = list(journal.problems)
        self.edits = 0
        self._lock = threading.RLock()
        self._documents: dict[int, Document] = {}
        self._last: dict[int, str] = {}
        self._done: dict[int, int] = {}
        self._maps: OrderedDict[int, tuple[Document, Values]] = OrderedDict()
        self._replay()

    def document(self, picture: Picture) -> Document:
        """Give the newest document; one that nobody has edited is what the folder's annotations say."""
        with self._lock:
            kept = self._documents.get(picture.id)
        return self._begun(picture) if kept is None else kept

    def state(self, picture: Picture) -> tuple[str, int]:
        """Give the state and the version without reading annotations."""
        with self._lock:
            kept = self._documents.get(picture.id)
        return ("new", 0) if kept is None else (kept.state, kept.version)

    def done_rank(self, picture: Picture) -> int | None:
        """Say how many pictures had been done when this one first was; `None` where it never was."""
        return self._done.get(picture.id)

    def post(self, picture: Picture, base: int, client: str, edits: Sequence[Edit]) -> Document:
        """Edit the version `base` of a picture; what a client posts again, as it had no answer, is done once.

        Raises `Conflict` where there is a newer version, and `InputError` for what is no edit of the picture.
        """
        with self._lock:
            posted = Posted(base, client, list(edits))
            document = self.document(picture)
            if document.version == base + 1 and self._last.get(picture.id) == posted.digest:
                return document
            if document.version != base:
                raise Conflict(document)
            sound = check_edits(edits, document, picture, self.collection)
            entry: dict[str, Any] = {"picture": picture.name, "base": base, "client": client, "digest": posted.digest}
            if base == 0 and (document.objects or document.patches):
                entry["begun"] = _begun_record(document)
            entry["edits"] = EDITS.dump_python(sound, mode="json", exclude_none=True)
            self.journal.append(entry)
            return self._keep(picture, edited(document, sound), posted.digest)

    def add_class(self, name: str) -> None:
        """Add a class behind those there are, in the journal, too; raises `InputError` as `Collection.with_class`."""
        with self._lock:
            categories = self.collection.with_class(name)
            self.journal.say({"classes": list(categories.class_names)})
            self.collection.categories = categories

    def label_map(self, picture: Picture) -> Values:
        """Paint the newest label map of a picture; of one that was asked for lately, what was added since."""
        with self._lock:
            document = self.document(picture)
            before, label_map = self._maps.pop(picture.id, (Document(), None))
            if label_map is None:
                label_map = np.full(picture.size, self.collection.categories.background, np.uint8)
            new = document.patches[len(before.patches) :]
            label_map = painted(label_map, new) if new else label_map
            self._maps[picture.id] = document, label_map
            while len(self._maps) > KEPT_MAPS:
                self._maps.popitem(last=False)
        return label_map

    def counts(self) -> dict[str, int]:
        """Count the pictures, those that are done, and those that were changed and are not done."""
        with self._lock:
            states = [document.state for document in self._documents.values()]
        return {
            "pictures": len(self.collection.pictures),
            "done": states.count("done"),
            "changed": states.count("changed"),
        }

    def close(self) -> None:
        with self._lock:
            self.journal.close()

    def _keep(self, picture: Picture, document: Document, digest: str) -> Document:
        self._documents[picture.id], self._last[picture.id] = document, digest
        self.edits += 1
        if document.state == "done":
            self._done.setdefault(picture.id, len(self._done))
        return document

    def _begun(self, picture: Picture) -> Document:
        target = self.collection.marked(picture)
        if target is None:
            return Document()
        if self.collection.has_maps:
            assert target.label_map is not None
            return Document(patches=(_whole(as_values(target.label_map)),))
        marks = marks_of(target, self.collection.categories)
        return Document(objects={mark.key: mark for mark in marks})

    def _replay(self) -> None:
        pictures = {picture.name: picture for picture in self.collection.pictures}
        gone: list[str] = []
        for entry in self.journal.entries():
            picture = pictures.get(entry["picture"])
            if picture is None:
                gone.append(str(entry["picture"]))
                continue
            try:
                kept = self._documents.get(picture.id) or _begun_document(entry.get("begun", {}))
                edits = EDITS.validate_python(entry.get("edits"))
            except ValidationError as error:
                raise InputError(
                    f"{self.journal.file}: an edit of {picture.name} cannot be read ({first_line(error)}); was it "
                    "written by a later delineate, or by hand? Use that one, or mend the line"
                ) from None
            self._keep(picture, edited(kept, edits), str(entry.get("digest")))
        if gone:
            names = list(dict.fromkeys(gone))
            self.problems.append(
                f"{self.journal.file}: {counted(len(gone), 'edit')} of {counted(len(names), 'picture')} that are not "
                f"there any more: {listed(names)}; they stay in the journal"
            )


def _whole(values: Values) -> Patch:
    height, width = values.shape
    return Patch(kind="label_map", png=base64.b64encode(as_png(values)).decode(), box=(0, 0, width, height))


def _begun_record(document: Document) -> dict[str, Any]:
    return {
        "objects": [mark.model_dump(mode="json", exclude_none=True) for mark in document.objects.values()],
        "patches": [patch.model_dump(mode="json") for patch in document.patches],
    }


def _begun_document(record: Mapping[str, Any]) -> Document:
    marks = [Mark.model_validate(values) for values in record.get("objects", ())]
    patches = tuple(Patch.model_validate(values) for values in record.get("patches", ()))
    return replace(Document(), objects={mark.key: mark for mark in marks}, patches=patches)

"""The document of a picture is what is marked in it; each edit makes the next version of it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from delineate.label.maps import Patch, check_patch
from delineate.label.marks import Mark, checked, first_line
from delineate.label.pictures import Collection, Picture
from delineate.values import InputError

MOST_EDITS = 1000

State = Literal["new", "changed", "done"]


class Put(BaseModel):
    """An object is added, or takes the place of the one of its key."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["put"]
    object: Mark


class Remove(BaseModel):
    """The object of a key is taken away; one that is not there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["remove"]
    key: str


class Replace(BaseModel):
    """All objects are replaced."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["replace"]
    objects: list[Mark]


class SetState(BaseModel):
    """A picture is said to be done, or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["state"]
    state: State


Edit = Annotated[Put | Remove | Replace | Patch | SetState, Field(discriminator="kind")]
EDITS: TypeAdapter[list[Edit]] = TypeAdapter(Annotated[list[Edit], Field(min_length=1, max_length=MOST_EDITS)])


class Conflict(Exception):  # noqa: N818  (an answer, not a mistake)
    """Somebody else has edited the picture meanwhile; `document` is the newest."""

    def __init__(self, document: "Document") -> None:
        super().__init__("the picture was edited meanwhile; look at the newest, and edit that")
        self.document = document


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document has a version, the number of edits that it had, objects by their keys, and patches of a label map."""

    version: int = 0
    state: State = "new"
    objects: Mapping[str, Mark] = field(default_factory=dict)
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True)
class Posted:
    """An edit of several steps was made by a client on a version that it saw."""

    base: int
    client: str
    edits: list[Edit]

    @property
    def digest(self) -> str:
        """Tell what was posted from all else: who posts the same again was not told that it is kept."""
        said = json.dumps([self.base, self.client, EDITS.dump_python(self.edits, mode="json")], sort_keys=True)
        return hashlib.blake2b(said.encode(), digest_size=12).hexdigest()


def read_edits(values: Any) -> list[Edit]:
    """Read what a client sent; raises `InputError` naming the edit and the field."""
    try:
        return EDITS.validate_python(values)
    except ValidationError as error:
        raise InputError(f"edits: {first_line(error)}") from None


def check_edits(edits: Iterable[Edit], document: Document, picture: Picture, collection: Collection) -> list[Edit]:
    """Check edits against their picture, and put boxes right; raises `InputError` naming the object and the field."""
    categories, size = collection.categories, picture.size
    sound: list[Edit] = []
    for edit in edits:
        if collection.has_maps and isinstance(edit, Put | Replace | Remove):
            raise InputError(f"edits: {edit.kind}: the task {collection.task.name} has label maps, and no objects")
        if isinstance(edit, Patch):
            if not collection.has_maps:
                raise InputError(f"edits: label_map: the task {collection.task.name} has objects, and no label maps")
            check_patch(edit, len(collection.categories.label_map_names), size)
        if isinstance(edit, Put):
            before = document.objects.get(edit.object.key)
            edit = Put(kind="put", object=checked(edit.object, categories, size, before))
        if isinstance(edit, Replace):
            marks = [checked(mark, categories, size, document.objects.get(mark.key)) for mark in edit.objects]
            if len({mark.key for mark in marks}) < len(marks):
                raise InputError("edits: replace: two objects have one key; give each its own")
            edit = Replace(kind="replace", objects=marks)
        document = edited(document, [edit])
        sound.append(edit)
    return sound


def edited(document: Document, edits: Iterable[Edit]) -> Document:
    """Make the edits, which are of one version."""
    objects, state, patches = dict(document.objects), document.state, list(document.patches)
    for edit in edits:
        if isinstance(edit, SetState):
            state = edit.state
            continue
        state = "done" if state == "done" else "changed"
        if isinstance(edit, Put):
            objects[edit.object.key] = edit.object
        elif isinstance(edit, Remove):
            objects.pop(edit.key, None)
        elif isinstance(edit, Replace):
            objects = {mark.key: mark for mark in edit.objects}
        else:
            patches.append(edit)
    return replace(document, version=document.version + 1, state=state, objects=objects, patches=tuple(patches))


def document_record(document: Document, picture: Picture, *, has_maps: bool) -> dict[str, Any]:
    """Write a document as JSON holds it, with the address of its label map; raises `InputError` as `Picture.size`."""
    height, width = picture.size
    is_marked = document.version > 0 or bool(document.objects or document.patches)
    return {
        "id": picture.id,
        "file": picture.name,
        "width": width,
        "height": height,
        "version": document.version,
        "state": document.state,
        "source": "marked" if is_marked else "none",
        "objects": [mark.record() for mark in document.objects.values()],
        "label_map": f"/api/pictures/{picture.id}/label_map?version={document.version}" if has_maps else None,
    }

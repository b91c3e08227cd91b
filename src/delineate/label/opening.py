"""A folder is opened to be labelled, or to go on with what was begun."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from delineate.label.journal import Journal
from delineate.label.labels import LabelOptions, Labels
from delineate.label.models import Models, OneModel
from delineate.label.pictures import Collection, open_collection
from delineate.system.system import System
from delineate.values import Categories, InputError


class Naming(TypedDict, total=False):
    """What is marked in a folder is named when it is first opened."""

    classes: Sequence[str]
    task: str | None
    keypoints: Sequence[str]
    skeleton: Sequence[tuple[int, int]]


def open_labels(
    folder: str | Path, models: Models | None = None, *, naming: Naming | None = None, **options: Unpack[LabelOptions]
) -> Labels:
    """Open a folder of pictures, or a data set of any layout that is read, to mark what is in its pictures.

    Raw pictures need classes, and of keypoints their names; a data set and a model bring their own. What was said when
    a folder was first opened need not be said again; classes of objects may be added behind those there are. `options`
    are those of `Labels`. Raises `InputError` as `open_collection` and `Journal` do, and where other names are given
    than before.
    """
    models, folder = models or OneModel(), Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name one with pictures")
    journal = Journal(folder)
    try:
        collection = _collection(folder, journal.head or {}, naming or {}, _known(models))
        journal.say(_head(collection))
        return Labels(collection, journal, models, **options)
    except BaseException:
        journal.close()
        raise


def _collection(folder: Path, head: dict[str, Any], naming: Naming, known: System | None) -> Collection:
    """Open the pictures with what is said now and was said before."""
    given = {
        "classes": list(naming.get("classes", ())),
        "task": naming.get("task"),
        "keypoints": list(naming.get("keypoints", ())),
        "skeleton": [list(edge) for edge in naming.get("skeleton", ())],
    }
    agreed = {name: _agreed(name, value, head.get(name), folder) for name, value in given.items()}
    if head.get("raw") is False:  # its own names are read anew
        agreed |= {"classes": [], "keypoints": [], "skeleton": []}
    collection = open_collection(
        folder,
        classes=agreed["classes"],
        task=agreed["task"] or (None if known is None else known.task.name),
        keypoints=agreed["keypoints"],
        skeleton=[(a, b) for a, b in agreed["skeleton"]],
        known=None if known is None else known.categories,
        raw=head.get("raw"),
    )
    _check_kept(collection.categories, head, folder)
    return collection


def _known(models: Models) -> System | None:
    names = list(models.names())
    return models.system(names[0]) if names else None


def _agreed(name: str, given: Any, before: Any, folder: Path) -> Any:
    """Take what is given, or else what was said before; classes may grow, and those that were added since stay."""
    if not given or given == before or before is None:
        return given or before or given
    if name == "classes" and given[: len(before)] == before[: len(given)]:
        return max(given, before, key=len)
    said = ", ".join(map(str, before)) if isinstance(before, list) else before
    raise InputError(f"{name}: {folder} was begun with {said or 'none'}; leave --{name} out, or label another folder")


def _check_kept(categories: Categories, head: dict[str, Any], folder: Path) -> None:
    """Raise `InputError` where a class that marks may have is gone, or where values of label maps would change."""
    before = head.get("classes", list(categories.class_names))
    gone = [name for name in before if name not in categories.class_names]
    if gone or (head.get("task") == "segment" and before != list(categories.class_names)):
        raise InputError(
            f"{folder}: it was begun with the classes {', '.join(before)}, and has others now; give it these, or move "
            "its folder .delineate away to begin anew"
        )


def _head(collection: Collection) -> dict[str, Any]:
    categories = collection.categories
    return {
        "task": collection.task.name,
        "classes": list(categories.class_names),
        "keypoints": list(categories.keypoint_names),
        "skeleton": [list(edge) for edge in categories.skeleton],
        "raw": collection.raw,
    }

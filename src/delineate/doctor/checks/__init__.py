"""The checks of one picture are one tuple, by group.

Those of whole splits are in `splits.py`, those against a system in `anchors.py`, those with a run in `disagreeing.py`.
"""

from collections.abc import Callable, Iterator

from delineate.doctor.checks.bodies import BODIES
from delineate.doctor.checks.files import outside_folder, size_differs, turned, wrong_suffix
from delineate.doctor.checks.label_maps import LABEL_MAPS
from delineate.doctor.checks.objects import OBJECTS
from delineate.doctor.looking import Look
from delineate.doctor.records import Hit

FILES = (wrong_suffix, size_differs, turned, outside_folder)
ANNOTATIONS = (*OBJECTS, *BODIES, *LABEL_MAPS)
OF_A_PICTURE: tuple[Callable[[Look], Iterator[Hit]], ...] = (*FILES, *ANNOTATIONS)


def hits_of(look: Look) -> Iterator[Hit]:
    """Give what was found when the picture was read, and what each check finds."""
    yield from look.hits
    for check in OF_A_PICTURE:
        yield from check(look)

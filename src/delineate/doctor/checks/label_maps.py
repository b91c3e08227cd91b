"""Checks of label maps: values that nothing names, those that smoothing made, and numbers of no object."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from delineate.data.formats.label_values import UNKNOWN
from delineate.data.images import read_label_map
from delineate.data.pairing import check_size
from delineate.doctor.looking import Look
from delineate.doctor.records import Hit
from delineate.doctor.words import kinds_of
from delineate.values import IGNORE, InputError, listed

FEW, BLENDED = 3, 0.2
"""Smoothing makes so many unnamed values at least, in no more than this share of the pixels."""
STEPS, ENOUGH = 0.15, 20
"""Smoothing leaves a step at a third of the borders or more, of which there are so many; thin objects leave few."""
LEFT_OUT = ("broken-row", "not-a-number")
"""Objects of these are among those of their file, and not among the things that were read."""


def unnamed_values(look: Look) -> Iterator[Hit]:
    """Find values without a name, and those that smoothing made: many in few pixels, or steps from one to another."""
    if look.stored is None or look.part.values is None:
        return
    values, counts = np.unique(look.stored, return_counts=True)
    table = look.part.values.table.numpy()
    unnamed = table[np.minimum(values, 256)] == UNKNOWN
    steps = steps_between(look.stored, table[np.minimum(look.stored, 256)] == IGNORE)
    if not unnamed.any():
        if steps > STEPS:
            detail = f"at {steps:.0%} of the borders of classes whose values are not next to one another, one between"
            yield Hit("antialiased", look.record.written, detail)
        return
    share = counts[unnamed].sum() / counts.sum()
    is_blended = steps > STEPS or (unnamed.sum() >= FEW and share <= BLENDED)
    kind = "antialiased" if is_blended else "unnamed-value"
    detail = f"values {listed(values[unnamed].tolist(), 5)}, {share:.1%} of the pixels; {look.part.values.rule}"
    yield Hit(kind, look.record.written, detail)


def steps_between(stored: NDArray[np.int64], ignored: NDArray[np.bool_]) -> float:
    """Give the share of borders at which a pixel lies between the two values beside it, as smoothing leaves it.

    A border is where the values two pixels apart differ by 2 or more, and none is ignored; 0 where these are few.
    """
    num_borders = num_steps = 0
    for values, without in ((stored, ignored), (stored.T, ignored.T)):
        first, middle, last = values[:-2], values[1:-1], values[2:]
        is_border = (np.abs(last - first) >= 2) & ~(without[:-2] | without[1:-1] | without[2:])
        is_between = (np.minimum(first, last) < middle) & (middle < np.maximum(first, last))
        num_borders += int(is_border.sum())
        num_steps += int((is_border & is_between).sum())
    return num_steps / num_borders if num_borders >= ENOUGH else 0.0


def object_maps(look: Look) -> Iterator[Hit]:
    """Find masks of objects that are of another size, cannot be read, or have numbers of no object."""
    file = look.record.object_map
    if file is None or look.size is None or not look.decoded:
        return
    try:
        stored = read_label_map(file).numpy()
        check_size(stored.shape, look.record.file, look.size, str(file))
    except InputError as error:
        yield Hit(next(iter(kinds_of(str(error))), "broken-mask"), file.name, str(error))
        return
    count = len(look.things) + sum(hit.kind in LEFT_OUT for hit in look.hits)
    beyond = np.unique(stored[(stored > count) & (stored != IGNORE)]).tolist()
    if beyond:
        yield Hit(
            "broken-mask", file.name, f"values {listed(beyond, 5)}; {look.record.source.name} has {count} objects"
        )


LABEL_MAPS = (unnamed_values, object_maps)

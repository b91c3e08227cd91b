"""Checks of label maps: values that nothing names, and those that smoothing made."""

from collections.abc import Iterator

import numpy as np

from delineate.data.formats.label_values import UNKNOWN
from delineate.doctor.looking import Look
from delineate.doctor.records import Hit
from delineate.values import listed

FEW, BLENDED = 3, 0.2
"""Smoothing makes so many unnamed values at least, in no more than this share of the pixels."""


def unnamed_values(look: Look) -> Iterator[Hit]:
    """Find values without a name: many of them in few pixels, which lie at borders, are blended ones."""
    if look.stored is None or look.part.values is None:
        return
    values, counts = np.unique(look.stored, return_counts=True)
    table = look.part.values.table.numpy()
    unnamed = table[np.minimum(values, 256)] == UNKNOWN
    if not unnamed.any():
        return
    share = counts[unnamed].sum() / counts.sum()
    kind = "antialiased" if unnamed.sum() >= FEW and share <= BLENDED else "unnamed-value"
    detail = f"values {listed(values[unnamed].tolist(), 5)}, {share:.1%} of the pixels; {look.part.values.rule}"
    yield Hit(kind, look.record.written, detail)


LABEL_MAPS = (unnamed_values,)

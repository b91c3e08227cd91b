"""A tally keeps of each picture of a split what checks of whole splits need, and no more."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from delineate.data.census import Census
from delineate.doctor.checks.bodies import Bodies
from delineate.doctor.checks.objects import cut, has_area
from delineate.doctor.looking import Look
from delineate.doctor.records import Box, Hit, Part, Record, Size
from delineate.values import IGNORE

LOST = frozenset({"not-a-number", "broken-row", "unknown-category", "broken-annotation"})
"""Objects of these cannot be counted, so that nothing is said of what seems to be missing."""


BROKEN = frozenset({"unreadable", "truncated"})


@dataclass
class Tally:
    """Counts of a split: objects or pixels by class, bodies, and the hashes of pictures that were decoded.

    Without pictures that were decoded, nothing is known of pixels. So many objects were `refused`; categories of
    `unknown` ids have no name. The `sizes` are those of pictures that can be read.
    `boxes` are those of each picture that count, by their rows, where they are to be `measured` against anchors.
    """

    part: Part
    measured: bool = False
    is_decoded: bool = False
    classes: Counter[str] = field(default_factory=Counter)
    counts: list[int] = field(default_factory=list)
    crowds: int = 0
    difficult: int = 0
    ignored: int = 0
    refused: int = 0
    unknown: set[str] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    sizes: dict[Path, Size] = field(default_factory=dict)
    bodies: Bodies = field(default_factory=Bodies)
    fingerprints: list[tuple[int, Record]] = field(default_factory=list)
    boxes: list[tuple[Record, Size, dict[int, Box]]] = field(default_factory=list)

    def add(self, look: Look, hits: Sequence[Hit]) -> None:
        """Count a picture of which this was found."""
        self.is_decoded |= look.decoded
        self.unknown.update(hit.detail for hit in hits if hit.kind == "unknown-category")
        self.refused += sum(hit.kind in LOST for hit in hits)
        learned = [thing for thing in look.things if not (thing.crowd or thing.difficult)]
        if look.size is None:
            self.unreadable.append(look.record.written)
        elif not any(hit.kind in BROKEN for hit in hits):
            self.sizes[look.record.file] = look.size
        self.counts.append(len(learned))
        self.classes.update(thing.name for thing in learned)
        self.crowds += sum(thing.crowd for thing in look.things)
        self.difficult += sum(thing.difficult for thing in look.things)
        self.bodies.add(look)
        if look.fingerprint is not None:
            self.fingerprints.append((look.fingerprint, look.record))
        if look.stored is not None and look.part.of_pixels:
            self._count_pixels(look)
        if self.measured and look.size is not None:
            cuts = {thing.row: cut(thing.box, look.size) for thing in learned if thing.box is not None}
            kept = {row: box for row, box in cuts.items() if has_area(box, look.part.least)}
            self.boxes.append((look.record, look.size, kept))

    def _count_pixels(self, look: Look) -> None:
        assert look.stored is not None
        assert look.part.values is not None
        counts = np.bincount(np.minimum(look.stored, 256).ravel(), minlength=257)
        table = look.part.values.table.numpy()
        self.ignored += int(counts[table == IGNORE].sum())
        for label, name in enumerate(look.part.names):
            self.classes[name] += int(counts[table == label].sum())

    def census(self) -> Census:
        """Give the counts as training has them."""
        names = self.part.names or sorted(self.classes)
        has_maps = self.part.of_pixels
        return Census(
            num_pictures=len({record.file for record in self.part.records}),
            classes={name: self.classes[name] for name in names},
            counts=() if has_maps else self.counts,
            num_crowds=self.crowds,
            num_difficult=self.difficult,
            num_maps=len(self.counts) if has_maps else None,
            num_ignored=self.ignored,
            unreadable=self.unreadable,
        )

"""Checks of whole splits: their classes, their names, and pictures that are in two of them."""

import io
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from delineate.data.dividing.duplicates import alike
from delineate.data.formats.split_names import WITHOUT_SPLITS, usual_name
from delineate.data.images import read_thumbnail
from delineate.doctor.checks.tally import Tally
from delineate.doctor.records import Hit, Record

NUM_BITS = 64
THUMBNAIL, SAME, FLAT = (32, 32), 0.9, 2.0
"""Pictures whose hashes are near are the same where their thumbnails correlate as much; flat ones are told by bytes."""
RARE = 100
"""A class is rare where the most frequent has so many times its objects."""

Named = TypeVar("Named", str, Path)
Splits = Sequence[Tally]
Held = Callable[[], bytes] | None


def is_learned(split: str) -> bool:
    """Tell whether a split is one to learn from."""
    return usual_name(split) in ("train", WITHOUT_SPLITS)


def names_alike(splits: Splits) -> Iterator[Hit]:
    """Find pictures in one folder whose names are the same in small letters and composed form."""
    for tally in splits:
        for same in _grouped(
            {record.file for record in tally.part.records}, lambda file: (file.parent, _key(file.name))
        ):
            names = sorted(file.name for file in same)
            yield Hit("names-alike", f"{tally.part.split}/{names[0]}", ", ".join(map(ascii, names)))


def class_names_alike(splits: Splits) -> Iterator[Hit]:
    """Find classes whose names are the same in small letters, without blanks."""
    counts = _counts(splits)
    for same in _grouped(counts, _key):
        first, *others = sorted(same, key=lambda name: (-counts[name], name))
        for name in others:
            yield Hit("class-names-alike", repr(name), f"{counts[name]} objects, and {counts[first]} of {first!r}")


def aliases(splits: Splits) -> dict[str, str]:
    """Give for each such name the more frequent one."""
    counts = _counts(splits)
    found = (sorted(same, key=lambda name: (-counts[name], name)) for same in _grouped(counts, _key))
    return {name: first for first, *others in found for name in others}


def categories_differ(splits: Splits) -> Iterator[Hit]:
    """Find splits whose classes are not those of the first, in its order, or which have other ids for them."""
    first, *others = (tally.part for tally in splits)
    for part in others:
        if first.names and part.names and tuple(part.names) != tuple(first.names):
            yield Hit(
                "categories-differ", part.split, f"{len(part.names)} classes, and {first.split} {len(first.names)}"
            )
        elif part.ids != first.ids and all(_shifted(first.ids, part.ids)):
            yield Hit("ids-mixed", part.split, f"ids from {min(part.ids.values())}, in {first.split} from others")


def class_missing(splits: Splits) -> Iterator[Hit]:
    """Find classes of which a split has no object, or no pixel."""
    everywhere, known = [name for name, count in _counts(splits).items() if count], aliases(splits)
    for tally in splits:
        names = tally.part.names or everywhere
        if sum(tally.classes.values()) and not tally.refused:
            yield from (
                Hit("class-missing", tally.part.split, name)
                for name in names
                if not (tally.classes[name] or name in known)
            )


def imbalance(splits: Splits) -> Iterator[Hit]:
    """Find classes that are rare where something is learned."""
    known = aliases(splits)
    for tally in splits:
        most = max(tally.classes.values(), default=0)
        for name, count in sorted(tally.classes.items()):
            if is_learned(tally.part.split) and name not in known and 0 < count * RARE <= most:
                yield Hit("imbalance", tally.part.split, f"{name}: {count:,}, the most frequent has {most:,}")


def nothing_left(splits: Splits) -> Iterator[Hit]:
    """Find splits of which nothing counts, in the words of a training."""
    for tally in splits:
        reason = tally.census().lacks("learn")
        if reason and not tally.refused and not (tally.part.of_pixels and not tally.is_decoded):
            learned = is_learned(tally.part.split)
            yield Hit("nothing-to-learn" if learned else "nothing-to-measure", tally.part.split, reason)


def bodies(splits: Splits) -> Iterator[Hit]:
    """Find what is wrong with the keypoints of a whole split."""
    for tally in splits:
        yield from tally.bodies.hits(tally.part.keypoint_names, tally.part.split)


def leaks(splits: Splits) -> list[tuple[Record, Record, int]]:
    """Find pictures that are in two splits, the one learned from first, and the bits by which their hashes differ."""
    prints = [print_ for tally in splits for print_ in tally.fingerprints]
    hashes = np.array([value for value, _ in prints], dtype=np.uint64)
    found = []
    thumbnail = cache(_thumbnail)
    for group in alike(hashes):
        members = sorted((not is_learned(prints[row][1].split), row) for row in group)
        for place, (_, row) in enumerate(members):
            value, record = prints[row]
            for _, earlier in members[:place]:
                other_value, other = prints[earlier]
                if other.split != record.split and _look_same(other, record, thumbnail):
                    found.append((other, record, (value ^ other_value).bit_count()))
                    break
    return found


def leaked(found: Sequence[tuple[Record, Record, int]]) -> Iterator[Hit]:
    """Say which pictures are in two splits."""
    for other, record, bits in found:
        place = f"{other.split}/{other.file.name}"
        detail = f"{record.split}/{record.file.name}: {bits} of {NUM_BITS} bits differ"
        yield Hit("leak", place, detail)


SPLITS: tuple[Callable[[Splits], Iterator[Hit]], ...] = (
    names_alike,
    class_names_alike,
    categories_differ,
    class_missing,
    imbalance,
    nothing_left,
    bodies,
)


def _look_same(record: Record, other: Record, thumbnail: Callable[[Path, Held], NDArray[np.float64]]) -> bool:
    first, second = (thumbnail(one.file, one.held) for one in (record, other))
    if min(first.std(), second.std()) < FLAT:
        mine, its = (one.file.read_bytes() if one.held is None else one.held() for one in (record, other))
        return mine == its
    return bool(np.corrcoef(first.ravel(), second.ravel())[0, 1] >= SAME)


def _thumbnail(file: Path, held: Held) -> NDArray[np.float64]:
    stream = None if held is None else io.BytesIO(held())
    pixels: NDArray[np.float64] = read_thumbnail(file, THUMBNAIL, stream).astype(np.float64)
    return pixels


def _counts(splits: Splits) -> dict[str, int]:
    names = {name for tally in splits for name in (*tally.part.names, *tally.classes)}
    return {name: sum(tally.classes[name] for tally in splits) for name in sorted(names)}


def _shifted(first: Mapping[str, object], other: Mapping[str, object]) -> Iterator[bool]:
    """Tell of each class whether its id is one more or less, where both are numbers."""
    for name, value in first.items():
        mine = other.get(name)
        yield isinstance(value, int) and isinstance(mine, int) and abs(value - mine) == 1


def _grouped(things: Iterable[Named], key: Callable[[Named], Hashable]) -> list[list[Named]]:
    """List the things that have the same key as others."""
    groups: dict[Hashable, list[Named]] = defaultdict(list)
    for thing in things:
        groups[key(thing)].append(thing)
    return [group for group in groups.values() if len(group) > 1]


def _key(name: str) -> str:
    return "".join(unicodedata.normalize("NFC", name).casefold().split())

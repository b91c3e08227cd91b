"""What was found is mended in a copy, with a list of what was changed, and one of what is left to be done by hand."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from delineate.data.files import check_new, write_text
from delineate.data.folders import home_of, visible_files
from delineate.doctor.checks import hits_of
from delineate.doctor.checks.files import SUFFIXES_OF
from delineate.doctor.findings import Findings
from delineate.doctor.layouts import coco, parts_of, voc, without_unions, yolo
from delineate.doctor.layouts.drawn import DRAWN
from delineate.doctor.looking import Look, look_at, look_through
from delineate.doctor.mending import as_coco
from delineate.doctor.mending.by_hand import ByHand, of_picture, of_the_rest
from delineate.doctor.mending.copying import copy_folder, place
from delineate.doctor.mending.documents import count_from_1, give_own_ids, leave_out_unused, merge_entries
from delineate.doctor.mending.lists import mended_lists, relative_descriptions
from delineate.doctor.mending.mends import Change, mended
from delineate.doctor.mending.unturned import can_be_unturned, unturned
from delineate.doctor.records import Hit, Thing
from delineate.io.files import folder_beside
from delineate.values import InputError

CHANGES, BY_HAND = "changes.csv", "by_hand.csv"
DROPPED = ("unreadable", "truncated", "annotation-without-picture")
"""A picture of which this is found is left out, with its annotation."""


class Mending(NamedTuple):
    """A copy has these changes; the rest is left to be done by hand, each with its reason."""

    changes: list[Change]
    by_hand: list[ByHand]


@dataclass
class Edits:
    """What becomes of the files: objects by the annotation file and their row, pictures left out of splits or renamed.

    `written` are the pictures' names in each annotation file, and `kept` those that some split keeps. What is
    `settled`, a kind and a file, was found of a picture that is left out, or is looked at again without EXIF's mark.
    """

    things: dict[Path, dict[int, Thing | None]] = field(default_factory=lambda: defaultdict(dict))
    sizes: dict[Path, tuple[int, int]] = field(default_factory=dict)
    left_out: dict[str, set[Path]] = field(default_factory=lambda: defaultdict(set))
    kept: set[Path] = field(default_factory=set)
    renamed: dict[Path, str] = field(default_factory=dict)
    unturned: set[Path] = field(default_factory=set)
    written: dict[Path, dict[str, Path]] = field(default_factory=lambda: defaultdict(dict))
    changes: list[Change] = field(default_factory=list)
    by_hand: list[ByHand] = field(default_factory=list)
    settled: set[tuple[str, str]] = field(default_factory=set)


def mend(findings: Findings, destination: str | Path) -> Mending:
    """Write a mended copy of the data into a new folder, and `changes.csv` beside it, which lists what was changed.

    Its layout is that of the data, or COCO for those that are not written. Pictures that stay as they are are linked,
    or copied where that does not go; nothing of the original is touched. What cannot be decided here stays as it is,
    and is listed with the reason in `by_hand.csv`, if there is any. Gives both lists.

    Raises `InputError` where the destination has something in it, or lies in the data.
    """
    root, destination = findings.root, Path(destination)
    check_new(destination)
    if home_of(root).resolve() in (destination.resolve(), *destination.resolve().parents):
        raise InputError(f"{destination}: it lies in {home_of(root)}, which stays as it is; name a folder outside")
    edits = _edits(findings)
    with folder_beside(destination) as beside:
        _write(findings, edits, beside)
        done = edits.settled | {(change.finding, change.file) for change in edits.changes}
        done |= {(one.finding, one.file) for one in edits.by_hand}
        if findings.aliases and findings.layout not in ("yolo", "mask_folder"):  # whose objects and pixels have numbers
            done.add(("class-names-alike", str(root)))
        edits.by_hand += of_the_rest(findings, done)
        _write_list(beside / CHANGES, Change._fields, edits.changes)
        if edits.by_hand:
            _write_list(beside / BY_HAND, ByHand._fields, edits.by_hand)
    return Mending(edits.changes, edits.by_hand)


def _edits(findings: Findings) -> Edits:
    edits = Edits()
    leaked = {(record.split, record.file): other for record, other, _ in findings.leaks}
    for part in without_unions(list(parts_of(findings.root, findings.layout))):
        for look, hits in look_through(part, partial(_hits_of, findings=findings), decode=True):
            record = look.record
            edits.written[record.source][record.written] = record.file
            other = leaked.get((part.split, record.file))
            if other is None:
                _edit(look, hits, findings, edits)
            else:
                _leave_out(look, Hit("leak", record.written, f"as {other.split}/{other.file.name}"), hits, edits)
            if record.file not in edits.left_out[part.split]:
                edits.kept.add(record.file)
        gone = [hit for hit in part.hits if hit.kind in DROPPED]
        edits.changes += [Change(str(findings.root), hit.place, hit.kind, hit.detail, "left out") for hit in gone]
    return edits


def _hits_of(look: Look, findings: Findings) -> list[Hit]:
    """Find what is to be mended of a picture, its name in other capitals, too, but no category where ids are mixed."""
    written, name = PurePosixPath(look.record.written).name, look.record.file.name
    is_alike = written != name and written.casefold() == name.casefold()
    capitals = [Hit("other-capitals", "", written)] if is_alike else []
    return capitals + [hit for hit in hits_of(look) if hit.kind != "unknown-category" or hit.kind in findings.found]


def _edit(look: Look, hits: list[Hit], findings: Findings, edits: Edits) -> None:
    """Decide what becomes of one picture and its objects; what is not mended is left to be done by hand."""
    record, num_before = look.record, len(edits.changes)
    without = (*DROPPED, "broken-annotation") if findings.layout in DRAWN else DROPPED
    dropped = next((hit for hit in hits if hit.kind in without), None)
    if dropped is not None:
        _leave_out(look, dropped, hits, edits)
        return
    mark = next((hit for hit in hits if hit.kind in ("size-differs", "turned")), None)
    if mark is not None and can_be_unturned(look):
        edits.unturned.add(record.file)
        change = Change(str(record.file), record.written, mark.kind, mark.detail, "EXIF's mark taken off")
        edits.changes.append(change)
        edits.settled |= {(hit.kind, str(record.source)) for hit in hits}
        look = look_at(replace(record, held=partial(unturned, record.file)), look.part, decode=True)
        hits = _hits_of(look, findings)
    kinds = {hit.kind for hit in hits}
    if "other-capitals" in kinds:
        written = PurePosixPath(record.written).name
        edits.changes.append(Change(str(record.source), "", "other-capitals", written, record.file.name))
    if "wrong-suffix" in kinds and look.header is not None:
        name = f"{record.file.stem}{SUFFIXES_OF[look.header.format][0]}"
        edits.renamed[record.file] = name
        edits.changes.append(Change(str(record.file), record.written, "wrong-suffix", record.file.name, name))
    _edit_things(look, hits if look.frame is not None else [], findings, edits)
    edits.by_hand += of_picture(record, hits, {(change.finding, change.place) for change in edits.changes[num_before:]})


def _edit_things(look: Look, hits: list[Hit], findings: Findings, edits: Edits) -> None:
    """Decide what becomes of the objects of a picture, of which this was found; names are put right in any case."""
    if look.size is None:
        return
    source = look.record.source
    aliases = {} if findings.layout == "yolo" else findings.aliases
    things, changes = mended(look.things, hits, look.size, aliases, str(source), look.part.least)
    if things:
        edits.things[source].update(things)
        edits.sizes[source] = look.size
    edits.changes += changes


def _leave_out(look: Look, why: Hit, hits: list[Hit], edits: Edits) -> None:
    """Leave a picture out of its split, and with it whatever else was found of it."""
    edits.left_out[look.record.split].add(look.record.file)
    edits.changes.append(Change(str(look.record.file), look.record.written, why.kind, why.detail, "left out"))
    edits.settled |= {(hit.kind, str(look.record.source)) for hit in hits}


def _write(findings: Findings, edits: Edits, target: Path) -> None:
    """Write the copy in the layout of the data."""
    root, home = findings.root, home_of(findings.root)
    if findings.layout == "coco":
        _write_coco(findings, edits, home, target)
        return
    if findings.layout in DRAWN:
        _write_drawn(findings, edits, target)
        return
    written: dict[Path, bytes] = {}
    if findings.layout == "voc":
        written = {xml: voc.mended(xml, things) for xml, things in edits.things.items()}
        written |= voc.without_names(root, findings.aliases) if findings.aliases else {}
    if findings.layout == "yolo":
        written = {path: yolo.mended(path, things, edits.sizes[path]) for path, things in edits.things.items()}
        written |= relative_descriptions(root)
    gone = {file for files in edits.left_out.values() for file in files} - edits.kept
    annotations = {source for source, names in edits.written.items() if set(names.values()) <= gone}
    lists, changes = mended_lists(home, gone, edits.left_out, edits.renamed, edits.things.keys())
    lost = [path for path in visible_files(home) if not path.exists()]
    edits.changes += [*changes, *(Change(str(path), "", "dead-link", "", "left out") for path in lost)]
    written |= lists
    copy_folder(home, target, gone | annotations, edits.renamed, written, edits.unturned)


def _write_coco(findings: Findings, edits: Edits, home: Path, target: Path) -> None:
    """Write each JSON file, and beside them all pictures that are not left out of every file."""
    found = coco.sources(findings.root)
    for split, kinds in found.items():
        source, *others = coco.in_order(kinds)
        pictures = {
            name: None if file in edits.left_out[split] else _renamed(name, file, edits)
            for name, file in edits.written[source].items()
        }
        of_others = coco.without(source, edits.things[source])
        for path in (source, *others):
            things = edits.things[source] if path is source else of_others(path)
            document = coco.mended(path, things, pictures, findings.aliases)
            for mend_whole in (merge_entries, leave_out_unused, count_from_1, *(() if others else (give_own_ids,))):
                edits.changes += [Change(str(path), *change) for change in mend_whole(document)]
            write_text(target / path.relative_to(home), json.dumps(document))
    sources = {path for kinds in found.values() for path in kinds.values()}
    names = {path for files in edits.written.values() for path in files.values()}
    if home == findings.root:
        copy_folder(home, target, {*sources, *(names - edits.kept)}, edits.renamed, {}, edits.unturned)
        return
    for file in edits.kept:
        copy = (target / file.relative_to(home)).with_name(edits.renamed.get(file, file.name))
        place(file, copy, edits.unturned)


def _write_drawn(findings: Findings, edits: Edits, target: Path) -> None:
    """Write each split as COCO, and list what its reader leaves out."""
    drawings, _ = DRAWN[findings.layout](findings.root)
    edits.changes += [
        Change(str(drawing.source), where, "written-as-coco", what, "")
        for drawing in drawings
        for what, places in drawing.remarks.items()
        for where in places
    ]
    for part in without_unions(list(parts_of(findings.root, findings.layout))):
        twice = [hit for hit in part.hits if hit.kind == "picture-twice"]
        edits.changes += [Change(str(findings.root), hit.place, hit.kind, hit.detail, "made one") for hit in twice]
        names = [name for name in part.names if name not in findings.aliases]
        left_out = edits.left_out[part.split]
        as_coco.write(part, target, edits.things, left_out, edits.renamed, edits.unturned, names)


def _renamed(name: str, file: Path, edits: Edits) -> str:
    """Give the name of a picture in its annotation: its new one, or that of the file where capitals differ."""
    folder, slash, tail = name.rpartition("/")
    new = file.name if file.name.casefold() == tail.casefold() else tail
    return f"{folder}{slash}{edits.renamed.get(file, new)}"


def _write_list(path: Path, titles: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    write_text(path, text.getvalue())

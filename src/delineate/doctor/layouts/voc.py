"""Pascal VOC: objects of XML files are records as they stand there, and mended element by element."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from delineate.data.files import read_lines
from delineate.data.formats.label_values import CLASS_LISTS, LabelValues
from delineate.data.formats.markup import parsed
from delineate.data.formats.voc.classes import class_list, classes
from delineate.data.formats.voc.files import both_sides, chosen
from delineate.data.formats.voc.layout import Folders, find_parts
from delineate.data.formats.voc.xml import SIDES, elements_of, inside, read_object, size_of
from delineate.doctor.records import Hit, Part, Record, Thing
from delineate.doctor.words import kinds_of
from delineate.values import InputError


def parts(root: Path) -> Iterator[Part]:
    """Find the pictures of each split that have an XML file, or where there are none, a label map."""
    found = find_parts(root)
    for split, part in found.items():
        maps = part.pngs("SegmentationClass")
        values = classes(root, found, part.home, True)[1] if maps else None
        if values is not None:
            values = values.checked(list(maps.values()), part.home)
        yield _part(root, split, part, values)


def _part(root: Path, split: str, part: Folders, values: LabelValues | None) -> Part:
    pictures, xmls = both_sides(part)
    maps = {} if values is None else part.pngs("SegmentationClass")
    annotated = xmls or maps
    objects = part.pngs("SegmentationObject") if xmls else {}
    keys, _ = chosen(part, pictures, annotated, "XML file" if xmls else "label map")
    named = class_list((part.home, root))
    names = named[1] if named else ()
    records = [
        Record(
            split=split,
            file=pictures[key],
            source=annotated[key],
            written=pictures[key].name,
            said=_said(xmls[key]) if xmls else (0, 0),
            label_map=maps.get(key),
            object_map=objects.get(key),
        )
        for key in keys
        if key in annotated
    ]

    def things(record: Record) -> tuple[list[Thing], list[Hit]]:
        return _things(record, names) if xmls else ([], [])

    of_pixels = values is not None and not xmls
    return Part(
        split=split,
        records=records,
        things=things,
        names=values.categories.label_map_names if values is not None and of_pixels else names,
        values=values,
        least=1,
        of_pixels=of_pixels,
    )


def _said(xml: Path) -> tuple[int, int]:
    try:
        return size_of(parsed(xml), xml)
    except InputError:
        return 0, 0


def _things(record: Record, names: tuple[str, ...]) -> tuple[list[Thing], list[Hit]]:
    read: list[Thing] = []
    said: list[Hit] = []
    try:
        elements = elements_of(parsed(record.source), record.source)
    except InputError as error:
        return read, [Hit("broken-annotation", record.source.name, str(error))]
    for row, element in enumerate(elements):
        where = f"object {row + 1}"
        try:
            found = read_object(element, where)
        except InputError as error:
            kind = next(iter(kinds_of(f"{record.source}: {error}")), "broken-row")
            said.append(Hit(kind, where, str(error), (row,)))
            continue
        where += f" ({found.name})"
        written = _written_name(element)
        if written != found.name and "\n" not in written:
            said.append(Hit("class-names-alike", where, f"{written!r} is read as {found.name!r}", (row,)))
        if names and found.name not in names:
            said.append(Hit("unknown-category", where, found.name, (row,)))
        read.append(
            Thing(
                row=row,
                place=where,
                name=found.name,
                box=found.box,
                difficult=found.difficult,
                swapped=found.swapped,
            )
        )
    return read, said


def _written_name(element: Element) -> str:
    """Give the name of an object with the blanks around it, which its reader takes off."""
    found = inside(element, "name")
    return "" if found is None else found.text or ""


def mended(xml: Path, edits: Mapping[int, Thing | None]) -> bytes:
    """Write an XML file with its objects edited, or left out (`None`)."""
    root = parsed(xml)
    parents = {child: parent for parent in root.iter() for child in parent}
    for row, element in enumerate(elements_of(root, xml)):
        if row not in edits:
            continue
        thing = edits[row]
        box, name = inside(element, "bndbox"), inside(element, "name")
        if thing is None:
            parents[element].remove(element)
        elif thing.box is not None and box is not None and name is not None:
            x1, y1, x2, y2 = thing.box
            name.text = thing.name
            for side, value in zip(SIDES, (x1 + 1, y1 + 1, x2, y2), strict=True):
                corner = inside(box, side)
                assert corner is not None, "it was read"
                corner.text = f"{value:g}" if value % 1 else str(round(value))
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def without_names(root: Path, names: Mapping[str, str]) -> dict[Path, bytes]:
    """Write the list of classes without these names, if there is one."""
    lists = [root / name for name in CLASS_LISTS if (root / name).is_file()]
    return {path: "".join(f"{line}\n" for line in read_lines(path) if line not in names).encode() for path in lists[:1]}

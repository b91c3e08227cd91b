"""The files of a Pascal VOC split say which pictures it has, and what is known of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from delineate.data.files import read_lines
from delineate.data.folders import visible_files
from delineate.data.formats.voc.layout import Folders, lists
from delineate.data.images import SUFFIXES
from delineate.data.pairing import UNREAD, keyed, unpaired
from delineate.values import Content, InputError, counted, listed

Files = Mapping[str, Path]
"""Files by their keys, which a picture shares with its annotations."""


def both_sides(part: Folders) -> tuple[Files, Files]:
    """Give the pictures and the XML files by their stems, or by their paths where pictures share a stem.

    Raises `InputError` naming two pictures that have the same XML file.
    """
    pictures, xmls = part.picture_files(), part.xml_files()
    by_stem = len({path.stem for path in pictures}) == len(pictures)

    def key(path: Path, folder: Path) -> str:
        return path.stem if by_stem else path.relative_to(folder).with_suffix("").as_posix()

    by_key = keyed(pictures, lambda path: key(path, part.pictures), "annotation")
    return by_key, {key(path, part.annotations): path for path in xmls}


def chosen(part: Folders, pictures: Files, annotated: Files, kind: str) -> tuple[list[str], list[str]]:
    """Give the keys of the split's pictures, in order, and lines that say what is left out.

    These are the entries of its list, or without one those that are `annotated`, by files of this `kind`. Raises
    `InputError` where no entry is a picture.
    """
    if part.entries is None:
        return [key for key in pictures if key in annotated], unpaired(pictures, annotated, kind)
    entries, lines = _entries(part.entries, pictures, part.pictures)
    keys = list(dict.fromkeys(entries))
    lines += unpaired({key: path for key, path in pictures.items() if key in annotated}, annotated, kind)
    if len(keys) < len(entries):
        twice = [key for key, count in Counter(entries).items() if count > 1]
        lines.append(f"{part.entries}: {counted(len(twice), 'picture')} listed again, kept once: {listed(twice)}")
    anywhere = {_key(line, pictures) for path in lists(part.home).values() for line in read_lines(path)}
    alone = [path.name for key, path in pictures.items() if key not in anywhere]
    if alone:
        lines.append(
            f"{part.entries.parent.parent}: {counted(len(alone), 'picture')} in no list, left out: {listed(alone)}"
        )
    return keys, lines


def _entries(source: Path, pictures: Files, folder: Path) -> tuple[list[str], list[str]]:
    """Give the keys of the pictures in a list, and a line that says which of its entries are none."""
    written = read_lines(source)
    keys = [_key(line, pictures) for line in written]
    there, missing = [key for key in keys if key], [line for line, key in zip(written, keys, strict=True) if not key]
    if not missing:
        return there, []
    others = [path for path in visible_files(folder) if path.stem in missing and path.suffix.lower() in UNREAD]
    unread = f" ({others[0].name} is of a kind that is not read)" if others else ""
    if not there:
        raise InputError(f"{source}: no entry is a picture in {folder}: {listed(missing)}{unread}; correct the list")
    pictures_said = counted(len(missing), "picture")
    return there, [f"{source}: {pictures_said} of {len(keys)} not in {folder}, left out: {listed(missing)}{unread}"]


def _key(entry: str, pictures: Files) -> str | None:
    """Find the picture that an entry names by its stem or path, with or without suffix."""
    path = PurePosixPath(entry.replace("\\", "/"))
    bare = path.with_suffix("") if path.suffix.lower() in (*SUFFIXES, ".xml") else path
    tails = ["/".join(bare.parts[start:]) for start in range(len(bare.parts))]
    return next((key for key in (entry, *tails) if key in pictures), None)


def contents_of(
    part: Folders, keys: Sequence[str], sides: Mapping[Content, Files], needs: frozenset[Content]
) -> tuple[frozenset[Content], list[str]]:
    """Find what every picture has, and say in a line what only some have; raises `InputError` for a needed XML file."""
    whole: set[Content] = set()
    problems = []
    for content, files in sides.items():
        missing = [key for key in keys if key not in files]
        if not missing and files:
            whole.add(content)
        elif len(missing) < len(keys) and content in needs:
            if content == "boxes":
                raise InputError(
                    f"{part.annotations / missing[0]}.xml: there is no such file, for {len(missing)} of the "
                    f"{len(keys)} pictures in {part.entries}: {listed(missing)}; add XML files, or remove the pictures "
                    "from the list"
                )
            folder = next(iter(files.values())).parent
            problems.append(
                f"{folder}: {len(keys) - len(missing)} of {len(keys)} pictures have a PNG ({missing[0]} has none); "
                "left out. A list in ImageSets/Segmentation of the pictures that have one is a split of its own"
            )
    if "masks" in whole and "boxes" not in whole:
        whole.discard("masks")
        problems.append(
            f"{part.home}: masks of objects are left out, as no XML file says what the objects are; if labelme2voc "
            "wrote them, give LabelMe's own JSON files, or what labelme2coco writes"
        )
    return frozenset(whole), problems

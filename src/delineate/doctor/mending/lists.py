"""Lists of pictures are written again without those that are gone, and descriptions without ways to the original."""

from collections.abc import Mapping, Set
from pathlib import Path

from delineate.data.files import read_lines, read_text
from delineate.data.folders import home_of
from delineate.data.images import SUFFIXES
from delineate.doctor.mending.mends import Change


def mended_lists(
    home: Path, gone: Set[Path], left_out: Mapping[str, Set[Path]], renamed: Mapping[Path, str], passed_over: Set[Path]
) -> tuple[dict[Path, bytes], list[Change]]:
    """Write the lists that name pictures which are gone, left out of their split, renamed, or there twice.

    The files that are `passed_over` are no lists.
    """
    pictures = {path for path in gone if path.suffix.lower() in SUFFIXES}
    written, changes = {}, []
    for path in home.rglob("*.txt"):
        lines = read_lines(path) if path not in passed_over else []
        unlisted = pictures | left_out.get(path.stem, set())
        changed = [new for line in lines if (new := _line(line, path, unlisted, renamed)) is not None]
        once = list(dict.fromkeys(changed)) if _names_pictures(path, changed) else changed
        if len(once) < len(changed):
            twice = f"{len(changed) - len(once)} lines"
            changes.append(Change(str(path), "", "listed-twice", twice, "left out"))
        if once != lines:
            written[path] = "".join(f"{line}\n" for line in once).encode()
    return written, changes


def relative_descriptions(root: Path) -> dict[Path, bytes]:
    """Write descriptions without a path that leads to the original."""
    written = {}
    for path in sorted(home_of(root).glob("*.y*ml")):
        lines = read_text(path).splitlines()
        kept = [line for line in lines if not (line.startswith("path:") and Path(line[5:].strip(" '\"")).is_absolute())]
        if kept != lines:
            written[path] = "".join(f"{line}\n" for line in kept).encode()
    return written


def _names_pictures(source: Path, lines: list[str]) -> bool:
    """Tell whether a text file is a list of pictures, and not of classes or of numbers."""
    return "ImageSets" in source.parts or any(Path(line).suffix.lower() in SUFFIXES for line in lines[:1])


def _line(line: str, source: Path, gone: Set[Path], renamed: Mapping[Path, str]) -> str | None:
    """Give a line of a list of pictures as it is, with a new name, or not at all."""
    name = line.replace("\\", "/").rpartition("/")[2]
    is_of_voc = "ImageSets" in source.parts
    for path in gone:
        if name == path.name or (is_of_voc and name == path.stem):
            return None
    new = {path.name: new for path, new in renamed.items()}.get(name)
    return line if new is None else line[: len(line) - len(name)] + new

"""Pictures and annotations are the two sides of a data set: what one has and the other lacks is said in a line."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from delineate.data.folders import pictures_in, visible_files
from delineate.data.images import SUFFIXES, is_turned
from delineate.values import InputError, counted, listed

UNREAD = frozenset(
    {".heic", ".heif", ".jxl", ".jxr", ".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
    | {".svg", ".psd", ".xcf", ".exr", ".hdr", ".dcm", ".pcx"}
)
"""Files with these suffixes are pictures, and are not read."""

UNTURN = "remove the mark from all pictures (exiftool -Orientation= -overwrite_original FOLDER)"


def unread(folder: Path) -> list[str]:
    """Say which files below a folder look like pictures and are not read, and which links lead nowhere."""
    files = visible_files(folder)
    others = [path for path in files if path.suffix.lower() in UNREAD and path.exists()]
    lost = [path for path in files if path.suffix.lower() in UNREAD | SUFFIXES and not path.exists()]
    kinds = ", ".join(sorted({path.suffix for path in others}))
    return [
        *_line(folder, others, "picture", f"of a kind that is not read ({kinds}), left out; save as PNG or JPEG"),
        *_line(folder, lost, "link", "to no file, left out"),
    ]


def keyed(paths: Iterable[Path], key: Callable[[Path], str], what: str) -> dict[str, Path]:
    """Give files by the keys that pair them; raises `InputError` naming two whose `what` would be the same."""
    files: dict[str, Path] = {}
    for path in paths:
        other = files.setdefault(key(path), path)
        if other is not path:
            raise InputError(f"{path}: {other.name} has the same {what}; rename or remove one of them")
    return files


def unpaired(pictures: Mapping[str, Path], others: Mapping[str, Path], other: str, fate: str = "left out") -> list[str]:
    """Say which pictures have no annotation file (an `other`, such as "XML file") and which of those have no picture.

    Both are found under one key where they belong together. `fate` says what becomes of such a picture.
    """
    alone = [path for key, path in pictures.items() if key not in others]
    without = [path for key, path in others.items() if key not in pictures]
    return [
        *(_line(alone[0].parent, alone, "picture", f"without {other}, {fate}") if alone else []),
        *(_line(without[0].parent, without, other, "without picture, left out") if without else []),
    ]


def unsplit(folder: Path, splits: Collection[str]) -> list[str]:
    """Say which pictures below a folder are in none of its inner folders that are splits."""
    others = [path for path in pictures_in(folder) if path.relative_to(folder).parts[0] not in splits]
    return _line(folder, others, "picture", f"in none of the splits' folders ({listed(splits)}), left out")


def check_size(said: tuple[int, ...], file: Path, image_size: tuple[int, int], where: str) -> None:
    """Raise `InputError` where an annotation, at `where`, is of a picture of another `(height, width)` than the file's.

    0 says nothing, and is the picture's own.
    """
    if said == image_size or 0 in said:
        return
    sizes = f"{where} is {said[1]} x {said[0]} pixels wide and high, and {file} is {image_size[1]} x {image_size[0]}"
    if said != image_size[::-1]:
        mend = "take the pictures that were annotated, or scale the annotations to these"
    elif is_turned(file):
        mend = f"it was annotated as it is stored, and EXIF turns it: {UNTURN}"
    else:
        mend = "width and height are exchanged; correct them, or turn the pictures back"
    raise InputError(f"{sizes}; {mend}")


def _line(folder: Path, files: Sequence[Path], thing: str, what: str) -> list[str]:
    """Count and name the files of which something is true, in a line; in none where there are no files."""
    if not files:
        return []
    return [f"{folder}: {counted(len(files), thing)} {what}: {listed(path.name for path in files)}"]

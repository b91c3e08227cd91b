"""What is predicted is named by files, folders, patterns, lists, a camera's number, or `-` for standard input."""

from collections.abc import Iterable, Iterator
from glob import has_magic, iglob
from pathlib import Path

from delineate.values import InputError

VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv"}
    | {".ogv", ".3gp", ".mjpeg", ".mjpg"}
)
"""Files with these suffixes are videos."""
STANDARD_INPUT = Path("-")


def expanded(paths: Iterable[Path]) -> list[Path]:
    """Put the files that a pattern (`films/*.mp4`) means in its place, sorted, and in a list's (`.txt`) what it names.

    A list has a name on each line, which is looked for beside the list. What is there is taken as it is. Raises
    `InputError` for a pattern without files, a list without names, and where nothing at all is there.
    """
    found = [file for path in paths for file in _expanded(path)]
    if not any(path.exists() or is_stream(path) for path in found):
        raise InputError(f"{found[0]}: there is no such picture, video or folder")
    return found


def is_video(path: Path) -> bool:
    """Tell whether there are frames instead of a picture: a video's file, a camera, standard input."""
    return is_stream(path) or (path.suffix.lower() in VIDEOS and not path.is_dir())


def is_stream(path: Path) -> bool:
    """Tell whether frames come as they are made: from standard input, or from a camera by its number."""
    return path == STANDARD_INPUT or is_camera(path)


def is_camera(path: Path) -> bool:
    """Tell whether a camera is meant: by a number, which is no file's or folder's name."""
    return str(path).isdecimal() and not path.exists()


def _expanded(path: Path) -> Iterator[Path]:
    if path.suffix.lower() == ".txt" and path.is_file():
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        if not any(names):
            raise InputError(f"{path}: this list is empty; write the name of a picture or video on each line")
        yield from (path.parent / name for name in names if name)
    elif has_magic(str(path)) and not path.exists():
        files = sorted(iglob(str(path), recursive=True))  # noqa: PTH207 (Path.glob takes no path from the root)
        if not files:
            raise InputError(f"{path}: no file is named so")
        yield from map(Path, files)
    else:
        yield path

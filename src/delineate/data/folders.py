"""Data sets lie in folders: what is in them is found, whatever its capitals, and without what is hidden."""

import os
from collections.abc import Sequence
from pathlib import Path

from delineate.data.images import SUFFIXES


def home_of(root: Path) -> Path:
    """Find the folder of a data set, which may be given by a file in it."""
    return root if root.is_dir() else root.parent


def kept_beside(data: Path, kind: str) -> Path | None:
    """Find where things of a kind are kept: in a data set, or in the user's cache where it cannot be written to."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "delineate"
    for home in (home_of(data) / ".delineate", cache):
        folder = home / kind
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


def pictures_in(folder: Path) -> list[Path]:
    """Find the picture files in a folder and its sub-folders by their suffix, sorted; hidden files are none."""
    return [path for path in visible_files(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]


def visible_files(folder: Path) -> list[Path]:
    """Find what is in a folder and its sub-folders, links to nowhere too, sorted; nothing that is or lies hidden."""
    found: list[Path] = []
    seen: set[str] = set()
    for place, inner, names in os.walk(folder, followlinks=True):
        inner[:] = [name for name in inner if not name.startswith((".", "__MACOSX"))]
        real = os.path.realpath(place)
        if real in seen:  # a link to a folder that was looked through, or is being
            inner.clear()
        else:
            seen.add(real)
            found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found, key=lambda path: path.parts)  # a path itself takes ten times as long to compare


def inside(folder: Path, names: Sequence[str]) -> Path:
    """Find the folder in `folder` that has one of these names, the first that is there, in any capitals.

    Gives the path of the first name where there is none.
    """
    there = {name.lower(): name for name in reversed(folders_in(folder))}
    return next((folder / there[name.lower()] for name in names if name.lower() in there), folder / names[0])


def names_in(folder: Path) -> set[str]:
    """Name what is in `folder` and not hidden; nothing where it is no folder."""
    return {entry.name for entry in os.scandir(folder) if entry.name[0] != "."} if folder.is_dir() else set()


def folders_in(folder: Path) -> list[str]:
    """Name the folders in `folder` that are not hidden, sorted; none where it is no folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:  # which know what is a folder without asking, as paths do
        return sorted(
            entry.name for entry in entries if entry.is_dir() and not entry.name.startswith((".", "__MACOSX"))
        )

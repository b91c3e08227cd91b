"""A COCO file may name pictures in tar shards (`000.tar/a.jpg`) or in stores (`s3://bucket/000.tar/a.jpg`)."""

from collections.abc import Sequence
from pathlib import Path

from delineate.data.formats.coco.rows import Row
from delineate.data.stored import archive_of, is_stored
from delineate.io.stores import is_url
from delineate.values import InputError, listed


def are_stored(folders: Sequence[Path], images: Sequence[Row], source: Path) -> bool:
    """Tell whether pictures lie in archives or stores; in one of the folders, an archive may be a folder itself.

    Raises `InputError` where only some do, and where one has no size, as none is fetched to know it.
    """
    names = [image["file_name"] for image in images]
    stored = list(map(is_stored, names))
    if not any(stored):
        return False
    first = archive_of(names[stored.index(True)])
    if first is not None and any((folder / first).is_dir() for folder in folders):
        return False
    if not all(stored):
        one, other = names[stored.index(True)], names[stored.index(False)]
        raise InputError(f"{source}: {one} is in an archive or a store, and {other} is a file; name all in one way")
    for image in images:
        if not (image.get("height") and image.get("width")):
            raise InputError(
                f"{source}: image {image['id']}: there is no height and width, and {image['file_name']} is not "
                "fetched to know them; write them"
            )
    return True


def stored_files(folders: Sequence[Path], images: Sequence[Row], source: Path) -> tuple[list[Path], dict[int, str]]:
    """Find pictures in archives below one of the folders, or in stores; lines are of archives that are not there.

    Stores are not asked. Raises `InputError` where no archive is there.
    """
    names: list[str] = [image["file_name"] for image in images]
    archives = [archive_of(name) for name in names]
    here = dict.fromkeys(archive for archive in archives if archive is not None and not is_url(archive))
    there = {folder: sum((folder / archive).is_file() for archive in here) for folder in folders} if here else {}
    folder = max(folders, key=lambda folder: there.get(folder, 0))
    if here and not there[folder]:
        raise InputError(f"{source}: its archives ({listed(here)}) are in none of {listed(folders, 4)}; put them there")
    missing = {archive for archive in here if not (folder / archive).is_file()}
    files = [Path(name) if is_url(name) else folder / name for name in names]
    said = "it is not there; put it there, or remove its pictures from"
    return files, {
        row: f"{folder / archive}: {said} {source}" for row, archive in enumerate(archives) if archive in missing
    }

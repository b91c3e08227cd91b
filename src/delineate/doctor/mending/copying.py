"""A folder is copied with some files left out, renamed or written anew; the others are linked where that goes."""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from delineate.data.folders import visible_files
from delineate.doctor.mending.unturned import unturned


def place(source: Path, target: Path, unturned_files: Collection[Path]) -> None:
    """Link a picture, or write it without EXIF's mark where it is one of those."""
    if source not in unturned_files:
        link(source, target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(unturned(source))


def link(source: Path, target: Path) -> None:
    """Make `target` another name of the file `source`, or a copy of it where the disk is another."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def copy_folder(
    root: Path,
    target: Path,
    left_out: Collection[Path],
    renamed: Mapping[Path, str],
    written: Mapping[Path, bytes],
    unturned_files: Collection[Path] = (),
) -> None:
    """Copy a folder: `renamed` files get another name, `written` ones another content, and some are `left_out`.

    EXIF's mark is taken off the `unturned_files`. Files that are written are never links: the original stays as it is.
    """
    for path in visible_files(root):
        if path in left_out or not path.is_file():
            continue
        copy = target / path.relative_to(root)
        if path in renamed:
            copy = copy.with_name(renamed[path])
        if path in written:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(written[path])
        else:
            place(path, copy, unturned_files)

"""A folder is copied with some files left out, renamed or written anew; the others are linked where that goes."""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from delineate.data.folders import visible_files


def link(source: Path, target: Path) -> None:
    """Make `target` another name of the file `source`, or a copy of it where the disk is another."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def copy_folder(
    root: Path, target: Path, left_out: Collection[Path], renamed: Mapping[Path, str], written: Mapping[Path, bytes]
) -> None:
    """Copy a folder: `renamed` files get another name, `written` ones another content, and some are `left_out`.

    Files that are written are never links: the original stays as it is.
    """
    for path in visible_files(root):
        if path in left_out or not path.is_file():
            continue
        place = target / path.relative_to(root)
        if path in renamed:
            place = place.with_name(renamed[path])
        if path in written:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(written[path])
        else:
            link(path, place)

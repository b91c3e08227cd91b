"""Pictures that were written beside a COCO file go into tar archives, as training reads them where they are many."""

import json
import tarfile
from pathlib import Path

from delineate.data.files import write_text


def pack(root: Path, split: str, size: int) -> None:
    """Put the pictures of a split that `write` wrote into archives of `size` pictures each, in the file's order.

    `images/train/7.png` becomes `7.png` in `images/train/train-00000.tar`, and is `train-00000.tar/7.png` in the file.
    """
    file, folder = root / "annotations" / f"instances_{split}.json", root / "images" / split
    document = json.loads(file.read_text(encoding="utf-8"))
    images = document["images"]
    for number, first in enumerate(range(0, len(images), size)):
        archive = f"{split}-{number:05d}.tar"
        with tarfile.open(folder / archive, "w") as tar:
            for image in images[first : first + size]:
                name = image["file_name"]
                tar.add(folder / name, name, filter=_plain)
                (folder / name).unlink()
                image["file_name"] = f"{archive}/{name}"
    write_text(file, json.dumps(document))


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who wrote a file and when, so that the same pictures make the same archive."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info

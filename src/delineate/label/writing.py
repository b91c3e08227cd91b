"""What was corrected is written as a data set that is read as any: COCO of objects, a mask folder of label maps."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from delineate.data.files import read_text, write_label_map, write_text
from delineate.data.formats.coco.writing import category_rows
from delineate.data.formats.split_names import USUAL_NAMES, WITHOUT_SPLITS, usual_name
from delineate.data.lists import PictureList
from delineate.label.journal import FOLDER
from delineate.label.maps import as_png, as_tensor
from delineate.label.marks import coco_row
from delineate.label.pictures import Picture
from delineate.label.store import Store
from delineate.values import InputError

EVERY = 5
"""Of raw pictures, each fifth that is done is validated on, and stays there."""
SHARE = 0.15
"""Of a data set without a part to validate on, this share of the pictures becomes one."""
CORRECTED = Path(".delineate") / "corrected"
VALIDATED = "validated_on.txt"


class Written:
    """The corrected data set lies in `folder`: that of raw pictures beside them, and else apart from what was there.

    Of raw pictures those that are done are in it; of a data set all, corrected or not. What there was of annotations
    stays as it is.
    """

    def __init__(self, store: Store) -> None:
        self.store, self.collection = store, store.collection
        beside = self.collection.raw and not self.collection.has_maps
        self.folder = self.collection.root if beside else self.collection.root / CORRECTED
        self._rows: dict[int, tuple[int, list[dict[str, Any]]]] = {}
        self._maps: dict[Path, int] = {}
        self._validated: PictureList | None = None
        self.problems: list[str] = []

    def parts(self, held_out: PictureList | None = None) -> dict[str, list[Picture]]:
        """Deal the pictures to the parts that they are trained and validated in.

        Each has the part that it had. Where there is none to validate on, of raw pictures every fifth that was done is;
        of a data set those that a model held out, or else a share by their names, which is written down once.
        """
        parts: dict[str, list[Picture]] = {}
        for picture in self.collection.pictures:
            if (not self.collection.raw or self.store.state(picture)[0] == "done") and self._is_readable(picture):
                parts.setdefault(self._part(picture, held_out), []).append(picture)
        return parts

    def _is_readable(self, picture: Picture) -> bool:
        try:
            return min(picture.size) > 0
        except InputError as error:
            self.problems += [] if str(error) in self.problems else [str(error)]
            return False

    def write(self, held_out: PictureList | None = None) -> dict[str, int]:
        """Write the data set, each file whole or not at all; gives the number of pictures of each part."""
        parts = self.parts(held_out)
        if self.collection.has_maps:
            self._write_maps(parts)
        else:
            for name, pictures in parts.items():
                _write(self._file(name), json.dumps(self.coco(pictures, self.folder)))
            for name in {*USUAL_NAMES.values()} - set(parts):
                if self.collection.raw or self.folder != self.collection.root:
                    self._file(name).unlink(missing_ok=True)
        return {name: len(pictures) for name, pictures in parts.items()}

    def exported(self) -> list[Picture]:
        """List what is exported: of raw pictures those that are changed or done, else all."""
        every = self.collection.pictures
        return [one for one in every if not self.collection.raw or self.store.state(one)[0] != "new"]

    def coco(self, pictures: Sequence[Picture], home: Path) -> dict[str, Any]:
        """Write pictures as COCO's document, whose file names are relative to a folder."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, picture in enumerate(pictures, start=1):
            height, width = picture.size
            name = Path(os.path.relpath(picture.file, home)).as_posix()
            images.append({"id": number, "file_name": name, "height": height, "width": width})
            for row in self._rows_of(picture):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **row})
        return {"images": images, "annotations": annotations, "categories": category_rows(self.collection.categories)}

    def packed_maps(self, pictures: Sequence[Picture]) -> bytes:
        """Pack label maps as a ZIP, with the names of their values."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("classes.txt", "\n".join(self.collection.categories.label_map_names) + "\n")
            for picture, name in zip(pictures, _zipped(pictures), strict=True):
                archive.writestr(f"labels/{name}", as_png(self.store.label_map(picture)))
        return packed.getvalue()

    def _file(self, part: str) -> Path:
        return self.folder / "annotations" / f"instances_{part}.json"

    def _rows_of(self, picture: Picture) -> list[dict[str, Any]]:
        """Write the objects of a picture, once a version."""
        version, rows = self._rows.get(picture.id, (-1, []))
        document = self.store.document(picture) if version != self.store.state(picture)[1] else None
        if document is not None:
            size, categories = picture.size, self.collection.categories
            rows = [coco_row(mark, categories, size) for mark in document.objects.values()]
            self._rows[picture.id] = document.version, rows
        return rows

    def _part(self, picture: Picture, held_out: PictureList | None) -> str:
        if picture.part != WITHOUT_SPLITS and (self.collection.raw or self._has_val):
            return usual_name(picture.part) if self.collection.raw else picture.part
        if self.collection.raw:
            rank = self.store.done_rank(picture)
            return "val" if rank is not None and rank % EVERY == EVERY - 1 else "train"
        if picture.part not in (WITHOUT_SPLITS, self._trained_on):
            return picture.part
        return "val" if str(_absolute(picture.file)) in self._validated_on(held_out).lines else "train"

    @cached_property
    def _has_val(self) -> bool:
        return any(usual_name(name) == "val" for name in self.collection.parts)

    @cached_property
    def _trained_on(self) -> str:
        names = [name for name in self.collection.parts if usual_name(name) == "train"]
        return names[0] if names else WITHOUT_SPLITS

    def _validated_on(self, held_out: PictureList | None) -> PictureList:
        """Find which pictures of a data set without such a part are validated on, as it was decided once."""
        if self._validated is not None:
            return self._validated
        root, file = self.collection.root, self.collection.root / FOLDER / VALIDATED
        if not file.is_file():
            mine = [one for one in self.collection.pictures if one.part in (WITHOUT_SPLITS, self._trained_on)]
            rows = [] if held_out is None else held_out.rows([one.file for one in mine])
            if not rows:
                shares = [_share(one.name) for one in mine]
                rows = [row for row, share in enumerate(shares) if share < max(SHARE, min(shares) + 1e-12)]
            PictureList.write(file, root, "validated on while labelling", [mine[row].file for row in rows])
        self._validated = PictureList(file, root)
        return self._validated

    def _write_maps(self, parts: Mapping[str, Sequence[Picture]]) -> None:
        """Write a mask folder: pictures are linked, label maps written where they changed, others removed."""
        write = self.collection.categories.label_map_names
        _write(self.folder / "classes.txt", "\n".join(write) + "\n")
        stems = self._stems()
        wanted: set[Path] = set()
        for part, pictures in parts.items():
            for picture in pictures:
                image = self.folder / "images" / part / f"{stems[picture.id]}{picture.file.suffix}"
                label_map = self.folder / "labels" / part / f"{stems[picture.id]}.png"
                wanted |= {image, label_map}
                version = self.store.state(picture)[1]
                if self._maps.get(label_map) != version or not label_map.is_file():
                    write_label_map(label_map, as_tensor(self.store.label_map(picture)))
                    self._maps[label_map] = version
                if not image.exists():
                    _link(picture.file, image)
        for kind in ("images", "labels"):
            for path in (self.folder / kind).glob("*/*"):
                if path not in wanted:
                    path.unlink()
                    self._maps.pop(path, None)

    def _stems(self) -> dict[int, str]:
        """Name files without folders; of pictures that share a name, by their numbers, too."""
        pictures = self.collection.pictures
        times = Counter(picture.file.stem.casefold() for picture in pictures)
        return {
            picture.id: picture.file.stem + (f"-{picture.id:08x}" if times[picture.file.stem.casefold()] > 1 else "")
            for picture in pictures
        }


def _write(file: Path, text: str) -> None:
    """Write a text where it is another one."""
    if not file.is_file() or read_text(file) != text:
        write_text(file, text)


def _link(file: Path, link: Path) -> None:
    """Give a picture a second name, or copy it where the file system has none."""
    link.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(file.resolve(), link)
        return
    shutil.copyfile(file, link)


def _zipped(pictures: Sequence[Picture]) -> list[str]:
    """Name files of an archive by their pictures, never outside of where it is unpacked; each has a name of its own."""
    names = [PurePath(*(part for part in PurePath(one.name).parts if part not in ("..", "/"))) for one in pictures]
    times = Counter(name.with_suffix("") for name in names)
    return [f"{name if times[name.with_suffix('')] > 1 else name.with_suffix('')}.png" for name in names]


def _share(name: str) -> float:
    """Give each name a number from 0 to 1 of its own, always the same."""
    return int.from_bytes(hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=6).digest()) / 2**48


def _absolute(file: Path) -> str:
    return os.path.abspath(file)  # noqa: PTH100  # as lists do

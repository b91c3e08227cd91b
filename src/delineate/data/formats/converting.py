"""A data set is written in another format, whole or not at all."""

from collections.abc import Mapping
from errno import ENOSPC
from pathlib import Path

from delineate.data.dataset import Dataset, Part, each_readable
from delineate.data.files import check_new
from delineate.data.formats import coco
from delineate.data.formats.coco.packing import pack
from delineate.data.formats.layouts import WRITTEN, WrittenFormat, named, read_dataset, splits
from delineate.io.files import folder_beside
from delineate.values import InputError, counted, listed


def convert(
    source: str | Path,
    destination: str | Path,
    to: str,
    format: str | None = None,  # noqa: A002
    *,
    skip_unreadable: bool = False,
    shard_size: int | None = None,
) -> list[str]:
    """Write every split in the format `to` into a new or empty folder, which is there when all of it is.

    Gives the lines that say what the reader left out and what the new format could not hold. With `skip_unreadable`,
    every picture is decoded, and those that cannot be read, or whose annotation cannot, are left out, too. With
    `shard_size`, pictures of COCO's format go into tar archives of so many.

    Raises `InputError` as `read_dataset` does, when the destination has something in it or lies in the source, and when
    splits have other classes than one another.
    """
    source, destination = Path(source), Path(destination)
    target = _written(to)
    if shard_size is not None and (target is not coco or shard_size < 1):
        raise InputError(f"shard_size: {shard_size} in {to}; archives are made of one picture or more, with --to coco")
    check_new(destination)
    if source.resolve() in destination.resolve().parents:
        raise InputError(f"{destination}: it lies in {source}, whose pictures it would add to; name a folder outside")
    datasets = {split: read_dataset(source, split, format) for split in splits(source, format)}
    _check_same_names(datasets, source)
    lines: list[str] = []
    if skip_unreadable:
        datasets = {split: _readable(dataset, split, lines) for split, dataset in datasets.items()}
    with folder_beside(destination) as beside:
        for split, dataset in datasets.items():
            try:
                lines += [f"{split}: {line}" for line in (*dataset.problems, *target.write(dataset, beside, split))]
                if shard_size is not None:
                    pack(beside, split, shard_size)
            except InputError as error:
                raise InputError(str(error).replace(str(beside), str(destination))) from None
            except OSError as error:
                if error.errno != ENOSPC:
                    raise
                raise InputError(f"{destination}: {error.strerror}; nothing was written") from None
    return lines


def _written(name: str) -> WrittenFormat:
    named(name)
    if name not in WRITTEN:
        raise InputError(f"format {name!r} is read, and not written; those that are written are {', '.join(WRITTEN)}")
    return WRITTEN[name]


def _readable(dataset: Dataset, split: str, lines: list[str]) -> Dataset:
    """Keep the pictures that can be read, and say in a line which cannot; raises `InputError` where none can."""
    errors: list[str] = []
    indices = [index for index, _ in each_readable(dataset.__getitem__, range(len(dataset)), errors)]
    if errors and not indices:
        raise InputError(f"{errors[0]}; and no other picture of split {split!r} can be read")
    if errors:
        lines.append(f"{split}: left out {counted(len(errors), 'picture')} that cannot be read: {listed(errors)}")
    return Part(dataset, indices)


def _check_same_names(datasets: Mapping[str, Dataset], source: Path) -> None:
    """Raise `InputError` where the classes or keypoints of two splits differ, as one number would mean two things."""
    (first, one), *others = datasets.items()
    for split, other in others:
        for kind in ("class_names", "keypoint_names"):
            mine, theirs = (getattr(dataset.categories, kind) for dataset in (one, other))
            if mine != theirs:
                raise InputError(
                    f"{source}: {kind.replace('_', ' ')} of '{first}' are {', '.join(mine) or 'none'}, those of "
                    f"'{split}' {', '.join(theirs) or 'none'}; give both the same list, in one order"
                )

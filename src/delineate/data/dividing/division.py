"""A data set is divided into parts to train on, to validate on and to test with, by lists beside it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from delineate.data.counting import amounts_by_class
from delineate.data.dataset import Part, first_of, left_out_of
from delineate.data.dividing.duplicates import near_duplicates
from delineate.data.dividing.grouping import grouped, groups_of, joined
from delineate.data.dividing.stratification import dealt
from delineate.data.files import check_new
from delineate.data.folders import home_of
from delineate.data.formats.layouts import check_split, read_dataset, splits
from delineate.data.formats.split_names import meant
from delineate.data.lists import DIVIDES, END, PictureList, lists_folder
from delineate.data.splits import Watch, left_out, looked_over
from delineate.io.files import folder_beside
from delineate.values import InputError, counted, listed

DEFAULT_SHARE = 0.15


@dataclass(frozen=True, kw_only=True, eq=False)
class Division:
    """A division deals the pictures `files` of the part `split` to new parts, which get these `shares` of them.

    `parts` has the indices of each one's pictures, `counts` how much each has of every class: objects, or pixels where
    there are label maps alone, as `unit` says. What is kept together are `groups` of several pictures, among them the
    `duplicates`, which look the same; `None` where those were not looked for. `notes` have a line for each kind of what
    is not as it should be. The lists are in `folder`.
    """

    folder: Path
    split: str
    shares: Mapping[str, float]
    files: Sequence[Path]
    parts: Mapping[str, Sequence[int]]
    counts: Mapping[str, Mapping[str, int]]
    unit: Literal["objects", "pixels"]
    groups: Sequence[Sequence[int]]
    duplicates: Sequence[Sequence[int]] | None
    notes: Sequence[str]

    @property
    def totals(self) -> dict[str, int]:
        """Count how much there is of each class."""
        rows = list(self.counts.values())
        return {name: sum(row[name] for row in rows) for name in rows[0]}

    @property
    def off(self) -> float:
        """Say what share of all objects, or pixels, would have to change parts for every class to be shared exactly."""
        totals = self.totals
        excess = sum(
            max(0.0, row[name] - self.shares[part] * totals[name]) for part, row in self.counts.items() for name in row
        )
        return excess / max(1, sum(totals.values()))


def divide(
    root: str | Path,
    split: str | None = None,
    *,
    val: float | None = None,
    test: float | None = None,
    group: str | None = None,
    duplicates: Literal["together", "apart"] = "together",
    seed: int = 0,
    format: str | None = None,  # noqa: A002
    write: bool = True,
    watch: Watch = iter,
) -> Division:
    """Divide a part of a data set, which may be left out where there is just one, and write the lists beside it.

    `val` and `test` are shares of the pictures; if not given 0.15, or 0 where the data have a part of this name. With
    `group`, pictures stay together that share their `folder`, the `prefix` of their name (up to its last `_`, `-` or
    `.`), or what this regular expression finds in their name.

    Pictures that cannot be read are left out, and said. Raises `InputError` where there are lists already, and where a
    part would be empty.
    """
    root = Path(root)
    folder = lists_folder(root)
    check_new(folder, "delete it to divide the pictures anew")
    names = splits(root, format)
    split = _one_part(root, names, split)
    shares = _shares([name for name in names if name != split], split, val, test)
    dataset = looked_over(read_dataset(root, split, format), [], skip_unreadable=True)
    unreadable, alike = left_out(dataset), None
    if duplicates == "together":
        read, alike, others = near_duplicates(dataset.files, watch)
        dataset, unreadable = Part(dataset, read), [*unreadable, *others]
    groups = grouped(dataset.files, group)
    unit, classes, amounts, unknown = amounts_by_class(dataset)
    numbers = joined(len(dataset), [*groups, *(alike or ())])
    parts = dealt(amounts, numbers, shares, seed)
    counts = {name: dict(zip(classes, map(int, amounts[rows].sum(0)), strict=True)) for name, rows in parts.items()}
    division = Division(
        folder=folder,
        split=split,
        shares=shares,
        files=dataset.files,
        parts=parts,
        counts=counts,
        unit=unit,
        groups=[members for members in groups_of(numbers) if len(members) > 1],
        duplicates=alike,
        notes=[*dataset.problems, *_not_read(root, unreadable, unknown), *_absent(counts, unit)],
    )
    if write:
        _write(division, home_of(root), _command(root, division, group, seed))
    return division


def _one_part(root: Path, names: Sequence[str], split: str | None) -> str:
    if split is None and len(names) > 1:
        raise InputError(f"{root}: there are the parts {', '.join(names)}; say with --split which one to divide")
    return check_split(root, names[0] if split is None else split, names)


def _shares(others: Sequence[str], split: str, val: float | None, test: float | None) -> dict[str, float]:
    """Find the share of each part that there is to be."""
    shares = {"train": 1.0}
    for name, share in (("val", val), ("test", test)):
        share = (0.0 if meant(name, others) else DEFAULT_SHARE) if share is None else share
        if not 0 <= share < 1:
            raise InputError(f"{name}: {share:g} is no share of the pictures; give one from 0 to less than 1")
        shares |= {name: share} if share else {}
    shares["train"] -= sum(share for name, share in shares.items() if name != "train")
    if shares["train"] <= 0 or len(shares) == 1:
        raise InputError(
            "val and test: together they are all pictures, and leave none to train on; give smaller shares"
            if len(shares) > 1
            else "val and test: the data have them already, or their shares are 0; there is nothing to divide off"
        )
    for name in shares:
        if there := meant(name, others):
            mend = f"divide that one (--split {there})" if name == "train" else f"leave --{name} out"
            raise InputError(f"{name}: the data have a part '{there}' beside '{split}', which stays; {mend}")
    return shares


def _not_read(root: Path, unreadable: Sequence[str], unknown: Sequence[str]) -> Iterator[str]:
    """Say which pictures are in no part, as they cannot be read, and which are dealt unseen."""
    if unreadable:
        yield f"{root}: {left_out_of(unreadable)}"
    if unknown:
        yield f"{root}: {counted(len(unknown), 'annotation')} that cannot be read: {first_of(unknown)}"


def _absent(counts: Mapping[str, Mapping[str, int]], unit: str) -> list[str]:
    """Say which classes a part has nothing of, though they occur."""
    lines = []
    for part, row in counts.items():
        absent = [name for name, count in row.items() if not count and any(other[name] for other in counts.values())]
        if absent:
            lines.append(f"'{part}' has no {unit} of {len(absent)} of {len(row)} classes: {listed(absent)}")
    return lines


def _command(root: Path, division: Division, group: str | None, seed: int) -> str:
    """Write the command that divides in this way again."""
    options = {"--split": division.split}
    options |= {f"--{name}": f"{division.shares.get(name, 0):g}" for name in ("val", "test")}
    options |= {"--group": group} if group else {}
    options |= {"--duplicates": "apart"} if division.duplicates is None else {}
    words = [word for option in {**options, "--seed": str(seed)}.items() for word in option]
    return shlex.join(["delineate", "split", str(root), *words])


def _write(division: Division, home: Path, command: str) -> None:
    """Write the lists, all of them or none."""
    with folder_beside(division.folder) as beside:
        for name, rows in division.parts.items():
            files = [division.files[row] for row in rows]
            comment = f"{DIVIDES.removeprefix('# ')}{division.split}{END}{command}"
            PictureList.write(beside / f"{name}.txt", home, comment, files)

"""`delineate split DATA` divides pictures into those to train on, to validate on and to test with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from delineate.cli.options import AsJson, Data, Format
from delineate.cli.output import print_json, print_line, print_table, progress, say, table

if TYPE_CHECKING:
    from delineate.data.dividing.division import Division


def _share(name: str) -> Any:
    return typer.Option(
        min=0,
        max=1,
        help=f"Share of the pictures that becomes {name}; if not given 0.15, or 0 where the data have a part {name}.",
    )


def split(
    data: Data,
    part: Annotated[
        str | None, typer.Option("--split", help="Part of the data set to divide; needed where it has several.")
    ] = None,
    val: Annotated[float | None, _share("val")] = None,
    test: Annotated[float | None, _share("test")] = None,
    by: Annotated[
        Literal["picture", "group"] | None,
        typer.Option(help="Whether to deal single pictures, or pictures of a --group together; picture if not given."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="folder|prefix|REGEX",
            help="What pictures of a group share: their folder, the prefix of their name (up to its last _, - or .), "
            "or what the parentheses of a regular expression find in it, as in '^(patient[0-9]+)'. With --by group, "
            "folder if not given.",
        ),
    ] = None,
    duplicates: Annotated[
        Literal["together", "apart"],
        typer.Option(
            help="Whether pictures that look the same stay together; apart does not look for them, as where a camera "
            "never moves."
        ),
    ] = "together",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same parts.")] = 0,
    data_format: Format = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show how it would be divided.")] = False,
    as_json: AsJson = False,
) -> None:
    """Divide a data set by lists beside it, which every command then honours; no picture is moved.

    Every class is shared as the pictures are, as closely as can be, and near-duplicates are kept together. The lists
    are DATA/splits/train.txt, val.txt and test.txt, with one picture a line.
    """
    from delineate.data import divide
    from delineate.values import InputError

    if by == "picture" and group is not None:
        raise InputError("group: by picture, none are kept together; leave --group out, or give --by group")
    with progress() as bar:
        division = divide(
            data,
            part,
            val=val,
            test=test,
            group=group or ("folder" if by == "group" else None),
            duplicates=duplicates,
            seed=seed,
            format=data_format,
            write=not dry_run,
            watch=lambda pictures: bar.track(pictures, description="looking for near-duplicates"),
        )
    for note in division.notes:
        say(note)
    if not dry_run:
        say(
            "a run that was trained before may know pictures of any part; `delineate val RUN` measures what it held out"
        )
    if as_json:
        print_json(_record(division, dry_run))
    else:
        _print(division, dry_run)


def _record(division: "Division", dry_run: bool) -> dict[str, Any]:
    files, alike = division.files, division.duplicates
    return {
        "divided": division.split,
        "parts": {
            name: {"pictures": len(rows), division.unit: division.counts[name]} for name, rows in division.parts.items()
        },
        "lists": None if dry_run else {name: str(division.folder / f"{name}.txt") for name in division.parts},
        "groups": len(division.groups),
        "near_duplicates": None if alike is None else [[str(files[index]) for index in group] for group in alike],
        "off": division.off,
        "notes": list(division.notes),
    }


def _print(division: "Division", dry_run: bool) -> None:
    rows = table("", numbers=[f"{name} {share:.0%}" for name, share in division.shares.items()])
    num_pictures = len(division.files)
    rows.add_row("pictures", *(_of(len(part), num_pictures) for part in division.parts.values()), end_section=True)
    for name, total in division.totals.items():
        if total:
            rows.add_row(escape(name), *(_of(counts[name], total) for counts in division.counts.values()))
    print_table(rows)
    print_line(
        f"{division.off:.1%} of all {division.unit} would have to change parts for every class to be shared exactly"
    )
    print_line(f"near-duplicates: {escape(_alike(division))}")
    if division.groups:
        print_line(f"kept together: {_together(division.groups)}")
    if dry_run:
        print_line("nothing was written")
    else:
        names = ", ".join(f"{name}.txt" for name in division.parts)
        print_line(f"[bold]{escape(str(division.folder))}[/]: {names}; every command now reads these parts")


def _of(count: int, total: int) -> str:
    return f"{count:,} {count / total:5.1%}"


def _alike(division: "Division") -> str:
    groups = division.duplicates
    if groups is None:
        return "not looked for"
    if not groups:
        return "none found"
    return f"{_together(groups)}, as {' and '.join(division.files[index].name for index in groups[0][:2])}"


def _together(groups: Sequence[Sequence[int]]) -> str:
    from delineate.values import counted

    return f"{counted(len(groups), 'group')} of {counted(sum(map(len, groups)), 'picture')}"

"""`delineate propose PICTURES` draws where a proposer would look."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from delineate.cli.options import AsJson, Device, SkipUnreadable
from delineate.cli.output import Unreadable, print_json, print_line, print_table, progress, say
from delineate.cli.predicting import result_names
from delineate.cli.val import rows_table

if TYPE_CHECKING:
    from delineate.data import Dataset
    from delineate.evaluation.proposals import ProposalQuality, Propose

NUM_DRAWN = 24
"""How many pictures of a data set are drawn."""


def propose(
    pictures: Annotated[
        Path, typer.Argument(metavar="PICTURES", help="A picture, a folder of pictures, or with --split a data set.")
    ],
    proposer: Annotated[
        Literal["selective_search", "sliding_window", "rpn"] | None,
        typer.Option(
            help="How to find boxes: selective_search looks at the picture, sliding_window takes windows everywhere, "
            "rpn is a network that a run has learned. If not given, rpn with --run, and selective_search without."
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run of a Faster, Mask or Keypoint R-CNN whose RPN is to propose.")
    ] = None,
    mode: Annotated[
        Literal["fast", "quality"], typer.Option(help="For selective search: fewer boxes, or more.")
    ] = "fast",
    max_proposals: Annotated[int, typer.Option(min=1, help="The most boxes for a picture.")] = 2000,
    split: Annotated[str | None, typer.Option(help="Measure the boxes on this part of an annotated data set.")] = None,
    num_images: Annotated[
        int | None,
        typer.Option(min=1, help="Measure on this many pictures, evenly spread over the split; all if not given."),
    ] = None,
    skip_unreadable: SkipUnreadable = False,
    out: Annotated[Path, typer.Option(help="Folder to write the drawn pictures to.")] = Path("proposals"),
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Draw and measure proposals: the boxes that a two-stage detector would look at.

    Each picture is drawn into OUT with the 100 likeliest boxes. With --split, the share of objects that the boxes cover
    is measured, too, and the objects are drawn: in green the box that covers an object best, in orange an object that
    none covers. With --json the measurements are printed as one object, or without --split the boxes, one object and
    line a picture.
    """
    from delineate.evaluation.proposals import find_proposer
    from delineate.values import InputError

    name = proposer or ("selective_search" if run is None else "rpn")
    find = find_proposer(name, mode=mode, max_proposals=max_proposals, run=run, device=device)
    if split is None:
        if skip_unreadable:
            raise InputError("skip_unreadable: it needs --split; without it, what cannot be read is passed over")
        _draw_pictures(find, pictures, out, as_json)
        return
    dataset, skipped = _read(pictures, split, num_images, skip_unreadable)
    quality = _measure(find, dataset, max_proposals, out)
    if as_json:
        print_json({"proposer": name, **asdict(quality), "skipped": skipped, "out": str(out)})
        return
    columns = {"recall at IoU 0.50": quality.recall, "average recall": quality.average_recall, "MABO": quality.mabo}
    rows = {f"{count:,}": {column: values[count] for column, values in columns.items()} for count in quality.recall}
    print_table(rows_table("proposals", rows))
    print_line(
        f"{quality.num_images} pictures, [bold green]{quality.seconds:.3f} s[/] and {quality.num_proposals:,.0f} "
        f"proposals a picture; some are drawn in [bold]{escape(str(out))}[/]"
    )


def _read(data: Path, split: str, num_images: int | None, skip_unreadable: bool) -> "tuple[Dataset, int]":
    """Read the pictures to measure on, or some of them, and count those of them that cannot be read."""
    from delineate.data import read_dataset
    from delineate.data.census import check_census
    from delineate.data.counting import take_census
    from delineate.data.dataset import Part
    from delineate.data.splits import readable, spread
    from delineate.values import InputError

    dataset = read_dataset(data, split)
    if "boxes" not in dataset.contents:
        raise InputError(f"{data}: split '{split}' has no boxes; leave out --split to see the proposals alone")
    asked: Dataset = Part(dataset, spread(len(dataset), num_images or len(dataset)))
    notes = list(dataset.problems)
    dataset = readable(asked, notes) if skip_unreadable else asked
    census = take_census(dataset)
    check_census(census, dataset, f"{data}: split '{split}'", "measure")
    for line in (*notes, census.line(split)):
        say(line)
    return dataset, len(asked) - len(dataset)


def _measure(find: "Propose", dataset: "Dataset", max_proposals: int, out: Path) -> "ProposalQuality":
    """Measure on a data set, and draw some of its pictures."""
    from delineate.evaluation.proposals import annotated, proposal_quality, propose
    from delineate.viz import draw_proposals, write_picture

    boxes, targets, seconds = [], [], []
    with progress() as bar:
        proposals = propose(find, annotated(dataset))
        for number, proposed in enumerate(bar.track(proposals, total=len(dataset), description="proposing")):
            assert proposed.target is not None
            if number < NUM_DRAWN:
                file = out / f"{Path(proposed.file).stem}.jpg"
                write_picture(file, draw_proposals(proposed.image, proposed.boxes, proposed.target))
            boxes.append(proposed.boxes)
            targets.append(proposed.target)
            seconds.append(proposed.seconds)
    return proposal_quality(boxes, targets, seconds, max_proposals=max_proposals)


def _draw_pictures(find: "Propose", pictures: Path, out: Path, as_json: bool) -> None:
    """Draw the proposals of pictures, and report those that cannot be read."""
    from delineate.data.pairing import unread
    from delineate.deploy.pictures import decoded, each_picture
    from delineate.evaluation.proposals import propose
    from delineate.values import InputError
    from delineate.viz import draw_proposals, write_picture

    files = [Path(str(file)) for file in each_picture(pictures)]
    for line in unread(pictures) if pictures.is_dir() else ():
        say(line)
    if out.resolve() == (pictures if pictures.is_dir() else pictures.parent).resolve():
        raise InputError(f"out: {out} holds the pictures themselves; name another folder")
    files = [file for file in files if not file.resolve().is_relative_to(out.resolve())]
    names = result_names([pictures], files)
    unreadable = Unreadable()
    images = ((file, image, None) for file, image in decoded(files, unreadable))
    seconds = []
    with progress() as bar:
        for proposed in bar.track(propose(find, images), total=len(files), description="proposing"):
            write_picture(out / f"{names[proposed.file]}.jpg", draw_proposals(proposed.image, proposed.boxes))
            seconds.append(proposed.seconds)
            if as_json:
                height, width = proposed.image.shape[-2:]
                record = {"file": proposed.file, "height": height, "width": width, "boxes": proposed.boxes.tolist()}
                print_json({**record, "seconds": proposed.seconds})
    if not as_json and seconds:
        print_line(
            f"{len(seconds)} pictures, [bold green]{sum(seconds) / len(seconds):.3f} s[/] a picture; "
            f"they are drawn in [bold]{escape(str(out))}[/]"
        )
    if unreadable.count:
        raise typer.Exit(2)

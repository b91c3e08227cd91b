"""`delineate convert` and `delineate synth` write data sets."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from delineate.cli.options import AsJson, SkipUnreadable
from delineate.cli.output import print_json, print_line, say
from delineate.values import formats


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="Folder to read, or the .json file of a COCO data set.")
    ],
    destination: Annotated[Path, typer.Argument(metavar="DST", help="Folder to write.")],
    to: Annotated[str, typer.Option(help=f"Format to write: {formats.WRITTEN}.", show_default=False)],
    source_format: Annotated[
        str | None, typer.Option("--from", help=f"Format of SRC: {formats.READ}. Recognised by itself if not given.")
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(min=1, help="Put so many pictures into each of several tar archives (with --to coco)."),
    ] = None,
    skip_unreadable: SkipUnreadable = False,
    as_json: AsJson = False,
) -> None:
    """Convert a data set to another format, and list what that format cannot hold."""
    from delineate.data import convert as convert_dataset
    from delineate.data.counting import take_census
    from delineate.data.formats import read_dataset, splits

    losses = convert_dataset(
        source, destination, to, source_format, skip_unreadable=skip_unreadable, shard_size=shard_size
    )
    for split in splits(source, source_format):
        say(take_census(read_dataset(source, split, source_format), skip_unreadable=True).line(split))
    if as_json:
        print_json({"source": str(source), "destination": str(destination), "format": to, "losses": losses})
        return
    for line in losses:
        print_line(f"[yellow]not kept:[/] {escape(line)}")
    print_line(f"{escape(str(destination))}: written as {to}" + ("" if losses else "; nothing was lost"))


def synth(
    destination: Annotated[
        Path, typer.Argument(metavar="DST", help="Folder to write the data set to, in COCO's format.")
    ],
    num_images: Annotated[
        int, typer.Option(min=3, help="How many pictures; a fifth of them become the split val.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pictures.")] = 0,
    image_size: Annotated[tuple[int, int], typer.Option(help="Height and width of a picture in pixels.")] = (128, 128),
    single: Annotated[bool, typer.Option("--single", help="Draw just one object in each picture.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a synthetic data set: textured shapes with boxes, masks, keypoints and label maps."""
    from delineate.data import synthesise

    synthesise(destination, num_images=num_images, seed=seed, image_size=image_size, single=single)
    if as_json:
        print_json({"destination": str(destination), "num_images": num_images, "seed": seed})
        return
    name = escape(str(destination))
    print_line(f"{name}: {num_images} pictures; try `delineate train unet {name} --minutes 3`")

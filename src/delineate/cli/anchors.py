"""`delineate anchors DATA`: the shapes of a data set's objects."""

from pathlib import Path
from typing import Annotated

import typer

from delineate.cli.output import AsJson, print_json, print_line, print_table, table


def anchors(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder (or COCO .json) of labelled pictures.")],
    count: Annotated[int, typer.Option("-k", "--count", min=1, help="How many anchors.")] = 5,
    image_size: Annotated[
        int, typer.Option(min=1, help="Side in pixels of the square that pictures are resized to.")
    ] = 416,
    split: Annotated[str, typer.Option(help="Split whose objects are looked at.")] = "train",
    format: Annotated[str | None, typer.Option(help="Layout of the data; found out if not given.")] = None,  # noqa: A002
    seed: Annotated[int, typer.Option(min=0, help="Of the shapes that k-means begins with.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Cluster the boxes of a data set into anchors, as `train yolov2` does by itself.

    They are found by k-means with 1 - IoU as the distance, so that large boxes count no more than small ones. The mean
    IoU says how well the anchors fit: try another -k, and take as few as fit well.
    """
    from delineate.data.anchors import find_anchors
    from delineate.data.preprocess import Preprocess
    from delineate.training.data import read_split

    dataset = read_split(data, split, "detect", format)
    found = find_anchors(dataset, Preprocess(size=(image_size, image_size)), count, seed=seed)
    if as_json:
        print_json(
            {
                "anchors": found.sizes.tolist(),
                "shares": found.shares.tolist(),
                "mean_iou": found.mean_iou,
                "num_objects": found.num_objects,
                "image_size": image_size,
            }
        )
        return
    rows = table("width", "height", "nearest to")
    for column in rows.columns:
        column.justify = "right"
    for (width, height), share in zip(found.sizes.tolist(), found.shares.tolist(), strict=True):
        rows.add_row(f"{width:.1f}", f"{height:.1f}", f"{share:.1%}")
    print_table(rows)
    print_line(
        f"[bold green]mean IoU {found.mean_iou:.4f}[/] of {found.num_objects:,} objects with the nearest anchor, "
        f"in pixels of pictures resized to {image_size} x {image_size}"
    )

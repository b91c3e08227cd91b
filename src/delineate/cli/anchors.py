"""`delineate anchors DATA` clusters the shapes of a data set's objects."""

from typing import Annotated

import typer

from delineate.cli.options import AsJson, Data, Format, SkipUnreadable
from delineate.cli.output import print_json, print_line, print_table, say, table


def anchors(
    data: Data,
    count: Annotated[int, typer.Option("-k", "--count", min=1, help="How many anchors to make.")] = 5,
    image_size: Annotated[
        int,
        typer.Option(min=1, help="Side of the square that YOLOv2 resizes pictures to; anchors are in its pixels."),
    ] = 416,
    split: Annotated[str, typer.Option(help="Part of the data set whose objects are measured.")] = "train",
    data_format: Format = None,
    skip_unreadable: SkipUnreadable = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random shapes that the clustering starts from.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Cluster the boxes of a data set into anchors: the typical shapes that YOLOv2 starts from.

    `train yolov2` does the same by itself. The clustering is k-means with 1 - IoU (intersection over union) as the
    distance, so that large boxes count no more than small ones. The mean IoU says how well the anchors fit: try another
    -k, and take as few as fit well.
    """
    from delineate.data.anchors import find_anchors
    from delineate.data.preprocess import Preprocess
    from delineate.data.splits import looked_over, read_split
    from delineate.system.tasks import DETECT

    dataset = read_split(data, split, DETECT, data_format)
    notes = list(dataset.problems)
    dataset = looked_over(dataset, notes, skip_unreadable=skip_unreadable)
    for line in notes:
        say(line)
    clusters = find_anchors(dataset, Preprocess(size=(image_size, image_size)), count, seed=seed)
    if as_json:
        print_json(
            {
                "anchors": clusters.sizes.tolist(),
                "shares": clusters.shares.tolist(),
                "mean_iou": clusters.mean_iou,
                "num_objects": clusters.num_objects,
                "image_size": image_size,
            }
        )
        return
    rows = table(numbers=("width", "height", "nearest to"))
    for (width, height), share in zip(clusters.sizes.tolist(), clusters.shares.tolist(), strict=True):
        rows.add_row(f"{width:.1f}", f"{height:.1f}", f"{share:.1%}")
    print_table(rows)
    print_line(
        f"[bold green]mean IoU {clusters.mean_iou:.4f}[/] of {clusters.num_objects:,} objects with the nearest anchor, "
        f"in pixels of pictures resized to {image_size} x {image_size}"
    )

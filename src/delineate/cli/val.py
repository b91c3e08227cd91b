"""`delineate val RUN DATA`: how good a run is on a split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from delineate.cli.output import AsJson, Device, headline, number, print_json, print_line, print_table, progress, table


def val(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a training run, or a .safetensors file of one.")
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder (or COCO .json) of labelled pictures.")],
    split: Annotated[str, typer.Option(help="Split to measure on.")] = "val",
    data_format: Annotated[
        str | None, typer.Option("--format", help="Layout of the data; found out if not given.")
    ] = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read pictures.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Measure a run's best weights on a split of a data set, at the original size of every picture."""
    from delineate.training import evaluate_run

    with progress() as bar:
        evaluation = evaluate_run(
            run,
            data,
            split,
            format=data_format,
            device=device,
            num_workers=workers,
            watch=lambda batches: bar.track(batches, description="measuring"),
        )
    if as_json:
        print_json(
            {"metrics": evaluation.metrics, "protocol": evaluation.protocol, "num_images": evaluation.num_images}
        )
        return
    print_table(class_table(evaluation.per_class))
    print_line(headline(evaluation.metrics))
    print_line(f"[dim]{evaluation.num_images} pictures; {evaluation.protocol}[/]")


def class_table(per_class: Mapping[str, Mapping[str, float]]) -> Table:
    """A row a class, a column a metric."""
    columns = list(dict.fromkeys(name for metrics in per_class.values() for name in metrics))
    rows = table("class", *columns)
    for column in rows.columns[1:]:
        column.justify = "right"
    for name, metrics in per_class.items():
        rows.add_row(escape(name), *(number(metrics.get(column)) for column in columns))
    return rows

"""`delineate calibrate RUN [DATA]` chooses from which score on objects of each class are taken."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from delineate.cli.operating import found_by
from delineate.cli.options import (
    OVERLAP,
    AsJson,
    ClassAgnostic,
    Device,
    Format,
    MaxCandidates,
    MaxDetections,
    NmsIou,
    Overlap,
    OwnSplit,
    RunOrExport,
    SkipUnreadable,
    Tile,
    Workers,
)
from delineate.cli.output import print_json, print_line, print_table, progress, say, table

if TYPE_CHECKING:
    from delineate.system.operating import Estimate, OperatingPoints


def calibrate(
    run: RunOrExport,
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="Folder of labelled pictures; if not given, the run's own."),
    ] = None,
    aim: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="AIM",
            help="What the scores are chosen for: f1, precision=0.9 (as many objects as can be found while 90 % of the "
            "detections are right), recall=0.95 (the reverse), or cost=5:1 (a missed object costs 5 times as much as a "
            "false detection).",
        ),
    ] = "f1",
    split: OwnSplit = None,
    data_format: Format = None,
    skip_unreadable: SkipUnreadable = False,
    nms_iou: NmsIou = None,
    max_candidates: MaxCandidates = None,
    max_detections: MaxDetections = None,
    class_agnostic: ClassAgnostic = False,
    tile: Tile = None,
    overlap: Overlap = OVERLAP,
    device: Device = "auto",
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Choose from which score on a detector's objects are taken, class by class, on pictures it was not trained on.

    The scores are kept beside the weights of the run, or in the export, in operating_points.json with the curves they
    were chosen on, and drawn in operating_points.png. From then on `predict`, `serve`, `explain` and the report
    of `val` take them where no other score is given, and exports that are made of the run have them. Where these are to
    find objects otherwise, such as in tiles, calibrate with the same options. Ranges in brackets hold for other
    pictures of the same kind, 19 times in 20.
    """
    from delineate.deploy.tiling import in_tiles
    from delineate.evaluation import source_of
    from delineate.evaluation.operating import Aim, calibrate_run
    from delineate.evaluation.operating.drawing import draw_points
    from delineate.values import InputError

    chosen_for = Aim.read(aim)
    limits = {
        "nms_iou": nms_iou,
        "max_candidates": max_candidates,
        "max_detections": max_detections,
        "class_agnostic": class_agnostic,
    }
    if data is None and data_format is not None:
        raise InputError("format: the run knows that of its own data; leave it out, or name DATA")
    with progress() as bar:
        calibrated = calibrate_run(
            run,
            source_of(run, data, split, data_format),
            chosen_for,
            found_by=found_by(limits, tile, overlap),
            find=None if tile is None else lambda system: in_tiles(system, tile, overlap),
            skip_unreadable=skip_unreadable,
            device=device,
            num_workers=workers,
            say=say,
            watch=lambda batches: bar.track(batches, description="measuring"),
        )
    points, picture = calibrated.points, calibrated.file.with_suffix(".png")
    draw_points(points, picture)
    if as_json:
        print_json({"file": str(calibrated.file), "picture": str(picture), **_summary(points)})
        return
    _print(points)
    print_line(f"kept in [bold]{escape(str(calibrated.file))}[/]; open [bold]{escape(str(picture))}[/]")


def _summary(points: "OperatingPoints") -> dict[str, object]:
    """Give all but the curves, which are in the file."""
    classes = {name: point.model_dump(exclude={"curve"}) for name, point in points.classes.items()}
    facts = points.model_dump(
        include={"aim", "data", "num_pictures", "trained_on", "error", "calibrated_error", "found_by"}
    )
    return {**facts, "classes": classes}


def _print(points: "OperatingPoints") -> None:
    rows = table("class", numbers=("from score", "precision", "recall", "F1", "objects"))
    for name, point in points.classes.items():
        values = (point.score, point.precision, point.recall, point.f1)
        rows.add_row(escape(name), *map(_ranged, values), f"{point.num_objects:,}")
    print_table(rows)
    print_line(
        f"[dim]chosen for {points.aim} on {points.num_pictures} pictures of {escape(points.data)}, of objects found "
        f"{points.way}, at an IoU of 0.50. "
        f"A score differs from the share that is right by {points.error:.3f} on average, and by "
        f"{points.calibrated_error:.3f} with `predict --calibrate-scores`[/]"
    )


def _ranged(one: "Estimate") -> str:
    return f"{one.value:.2f} ({one.low:.2f}–{one.high:.2f})"

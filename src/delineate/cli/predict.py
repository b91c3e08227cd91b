"""`delineate predict RUN PATHS` writes results of pictures as files and lines."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from delineate.cli.options import AsJson, Device, MaxCandidates, MaxDetections, NmsIou, Run
from delineate.cli.output import Unreadable, print_json, print_line, progress, say

if TYPE_CHECKING:
    from delineate.deploy import Predicted
    from delineate.values import Categories

MAX_OVERLAY = 4096
"""The longer side, in pixels, up to which results are drawn pixel for pixel."""
MIN_SCORE = 0.5


def predict(
    run: Run,
    paths: Annotated[list[Path], typer.Argument(metavar="PATHS...", help="Pictures, and folders of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder to write the results to.")] = Path("predictions"),
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cut pictures that are larger than this many pixels a side into square tiles of that size, and join "
            "their results. For segmentation systems only.",
        ),
    ] = None,
    overlap: Annotated[int, typer.Option(min=0, help="Pixels by which neighbouring tiles overlap.")] = 64,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help=f"Leave out objects that score less; {MIN_SCORE} if not given. For detectors only."
        ),
    ] = None,
    nms_iou: NmsIou = None,
    max_candidates: MaxCandidates = None,
    max_detections: MaxDetections = None,
    detector: Annotated[
        Path | None,
        typer.Option(
            help="For a pose regressor, which takes a picture for one body: the run of a detector that first finds all "
            "bodies, so that each is cut out and posed by itself. Without it, each whole picture is one body."
        ),
    ] = None,
    weights: Annotated[
        Literal["best", "last"],
        typer.Option(help="Use the weights that were best in validation, or those at the end of the training."),
    ] = "best",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Find in pictures what a run learned to find.

    Pictures with their results drawn on them go to OUT/overlays, label maps to OUT/label_maps. With --json nothing is
    drawn, and one JSON object a picture is printed, each on a line, with boxes, names, scores, and where the system
    gives them masks (COCO RLE) and keypoints. A picture that cannot be read is reported and passed over, and the exit
    code is then 2. Earlier results in OUT are not taken for pictures.
    """
    from delineate.data.pairing import unread
    from delineate.deploy import Predictor, TopDown
    from delineate.deploy.pictures import each_picture
    from delineate.viz import illegible

    predictor: Predictor | TopDown = Predictor.load(run, device=device, weights=weights)
    if detector is not None:
        assert isinstance(predictor, Predictor)
        predictor = TopDown(predictor, Predictor.load(detector, device=device))
    if min_score is None and (isinstance(predictor, TopDown) or predictor.system.task.finds_many):
        min_score = MIN_SCORE
    for line in () if as_json else illegible(predictor.categories.class_names):
        say(line)
    earlier = [(out / kind).resolve() for kind in ("label_maps", "overlays")]
    files = [file for file in each_picture(paths) if isinstance(file, Path)]
    for line in (line for path in paths if path.is_dir() for line in unread(path)):
        say(line)
    files = [file for file in files if not any(file.resolve().is_relative_to(results) for results in earlier)]
    unreadable = Unreadable()
    start, num_done = time.perf_counter(), 0
    names = result_names(paths, files)
    with progress() as bar:
        task = bar.add_task("predicting", total=len(files))
        results = predictor.predict(
            files,
            min_score=min_score,
            nms_iou=nms_iou,
            max_candidates=max_candidates,
            max_detections=max_detections,
            tile=None if tile is None else (tile, tile),
            overlap=overlap,
            unreadable=unreadable,
        )
        for predicted in results:
            record = _write(predicted, predictor.categories, out, names[predicted.file], overlay=not as_json)
            if as_json:
                print_json(record)
            num_done += 1
            bar.update(task, completed=num_done + unreadable.count)
    if not as_json:
        failed = f", [red]{unreadable.count} could not be read[/]" if unreadable.count else ""
        seconds = time.perf_counter() - start
        print_line(f"{num_done} pictures in {seconds:.1f} s{failed}; the results are in [bold]{escape(str(out))}[/]")
    if unreadable.count:
        raise typer.Exit(2)


def result_names(paths: Sequence[Path], files: Sequence[Path]) -> dict[str, Path]:
    """Name each picture by its path below the folder given, without suffix, numbered where two are alike."""
    folders = [path for path in paths if path.is_dir()]
    names: dict[str, Path] = {}
    numbers: Counter[Path] = Counter()
    for file in dict.fromkeys(files):
        folder = next((folder for folder in folders if file.is_relative_to(folder)), file.parent)
        name = free = file.relative_to(folder).with_suffix("")
        while numbers[free]:
            numbers[name] += 1
            free = name.with_name(f"{name.name}-{numbers[name]}")
        numbers[free] += 1
        names[str(file)] = free
    return names


def _write(predicted: "Predicted", categories: "Categories", out: Path, name: Path, overlay: bool) -> dict[str, Any]:
    """Write a picture's results below `out`, and return its record."""
    from delineate.data.files import write_label_map
    from delineate.deploy import prediction_record
    from delineate.values import LabelMap
    from delineate.viz import draw_target, fitted, write_picture

    label_map_file = None
    if isinstance(predicted.prediction, LabelMap):
        label_map_file = out / "label_maps" / f"{name}.png"
        write_label_map(label_map_file, predicted.prediction.label_map)
    if overlay:
        image, prediction = fitted(predicted.image, predicted.prediction, largest=MAX_OVERLAY)
        write_picture(out / "overlays" / f"{name}.jpg", draw_target(image, prediction, categories))
    return prediction_record(predicted.prediction, categories, file=predicted.file, label_map_file=label_map_file)

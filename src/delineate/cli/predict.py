"""`delineate predict RUN PATHS` writes results of pictures as files and lines."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from delineate.cli.options import AsJson, Device, MaxCandidates, MaxDetections, NmsIou, RunOrExport
from delineate.cli.output import Unreadable, print_json, print_line, progress, say
from delineate.values import InputError

if TYPE_CHECKING:
    from delineate.deploy.predictor import Predicted, PredictOptions
    from delineate.deploy.results import Results
    from delineate.values import Categories

MAX_OVERLAY = 4096
"""The longer side, in pixels, up to which results are drawn pixel for pixel."""
MIN_SCORE = 0.5
MAX_WORKERS = 4
"""More threads hinder each other where they run Python."""


def _there(paths: list[Path]) -> list[Path]:
    """Raise `InputError` where nothing is there before anything else is done; single pictures may be missing."""
    if not any(path.exists() for path in paths):
        raise InputError(f"{paths[0]}: there is no such picture or folder")
    return paths


def predict(
    run: RunOrExport,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATHS...", callback=_there, help="Pictures, and folders of pictures."),
    ],
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
    layout: Annotated[
        Literal["coco", "yolo", "voc", "csv"] | None,
        typer.Option(
            "--format",
            help="Write the results as COCO's results.json, which is what it does if not given, as YOLO's labels, as "
            "Pascal VOC's Annotations, or as results.csv with a line for each object.",
        ),
    ] = None,
    overlays: Annotated[
        bool, typer.Option("--overlays/--no-overlays", help="Draw the results on the pictures, in OUT/overlays.")
    ] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Drop the results that OUT has, instead of passing over what is done.")
    ] = False,
    batch_size: Annotated[
        int, typer.Option(min=1, help="How many pictures of one resized size go through the network together.")
    ] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Threads that read pictures ahead of the network, and as many that draw and write behind it; if not "
            f"given, as many as cores, at most {MAX_WORKERS}. With 0 all is done in turn.",
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        typer.Option(
            help="Numbers to compute with. bf16 is faster where the device has instructions for it, and changes scores "
            "by about a hundredth; auto takes it there."
        ),
    ] = "fp32",
    optimise: Annotated[
        bool,
        typer.Option(
            "--optimise",
            help="Take the fastest form of the run on this CPU that gives its results: as it is, compiled, or in "
            "OpenVINO. It is looked for the first time, which takes minutes, and kept in RUN/optimised.",
        ),
    ] = False,
    weights: Annotated[
        Literal["best", "last"],
        typer.Option(help="Use the weights that were best in validation, or those at the end of the training."),
    ] = "best",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Find in pictures what a run learned to find.

    The results go to OUT: results.json in COCO's format or what --format says, pictures with the results drawn on them
    in overlays, label maps in label_maps. Called again with the same OUT, it passes over what is done. With --json
    nothing is drawn or passed over, and one JSON object a picture is printed, each on a line, with boxes, names,
    scores, and where the system gives them masks (COCO RLE) and keypoints. A picture that cannot be read is reported
    and passed over, and the exit code is then 2. Earlier results in OUT are not taken for pictures.
    """
    from delineate.data.pairing import unread
    from delineate.deploy import Predictor, TopDown
    from delineate.deploy.pipeline import in_order
    from delineate.deploy.writing import check_format, write_results
    from delineate.io.machine import num_cores

    if as_json and (layout or again):
        raise InputError(f"{'format' if layout else 'again'}: with --json results are printed, not kept; leave one out")
    form: Literal["auto"] | None = "auto" if optimise else None
    alone = Predictor.load(run, device=device, weights=weights, precision=precision, optimise=form)
    check_format(layout or "coco", alone.system.task)
    predictor: Predictor | TopDown = alone
    if detector is not None:
        predictor = TopDown(alone, Predictor.load(detector, device=device, precision=precision))
    if min_score is None and (detector is not None or alone.system.task.finds_many):
        min_score = MIN_SCORE
    overlays = overlays and not as_json
    for line in _illegible(predictor.categories) if overlays else ():
        say(line)
    for line in (line for path in paths if path.is_dir() for line in unread(path)):
        say(line)
    options: PredictOptions = {
        "min_score": min_score,
        "nms_iou": nms_iou,
        "max_candidates": max_candidates,
        "max_detections": max_detections,
        "tile": None if tile is None else (tile, tile),
        "overlap": overlap,
    }
    kept = None
    if not as_json:
        computing = {"bf16": alone.system.in_bf16, "optimise": optimise}
        kept = _kept(out, run, weights, detector, {**options, **computing}, again)
    files, unreadable, start = _new(paths, out, kept), Unreadable(), time.perf_counter()
    workers = min(num_cores(), MAX_WORKERS) if workers is None else workers
    options |= {"batch_size": batch_size, "workers": workers, "unreadable": unreadable}
    num_objects = 0
    with progress() as bar:
        task = bar.add_task("predicting", total=len(files))
        jobs = (
            partial(_write, found, predictor.categories, out, files[Path(found.file)][1], overlays)
            for found in predictor.predict(list(files), **options)
        )
        for num_written, write in enumerate(in_order(jobs, workers, 2 * workers, at_once=True), start=1):
            record = write()
            num_objects += len(record.get("boxes", ()))
            if kept is None:
                print_json(record)
            else:
                below, name = files[Path(record["file"])]
                kept.add(Path(record["file"]), name, below, record)
            bar.update(task, completed=num_written + unreadable.count)
    if kept is not None:
        written, lost = write_results(kept, predictor.categories, out, layout or "coco", alone.system.task)
        for line in lost:
            say(line)
        num_done = len(files) - unreadable.count
        if num_done and not num_objects and alone.system.task.finds_many:
            say(f"no object scored {min_score} or more; --min-score lowers that")
        _print_summary(num_done, unreadable.count, time.perf_counter() - start, written)
    if unreadable.count:
        raise typer.Exit(2)


def _illegible(categories: "Categories") -> list[str]:
    from delineate.viz import illegible

    return illegible(categories.class_names)


def _kept(out: Path, run: Path, weights: str, detector: Path | None, options: dict[str, Any], again: bool) -> "Results":
    """Find what earlier calls of the same run and options left in OUT."""
    from delineate.deploy.results import Results, made_by

    said = {} if detector is None else {"detector": made_by(_known_by(detector, "best"))}
    return Results(out, made_by(_known_by(run, weights), **options, **said), again=again)


def _known_by(run: Path, weights: str) -> Path:
    """Name the file by which a run is known: its weights, or the record of an export."""
    from delineate.artefact import is_export
    from delineate.io.runs import RECORD, find_checkpoint

    return run / RECORD if is_export(run) else find_checkpoint(run, weights)


def _new(paths: Sequence[Path], out: Path, kept: "Results | None") -> dict[Path, tuple[Path, Path]]:
    """Find the pictures that are not done yet, each with its path below the folder given and the name of its results.

    What earlier calls wrote into OUT is no picture.
    """
    from delineate.deploy.pictures import each_picture

    own = [(out / kind).resolve() for kind in ("label_maps", "overlays")]
    files = [Path(str(file)) for file in dict.fromkeys(each_picture(paths))]
    files = [file for file in files if not any(file.resolve().is_relative_to(folder) for folder in own)]
    new = [file for file in files if kept is None or str(file.absolute()) not in kept.names]
    if len(new) < len(files):
        say(f"{len(files) - len(new)} of {len(files)} pictures were done before; --again does them anew")
    names = result_names(paths, new, () if kept is None else kept.names.values())
    return {file: (_below(paths, file), names[str(file)]) for file in new}


def _print_summary(num_done: int, num_unreadable: int, seconds: float, written: Path) -> None:
    speed = f" ({num_done / seconds:.1f} a second)" if num_done else ""
    failed = f", [red]{num_unreadable} could not be read[/]" if num_unreadable else ""
    print_line(
        f"{num_done} pictures in {seconds:.1f} s{speed}{failed}; the results are in [bold]{escape(str(written))}[/]"
    )


def _below(paths: Sequence[Path], file: Path) -> Path:
    """Give a picture's path below the folder that was given, or its name where it was given itself."""
    folder = next((path for path in paths if file != path and file.is_relative_to(path)), file.parent)
    return file.relative_to(folder)


def result_names(paths: Sequence[Path], files: Sequence[Path], taken: Iterable[str] = ()) -> dict[str, Path]:
    """Name each picture by its path below the folder given, without suffix, numbered where two are alike or `taken`."""
    names: dict[str, Path] = {}
    numbers = Counter(Path(name) for name in taken)
    for file in dict.fromkeys(files):
        name = free = _below(paths, file).with_suffix("")
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

    label_map_file = None
    if isinstance(predicted.prediction, LabelMap):
        label_map_file = out / "label_maps" / f"{name}.png"
        write_label_map(label_map_file, predicted.prediction.label_map)
    if overlay:
        _write_overlay(predicted, categories, out / "overlays" / f"{name}.jpg")
    return prediction_record(predicted.prediction, categories, file=predicted.file, label_map_file=label_map_file)


def _write_overlay(predicted: "Predicted", categories: "Categories", file: Path) -> None:
    from delineate.viz import draw_target, fitted, write_picture
    from delineate.viz.scaling import READABLE

    image, prediction = fitted(predicted.image, predicted.prediction, smallest=READABLE, largest=MAX_OVERLAY)
    write_picture(file, draw_target(image, prediction, categories))

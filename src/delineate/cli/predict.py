"""`delineate predict RUN PATHS` writes results of pictures and videos as files and lines."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from delineate.cli.operating import found_by, known_by, points_of, taken_from, usual_score
from delineate.cli.options import (
    OVERLAP,
    AsJson,
    ClassAgnostic,
    Device,
    MaxCandidates,
    MaxDetections,
    NmsIou,
    Overlap,
    RunOrExport,
)
from delineate.cli.output import Unreadable, say
from delineate.cli.predict_options import (
    MAX_WORKERS,
    Address,
    Again,
    BatchSize,
    CalibrateScores,
    Detector,
    Engine,
    Ids,
    Layout,
    MinScore,
    Optimise,
    Out,
    Overlays,
    Paths,
    Precision,
    Shard,
    Tile,
    Track,
    Weights,
    Workers,
)
from delineate.cli.predicting import Work, predict_all
from delineate.cli.predicting_shards import check_shards, predict_shards
from delineate.values import InputError

if TYPE_CHECKING:
    from delineate.deploy.predictor import PredictOptions


def predict(
    run: RunOrExport,
    paths: Paths,
    out: Out = "predictions",
    tile: Tile = None,
    overlap: Overlap = OVERLAP,
    min_score: MinScore = None,
    calibrate_scores: CalibrateScores = False,
    nms_iou: NmsIou = None,
    max_candidates: MaxCandidates = None,
    max_detections: MaxDetections = None,
    class_agnostic: ClassAgnostic = False,
    detector: Detector = None,
    layout: Layout = None,
    track: Track = False,
    ids: Ids = None,
    overlays: Overlays = True,
    again: Again = False,
    shard: Shard = None,
    engine: Engine = None,
    address: Address = None,
    batch_size: BatchSize = 1,
    workers: Workers = None,
    precision: Precision = "fp32",
    optimise: Optimise = False,
    weights: Weights = "best",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Find in pictures and videos what a run learned to find.

    The results go to OUT: results.json in COCO's format or what --format says, pictures with the results drawn on them
    in overlays, label maps in label_maps. Called again with the same OUT, it passes over what is done. With --json
    nothing is drawn or passed over, and one JSON object a picture is printed, each on a line, with boxes, names,
    scores, and where the system gives them masks (COCO RLE) and keypoints. A picture that cannot be read is reported
    and passed over, and the exit code is then 2. Earlier results in OUT are not taken for pictures.

    The results of a video go to OUT/NAME, a line of results.jsonl for each frame, with its number and its seconds; of a
    stream, until it ends or Ctrl-C ends it.

    With --format parquet any number of pictures is predicted, in parts that may be done by processes of any scheduler,
    or by an --engine: each part is one file in OUT, which is whole or not there. A picture that cannot be read is a row
    with an error there, and the exit code is 0.
    """
    from delineate.data.pairing import unread
    from delineate.deploy import Predictor, TopDown
    from delineate.deploy.batch import ColumnPredictor
    from delineate.deploy.writing import check_format
    from delineate.io.machine import num_cores
    from delineate.io.sources import expanded
    from delineate.viz import illegible

    in_shards = layout == "parquet"
    if as_json and (layout or again):
        raise InputError(f"{'format' if layout else 'again'}: with --json results are printed, not kept; leave one out")
    check_shards(in_shards, {"shard": shard, "engine": engine, "address": address}, {"ids": ids, "track": track})
    files = [] if in_shards else expanded(map(Path, paths))
    form: Literal["auto"] | None = "auto" if optimise else None
    alone = Predictor.load(run, device=device, weights=weights, precision=precision, optimise=form)
    if layout != "parquet":
        check_format(layout or "coco", alone.system.task, ids)
    predictor: Predictor | TopDown = alone
    if detector is not None:
        predictor = TopDown(alone, Predictor.load(detector, device=device, precision=precision))
    finder = alone.system if isinstance(predictor, Predictor) else predictor.detector.system
    if min_score is None or calibrate_scores:
        limits = {
            "nms_iou": nms_iou,
            "max_candidates": max_candidates,
            "max_detections": max_detections,
            "class_agnostic": class_agnostic,
        }
        by = (run, weights) if detector is None else (detector, "best")
        lines = taken_from(*by, finder.unlike(found_by(limits, tile, overlap)))
        for line in lines if min_score is None else lines[1:]:  # what shares were measured on, with another score, too
            say(line)
    if min_score is None:
        min_score = usual_score(finder, track=track)
    overlays = overlays and not as_json and not in_shards
    for line in illegible(predictor.categories.class_names) if overlays else ():
        say(line)
    for line in (line for path in files if path.is_dir() for line in unread(path)):
        say(line)
    options: PredictOptions = {
        "min_score": min_score,
        "nms_iou": nms_iou,
        "max_candidates": max_candidates,
        "max_detections": max_detections,
        "class_agnostic": class_agnostic or None,
        "tile": None if tile is None else (tile, tile),
        "overlap": overlap,
    }
    computing = {
        "bf16": alone.system.in_bf16,
        "optimise": optimise,
        "calibrate_scores": calibrate_scores or None,
        "operating_points": points_of(finder) if min_score is None else None,
    }
    made_by = None if as_json or in_shards else _made_by(run, weights, detector, {**options, **computing})
    workers, unreadable = min(num_cores(), MAX_WORKERS) if workers is None else workers, Unreadable()
    choices: PredictOptions = {
        **options,
        "calibrate_scores": calibrate_scores,
        "batch_size": batch_size,
        "workers": workers,
    }
    if layout == "parquet":
        find = ColumnPredictor(
            run, detector=detector, device=device, weights=weights, precision=precision, optimise=form, **choices
        )
        of_shards = {**options, **computing, "weights": _digest(run, weights), "detector": _digest(detector, "best")}
        predict_shards(predictor, find, paths, out, of_shards, shard=shard, engine=engine, address=address, again=again)
        return
    work = Work(
        predictor=predictor,
        task=alone.system.task,
        out=Path(out),
        layout=layout or "coco",
        ids=ids,
        overlays=overlays,
        options={**choices, "unreadable": unreadable},
        made_by=made_by,
        again=again,
        unreadable=unreadable,
    )
    predict_all(work, files, track=track)
    if unreadable.count:
        raise typer.Exit(2)


def _made_by(run: Path, weights: str, detector: Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Say what results follow from, so that others are not added to them."""
    from delineate.deploy.results import made_by

    said = {} if detector is None else {"detector": made_by(known_by(detector, "best"))}
    return made_by(known_by(run, weights), **options, **said)


def _digest(run: Path | None, weights: str) -> str | None:
    """Give the SHA-256 by which other machines know a run, too."""
    from delineate.system.operating import fingerprint

    return None if run is None else fingerprint(known_by(run, weights))

"""`delineate predict` has these arguments and options beside those that it shares with other commands."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from delineate.values.thresholds import MIN_SCORE

MAX_WORKERS = 4
"""More threads hinder each other where they run Python."""

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATHS...",
        help="Pictures, folders of pictures, videos, patterns ('films/*.mp4'), lists of names (.txt), a camera's "
        "number, and - for a video or JPEGs at standard input. With --format parquet also tables with a column path or "
        "bytes (.csv, .jsonl, .parquet), tar shards, and URLs of all these (s3://, gs://, https://).",
    ),
]
Out = Annotated[str, typer.Option(help="Folder to write the results to; with --format parquet also a URL.")]
Tile = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Cut pictures that are larger than this many pixels a side into square tiles of that size, and join "
        "their results, of detectors with those of the whole picture. Large TIFFs are read tile by tile.",
    ),
]
MinScore = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Leave out objects that score less; if not given, what `delineate calibrate` chose for each class, or "
        f"{MIN_SCORE}. For detectors only.",
    ),
]
CalibrateScores = Annotated[
    bool,
    typer.Option(
        "--calibrate-scores",
        help="Give as score the share of such detections that is right, as `delineate calibrate` measured it.",
    ),
]
Detector = Annotated[
    Path | None,
    typer.Option(
        help="For a pose regressor, which takes a picture for one body: the run of a detector that first finds all "
        "bodies, so that each is cut out and posed by itself. Without it, each whole picture is one body."
    ),
]
Layout = Annotated[
    Literal["coco", "yolo", "voc", "csv", "parquet"] | None,
    typer.Option(
        "--format",
        "--out-format",
        help="Write the results as COCO's results.json, which is what it does if not given, as YOLO's labels, as "
        "Pascal VOC's Annotations, as results.csv with a line for each object, or as parquet: for any number of "
        "pictures, a row for each, in one file for each shard; nothing is drawn then.",
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="K/N",
        help="For --format parquet, cut the pictures into N parts and predict the K-th, from 1 to N; N alone predicts "
        "one part after the other. Parts that are done are passed over.",
    ),
]
Engine = Annotated[
    Literal["ray"] | None,
    typer.Option(help="For --format parquet, let the actors of this engine predict the parts, on all machines it has."),
]
Address = Annotated[
    str | None, typer.Option(help="Address of the cluster for --engine; this machine alone if not given.")
]
Track = Annotated[
    bool,
    typer.Option("--track", help="Give objects identities that they keep from frame to frame. For videos only."),
]
Ids = Annotated[
    Path | None,
    typer.Option(
        help="For --format coco, a COCO file that has these pictures: results.json is then the list of results "
        "that COCO's server takes, with the numbers of that file."
    ),
]
Overlays = Annotated[
    bool,
    typer.Option(
        "--overlays/--no-overlays",
        help="Draw the results on the pictures, in OUT/overlays, and on a video's frames, in OUT/NAME/drawn.mp4.",
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Drop the results that OUT has, instead of passing over what is done.")
]
BatchSize = Annotated[
    int, typer.Option(min=1, help="How many pictures of one resized size go through the network together.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Threads that read pictures ahead of the network, and as many that draw and write behind it; if not "
        f"given, as many as cores, at most {MAX_WORKERS}. With 0 all is done in turn.",
    ),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16"],
    typer.Option(
        help="Numbers to compute with. bf16 is faster where the device has instructions for it, and changes scores "
        "by about a hundredth; auto takes it there."
    ),
]
Optimise = Annotated[
    bool,
    typer.Option(
        "--optimise",
        help="Take the fastest form of the run on this CPU that gives its results: as it is, compiled, or in "
        "OpenVINO. It is looked for the first time, which takes minutes, and kept in RUN/optimised.",
    ),
]
Weights = Annotated[
    Literal["best", "last"],
    typer.Option(help="Use the weights that were best in validation, or those at the end of the training."),
]

"""What is predicted of pictures and of videos is written as files, or printed as lines."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from delineate.cli.output import Unreadable, print_json, print_line, progress, say
from delineate.io.sources import is_camera, is_stream, is_video
from delineate.values import InputError

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from torch import Tensor

    from delineate.deploy import PredictedFrame, Predictor, TopDown
    from delineate.deploy.predictor import Predicted, PredictOptions
    from delineate.deploy.results import Results
    from delineate.deploy.writing import Format
    from delineate.values import Categories, Prediction, Task

MAX_OVERLAY = 4096
"""The longer side, in pixels, up to which results are drawn pixel for pixel."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The same is done with every picture and video: a system with its options predicts, and results go to `out`.

    `made_by` is what they follow from; without it they are printed.
    """

    predictor: "Predictor | TopDown"
    task: "Task"
    out: Path
    layout: "Format"
    ids: Path | None
    overlays: bool
    options: "PredictOptions"
    made_by: Mapping[str, Any] | None
    again: bool
    unreadable: Unreadable

    @property
    def categories(self) -> "Categories":
        return self.predictor.categories

    @property
    def workers(self) -> int:
        return self.options["workers"]


def predict_all(work: Work, paths: Sequence[Path], *, track: bool) -> None:
    """Predict pictures and videos; a video that cannot be read is reported and passed over, as a picture is.

    Raises `InputError` where there is nothing to track.
    """
    videos = [path for path in paths if is_video(path)]
    if track and not videos:
        raise InputError("track: identities are kept from frame to frame, and there is no video; leave it out")
    if len(videos) < len(paths):
        predict_pictures(work, [path for path in paths if not is_video(path)])
    names = result_names(paths, videos)
    for path in videos:
        try:
            predict_video(work, path, work.out / (_stream_name(work.out, path) or names[str(path)]), track=track)
        except InputError as error:
            if len(paths) == 1:
                raise
            work.unreadable(error)


def predict_pictures(work: Work, paths: Sequence[Path]) -> None:
    """Predict pictures, and those in folders, that are not done yet."""
    from delineate.deploy.pipeline import in_order
    from delineate.deploy.results import Results

    kept = None if work.made_by is None else Results(work.out, work.made_by, again=work.again)
    files, start, failed, num_objects = _new(paths, work.out, kept), time.perf_counter(), work.unreadable.count, 0
    with progress() as bar:
        task = bar.add_task("predicting", total=len(files))
        jobs = (
            partial(_write, work, found, files[Path(found.file)][1])
            for found in work.predictor.predict(list(files), **work.options)
        )
        for num_written, write in enumerate(in_order(jobs, work.workers, 2 * work.workers, at_once=True), start=1):
            record = write()
            num_objects += len(record.get("boxes", ()))
            if kept is None:
                print_json(record)
            else:
                below, name = files[Path(record["file"])]
                kept.add(Path(record["file"]), name, below, record)
            bar.update(task, completed=num_written + work.unreadable.count - failed)
    if kept is not None:
        failed = work.unreadable.count - failed
        _end(work, kept, work.out, len(files) - failed, num_objects, failed, time.perf_counter() - start, "picture")


def predict_video(work: Work, path: Path, folder: Path, *, track: bool) -> None:
    """Predict the frames of a video, a camera or standard input.

    The results are in the folder when all frames are done; those of a stream when it ends, or is ended by Ctrl-C.
    """
    from delineate.deploy.results import FrameResults

    kept = None if work.made_by is None else FrameResults(folder, {**work.made_by, "video": str(path), "track": track})
    start, done = time.perf_counter(), Counter[str]()
    if kept is not None and kept.file.exists() and not work.again and not is_stream(path):
        kept.check()
        say(f"{path}: was done before; --again does it anew")
    else:
        with nullcontext(print_json) if kept is None else kept.written() as add:
            _predict_frames(work, path, folder, add, done, track)
    if kept is not None:
        _end(work, kept, folder, done["frames"], done["objects"], 0, time.perf_counter() - start, "frame")


def _predict_frames(
    work: Work, path: Path, folder: Path, add: Callable[[dict[str, Any]], None], done: Counter[str], track: bool
) -> None:
    """Give the record of frame after frame to `add`, draw them, and count what is `done`."""
    from delineate.deploy.pipeline import in_order
    from delineate.deploy.video import open_video, video_file

    with ExitStack() as stack:
        video = stack.enter_context(open_video(path))
        draw = stack.enter_context(video_file(folder / "drawn.mp4", video.rate) if work.overlays else nullcontext())
        bar = stack.enter_context(progress())
        task = bar.add_task(f"predicting {video.name}", total=video.num_frames or None)
        frames = work.predictor.predict_video(video, track=track, **work.options)
        jobs = (partial(_write_frame, work, frame, folder, video.name) for frame in frames)
        try:
            for write in in_order(jobs, work.workers, 2 * work.workers, at_once=True):
                record, drawn = write()
                add(record)
                if draw is not None and drawn is not None:
                    draw(drawn, record["seconds"])
                done.update(frames=1, objects=len(record.get("boxes", ())))
                bar.update(task, completed=done["frames"])
        except KeyboardInterrupt:
            if not is_stream(path):  # a video that is stopped is not done
                raise


def _stream_name(out: Path, path: Path) -> str | None:
    """Name the folder of a stream, each time another one; a file is no stream."""
    if not is_stream(path):
        return None
    name = f"camera-{path}" if is_camera(path) else "stream"
    number = next(number for number in count(1) if not (out / f"{name}-{number}").exists())
    return f"{name}-{number}"


def _end(
    work: Work,
    kept: Iterable[dict[str, Any]],
    folder: Path,
    num_done: int,
    num_objects: int,
    num_unreadable: int,
    seconds: float,
    noun: str,
) -> None:
    """Write what was kept in the format that was asked for, and say what was done."""
    from delineate.deploy.writing import write_results

    written, lost = write_results(kept, work.categories, folder, work.layout, work.task, work.ids)
    for line in lost:
        say(line)
    if num_done and not num_objects and work.task.finds_many:
        least = work.options["min_score"]
        say(f"no object scored {'what its class needs' if least is None else least} or more; --min-score lowers that")
    speed = f" ({num_done / seconds:.1f} a second)" if num_done else ""
    failed = f", [red]{num_unreadable} could not be read[/]" if num_unreadable else ""
    print_line(
        f"{num_done} {noun}s in {seconds:.1f} s{speed}{failed}; the results are in [bold]{escape(str(written))}[/]"
    )


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


def _write(work: Work, found: "Predicted", name: Path) -> dict[str, Any]:
    """Write a picture's results below OUT, and return its record."""
    from delineate.viz import write_picture

    if work.overlays:
        write_picture(work.out / "overlays" / f"{name}.jpg", _drawn(work, found.image, found.prediction))
    return _record(work, found.prediction, found.file, work.out / "label_maps" / f"{name}.png")


def _write_frame(
    work: Work, frame: "PredictedFrame", folder: Path, video: str
) -> "tuple[dict[str, Any], UInt8[Tensor, '3 h w'] | None]":
    """Write the label map of a frame, and return its record and what is drawn of it."""
    name = f"{frame.number:06d}"
    record = _record(work, frame.prediction, video, folder / "label_maps" / f"{name}.png")
    record |= {"frame": frame.number, "seconds": round(frame.seconds, 6), "name": name, "file_name": f"{video}/{name}"}
    return record, _drawn(work, frame.image, frame.prediction) if work.overlays else None


def _record(work: Work, prediction: "Prediction", file: str, label_map_file: Path) -> dict[str, Any]:
    from delineate.data.files import write_label_map
    from delineate.deploy import prediction_record
    from delineate.values import LabelMap

    if isinstance(prediction, LabelMap):
        write_label_map(label_map_file, prediction.label_map)
    return prediction_record(prediction, work.categories, file=file, label_map_file=label_map_file)


def _drawn(work: Work, image: "UInt8[Tensor, '3 h w']", prediction: "Prediction") -> "UInt8[Tensor, '3 h2 w2']":
    from delineate.viz import draw_target, fitted
    from delineate.viz.scaling import READABLE

    return draw_target(*fitted(image, prediction, smallest=READABLE, largest=MAX_OVERLAY), work.categories)

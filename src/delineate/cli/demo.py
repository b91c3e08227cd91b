"""`delineate demo`: from nothing to a report of a trained network in a few minutes."""

import os
import platform
import shutil
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from delineate.cli.output import AsJson, number, print_json, print_line, progress, stderr

if TYPE_CHECKING:
    from torch import Tensor

    from delineate.data import Dataset
    from delineate.deploy import Predictor
    from delineate.training import Evaluation, TrainingResult, TrainingSettings
    from delineate.viz import Report

MARK = ".delineate-demo"
SPLITS = {"train": 0.88, "val": 0.04, "test": 0.08}
NUM_IMAGES, IMAGE_SIZE = 3000, (96, 96)
SYSTEM = "unet"
ARGUMENTS = {"backbone": "plain", "width": 16}
SETTINGS: dict[str, Any] = {"batch_size": 16, "learning_rate": 3e-3, "scale": (0.8, 1.25), "crop_size": IMAGE_SIZE}
NUM_SHOWN = 8
CURVES = ("epoch", "loss", "mIoU", "pixel_accuracy")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything; an earlier demo there is replaced.")] = Path(
        "runs/demo"
    ),
    minutes: Annotated[float, typer.Option(min=0.01, help="Time to train for.")] = 2.5,
    num_images: Annotated[int, typer.Option(min=50, help="How many synthetic pictures.")] = NUM_IMAGES,
    seed: Annotated[int, typer.Option(min=0, help="Of the pictures and the training.")] = 0,
    as_json: AsJson = False,
) -> None:
    """See a network learn to label pictures: synthetic pictures, training, results, and a report to open."""
    from delineate.data import read_dataset, synthesise
    from delineate.deploy import Predictor
    from delineate.training import TrainingSettings, evaluate_run, train
    from delineate.viz import write_report

    start = time.perf_counter()
    _clear(out)
    _say(1, f"{num_images} synthetic pictures into {out / 'data'}")
    synthesise(out / "data", num_images=num_images, seed=seed, image_size=IMAGE_SIZE, splits=SPLITS)

    _say(2, f"training {SYSTEM} for {minutes:g} minutes")
    settings = TrainingSettings(
        model=SYSTEM, data=out / "data", arguments=ARGUMENTS, minutes=minutes, out=out / "run", seed=seed, **SETTINGS
    )
    result = train(settings)

    _say(3, "measuring on the test split, which neither trained nor chose the weights")
    with progress() as bar:
        evaluation = evaluate_run(
            result.folder, out / "data", "test", watch=lambda batches: bar.track(batches, description="measuring")
        )

    _say(4, "predicting, and writing the report")
    predictor = Predictor.load(result.folder)
    pictures = _pictures(predictor, read_dataset(out / "data", "test"), out / "predictions")
    command = f"delineate demo --minutes {minutes:g} --num-images {num_images} --seed {seed}"
    report = _report(result, evaluation, pictures, settings, command, time.perf_counter() - start)
    write_report(out / "report.html", report)
    if as_json:
        print_json(
            {"metrics": evaluation.metrics, "num_images": evaluation.num_images, "report": str(out / "report.html")}
        )
        return
    name, value = next(iter(evaluation.metrics.items()))
    print_line(
        f"[bold green]{name} {number(value)}[/] on {evaluation.num_images} pictures it never saw; "
        f"open [bold]{escape(str(out / 'report.html'))}[/]"
    )


def _clear(out: Path) -> None:
    """Make the demo's folder; raises `InputError` for one with something else in it."""
    from delineate.structures import InputError

    if out.is_dir() and (out / MARK).exists():
        shutil.rmtree(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: has something in it that is no demo; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def _say(step: int, what: str) -> None:
    stderr.print(f"[bold cyan]{step}/4[/] {escape(what)}")


def _pictures(predictor: "Predictor", dataset: "Dataset", folder: Path) -> list[tuple[str, "Tensor"]]:
    """Some pictures beside truth and prediction: each as a file, all as a grid."""
    from delineate.structures import LabelMap
    from delineate.viz import comparison_grid, draw_label_map, write_picture

    rows = []
    for index in range(min(NUM_SHOWN, len(dataset))):
        image, truth = dataset[index].image, dataset[index].target.label_map
        (prediction,) = predictor(image)
        assert truth is not None
        assert isinstance(prediction, LabelMap)
        maps = (truth, prediction.label_map)
        rows.append([image, *(draw_label_map(image, label_map, dataset.categories) for label_map in maps)])
        write_picture(folder / f"{Path(dataset.files[index]).stem}.png", rows[-1][-1])
    return [("Pictures that it never saw", comparison_grid(rows, categories=dataset.categories))]


def _report(
    result: "TrainingResult",
    evaluation: "Evaluation",
    pictures: list[tuple[str, "Tensor"]],
    settings: "TrainingSettings",
    command: str,
    seconds: float,
) -> "Report":
    from delineate import __version__
    from delineate.training import Run
    from delineate.viz import Report

    facts = {
        "system": settings.model + "".join(f", {name} {value}" for name, value in settings.arguments.items()),
        "data": f"synthetic pictures of {IMAGE_SIZE[1]} x {IMAGE_SIZE[0]} pixels, seed {settings.seed}",
        "training": f"{settings.minutes:g} minutes, {result.pictures:,} pictures seen",
        "measured on": f"{evaluation.num_images} pictures of the split test; {evaluation.protocol}",
        "whole demo": f"{seconds:.0f} seconds",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "delineate": f"{__version__}, {datetime.now():%Y-%m-%d}",
    }
    history = Run.open(result.folder).read_metrics()
    return Report(
        title="A network learned to label pictures",
        summary="The demo of delineate: synthetic pictures were made, a network was trained on them from scratch, "
        "and then measured on others, which it had not seen.",
        headline={name: value for name, value in evaluation.metrics.items() if "/" not in name},
        facts=facts,
        command=command,
        history=[{name: row[name] for name in CURVES if name in row} for row in history],
        per_class=evaluation.per_class,
        confusion=evaluation.confusion,
        confusion_names=evaluation.names,
        pictures=pictures,
    )

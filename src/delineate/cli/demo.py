"""`delineate demo` goes from nothing to a report of a trained network in a few minutes."""

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from delineate.cli.options import AsJson
from delineate.cli.output import number, print_json, print_line, progress, stderr

if TYPE_CHECKING:
    from delineate.evaluation.report import Measured
    from delineate.training import TrainingResult, TrainingSettings

MARK = ".delineate-demo"
SPLITS = {"train": 0.86, "val": 0.04, "test": 0.1}
NUM_IMAGES, IMAGE_SIZE = 2400, (96, 96)
SYSTEM = "mask_rcnn"
ARGUMENTS: dict[str, Any] = {"backbone": "resnet10t", "width": 48, "anchor_size": 12, "num_rois": 64}
SETTINGS: dict[str, Any] = {
    "batch_size": 8,
    "learning_rate": 3e-3,
    "crop_size": IMAGE_SIZE,
    "scale": (1.0, 1.0),  # a picture is seen about twice: that is too rare to gain from changing it
    "colour": 0.0,
}
HEADLINE = {"AP50": "box AP50", "mask_AP50": "mask AP50"}


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write everything to; an earlier demo in it is replaced.")] = Path(
        "runs/demo"
    ),
    minutes: Annotated[float, typer.Option(min=0.01, help="Minutes to train for.")] = 2.5,
    num_images: Annotated[int, typer.Option(min=50, help="How many synthetic pictures to make.")] = NUM_IMAGES,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the pictures and of the training.")] = 0,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            help="Fine-tune the backbone whose ImageNet weights are in this file, NAME.safetensors or NAME.pth with "
            "timm's NAME, instead of training from scratch."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """See a network learn to find objects: synthetic pictures, training, results, and a report to open."""
    from delineate.data import synthesise
    from delineate.deploy import Predictor
    from delineate.evaluation import Source, evaluate, evaluation_data
    from delineate.evaluation.report import Measured
    from delineate.training import TrainingSettings, train

    start = time.perf_counter()
    own, begin = _begun_with(backbone_weights)
    _clear(out)
    _say(1, f"{num_images} synthetic pictures into {out / 'data'}")
    synthesise(out / "data", num_images=num_images, seed=seed, image_size=IMAGE_SIZE, splits=SPLITS)

    _say(2, f"training {SYSTEM} for {minutes:g} minutes")
    settings = TrainingSettings(
        model=SYSTEM,
        data=out / "data",
        arguments={**ARGUMENTS, **own},
        minutes=minutes,
        out=out / "run",
        seed=seed,
        **{**SETTINGS, **begin},
    )
    result = train(settings)

    _say(3, "measuring on the test split, which neither trained nor chose the weights")
    system = Predictor.load(result.folder).system
    dataset = evaluation_data(system, Source(out / "data", "test")).dataset
    with progress() as bar:
        evaluation = evaluate(system, dataset, watch=lambda batches: bar.track(batches, description="measuring"))

    _say(4, "drawing, and writing the report")
    measured = Measured(evaluation=evaluation, dataset=dataset, system=system)
    command = f"delineate demo --minutes {minutes:g} --num-images {num_images} --seed {seed}"
    command += f" --backbone-weights {backbone_weights}" if backbone_weights else ""
    _write_report(out, measured, result, settings, command, start)
    if as_json:
        print_json(
            {"metrics": evaluation.metrics, "num_images": evaluation.num_images, "report": str(out / "report.html")}
        )
        return
    values = "   ".join(f"{name} {number(evaluation.metrics[metric])}" for metric, name in HEADLINE.items())
    print_line(
        f"[bold green]{values}[/] on {evaluation.num_images} pictures it never saw; "
        f"open [bold]{escape(str(out / 'report.html'))}[/]"
    )


def _begun_with(weights: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the options and the settings of a training that begins with weights, none where there are none."""
    if weights is None:
        return {}, {}
    from delineate.nn.backbones import weights_at

    ((backbone, file),) = list(weights_at(weights, str(weights)).items())[:1]
    return {"backbone": backbone}, {"backbone_weights": file}


def _clear(out: Path) -> None:
    """Make the demo's folder; raises `InputError` for one with something else in it."""
    from delineate.values import InputError

    if out.is_dir() and (out / MARK).exists():
        shutil.rmtree(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: has something in it that is no demo; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def _say(step: int, text: str) -> None:
    stderr.print(f"[bold cyan]{step}/4[/] {escape(text)}")


def _write_report(
    out: Path,
    measured: "Measured",
    result: "TrainingResult",
    settings: "TrainingSettings",
    command: str,
    start: float,
) -> None:
    """Write the report, and the predictions in it as files; `start` is when the demo began."""
    from delineate.evaluation.report import machine_facts, report_parts, system_fact
    from delineate.training import Run, curves
    from delineate.viz import Report, write_picture, write_report

    begun = "from ImageNet weights" if settings.backbone_weights else "from scratch"
    rows = measured.rows()
    for file, row in rows.items():
        write_picture(out / "predictions" / f"{Path(file).stem}.png", row[-1])
    evaluation = measured.evaluation
    report = Report(
        title="A network learned to find objects",
        summary=f"The demo of delineate: synthetic pictures were made, a network was trained on them {begun} to find "
        "objects with their boxes and masks, and then measured on others, which it had not seen.",
        facts={
            "system": system_fact(settings.model, settings.arguments),
            "data": f"synthetic pictures of {IMAGE_SIZE[1]} x {IMAGE_SIZE[0]} pixels, seed {settings.seed}",
            "training": f"{settings.minutes:g} minutes, {result.pictures:,} pictures seen",
            "measured on": f"{evaluation.num_images} pictures of the split test",
            "whole demo": f"{time.perf_counter() - start:.0f} seconds",
            **machine_facts(),
        },
        command=command,
        history=curves(Run.open(result.folder).read_metrics()),
        **report_parts(measured, rows),
    )
    write_report(out / "report.html", report)

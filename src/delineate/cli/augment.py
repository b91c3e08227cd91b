"""`delineate augment DATA` draws what training will see of a data set."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from delineate.cli.click import Context
from delineate.cli.options import Data
from delineate.cli.output import print_line
from delineate.cli.schema import schema
from delineate.cli.train import settings_options

OTHERS = ("format", "train_split", "seed")
"""Settings of other panels that say which pictures are drawn, and which chances."""

Model = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="MODEL",
        help="System that is to be trained; if not given, mask_rcnn, ssd or unet, by what the data have.",
    ),
]
Out = Annotated[Path, typer.Option(help="PNG or JPEG file to draw to.")]
Num = Annotated[int, typer.Option("-n", "--num", min=1, help="Pictures, at equal distances in the data set.")]
Epochs = Annotated[int, typer.Option(min=1, help="Epochs, in each of which a picture is another one.")]


def _augment(context: Context, data: Path, model: str | None, out: Path, num: int, epochs: int, **values: Any) -> None:
    """Draw what training will see: some pictures as they are, and as they come in each epoch, with their annotations.

    All options are those of `train`, and do what they do there; what is not given is the system's own.
    """
    from delineate.training import TrainingSettings
    from delineate.training.showing import shown, usual_model
    from delineate.viz import comparison_grid, draw_target, fitted, write_picture
    from delineate.viz.scaling import READABLE

    sources = {name: context.get_parameter_source(name) for name in values}
    given = {name: values[name] for name, source in sources.items() if source and source.name != "DEFAULT"}
    name = model or usual_model(data, given.get("train_split", "train"), given.get("format"))
    categories, pictures = shown(TrainingSettings(model=name, data=data, **given), num, epochs)
    rows = [
        [
            draw_target(*fitted(sample.image, sample.target, smallest=READABLE, largest=1024), categories)
            for sample in (one.picture, *one.varied)
        ]
        for one in pictures
    ]
    titles = ("picture", *(f"epoch {epoch}" for epoch in range(1, epochs + 1)))
    write_picture(out, comparison_grid(rows, titles=titles))
    print_line(f"what {name} sees of {escape(str(data))} in training is drawn in [bold]{escape(str(out))}[/]")


def _signature() -> inspect.Signature:
    fields = {
        name: facts
        for name, facts in schema()["settings"].items()
        if facts["panel"] == "Augmentation" or name in OTHERS
    }
    own: dict[str, tuple[Any, Any]] = {
        "data": (Data, inspect.Parameter.empty),
        "model": (Model, None),
        "out": (Out, Path("augmented.png")),
        "num": (Num, 4),
        "epochs": (Epochs, 3),
    }
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [
            inspect.Parameter("context", kind, annotation=Context),
            *(inspect.Parameter(name, kind, annotation=hint, default=default) for name, (hint, default) in own.items()),
            *(parameter for name, facts in fields.items() for parameter in settings_options(name, facts, {})),
        ]
    )


def augment(**values: Any) -> None:  # noqa: D103 (typer shows the other's)
    _augment(**values)


augment.__doc__ = _augment.__doc__
augment.__signature__ = _signature()  # type: ignore[attr-defined]
augment.__annotations__ = {name: one.annotation for name, one in _signature().parameters.items()}

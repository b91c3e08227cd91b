"""`delineate train MODEL DATA` is one command a system, made from its preset's signature and `TrainingSettings`."""

import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from rich.markup import escape
from typer.core import TyperGroup

from delineate.cli.click import Context
from delineate.cli.options import AsJson, Data
from delineate.cli.output import headline, print_json, print_line

if TYPE_CHECKING:
    from delineate.training import TrainingResult

NOT_OPTIONS = ("model", "data", "arguments")
LONGEST_CHOICES = 20
"""Letters of all choices together, from which on they leave too little space to the help beside them."""


class Systems(TyperGroup):
    """The systems of the catalog are commands, made when asked for: the catalog takes seconds to import."""

    def list_commands(self, ctx: Context) -> list[str]:  # type: ignore[override]
        from delineate.system.catalog import CATALOG

        return list(CATALOG)

    def get_command(self, ctx: Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Make a command with a title alone, which is all that the list of systems needs."""
        return _command(cmd_name, lambda: None)

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:  # type: ignore[override]
        name, *rest = args
        return name, _command(name, train_command(name)), rest


train_app = typer.Typer(
    cls=Systems, invoke_without_command=True, subcommand_metavar="MODEL DATA [OPTIONS]", rich_markup_mode="rich"
)


@train_app.callback()
def train(
    context: Context,
    resume: Annotated[
        Path | None, typer.Option(help="Folder of a run that was stopped or killed, to continue it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a system on a folder of labelled pictures, or continue a run.

    Each system has its own options: `delineate train unet --help`.
    """
    if context.invoked_subcommand is not None:
        return
    if resume is None:
        typer.echo(context.get_help())
        return
    from delineate.training import resume as resume_run

    _report(resume_run(resume), as_json)


def _command(name: str, function: Callable[..., None]) -> Any:
    from delineate.system.catalog import find_entry

    entry = find_entry(name)
    app = typer.Typer(rich_markup_mode="rich", add_completion=False)
    help_text, panel = f"Train {name}: {entry.title}.", entry.task.title
    app.command(name, help=help_text, short_help=entry.title, epilog=entry.paper, rich_help_panel=panel)(function)
    return typer.main.get_command(app)


def train_command(name: str) -> Callable[..., None]:
    """Make the function behind `delineate train NAME`, whose signature typer reads."""
    from delineate.system.catalog import find_entry, options
    from delineate.training import TrainingSettings
    from delineate.training import train as train_run

    own = {option: _own_option(name, parameter) for option, parameter in options(name).items()}
    fields = {field: info for field, info in TrainingSettings.model_fields.items() if field not in NOT_OPTIONS}
    recipe = find_entry(name).recipe
    assert not set(own) & set(fields), f"{name} and TrainingSettings share options"

    def train_system(context: Context, data: Path, as_json: bool, **values: Any) -> None:
        arguments = {option: values[option] for option in own}
        if values["weights"] is not None:  # the earlier run's options hold, but for those that are given
            arguments = {
                option: value
                for option, value in arguments.items()
                if context.get_parameter_source(option).name != "DEFAULT"  # type: ignore[union-attr]
            }
        settings = {field: values[field] for field in fields}
        settings |= {field: None for field in fields if values.get(f"no_{field}")}
        _report(train_run(TrainingSettings(model=name, data=data, arguments=arguments, **settings)), as_json)

    parameters = [
        _parameter("context", Context, inspect.Parameter.empty),
        _parameter("data", Data, inspect.Parameter.empty),
        *own.values(),
        *(
            parameter
            for field, info in fields.items()
            for parameter in _settings_options(field, info, recipe.get(field, info.default))
        ),
        _parameter("as_json", AsJson, False),
    ]
    train_system.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    train_system.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return train_system


def _own_option(system: str, parameter: inspect.Parameter) -> inspect.Parameter:
    """Make a preset's argument an option; the help is the `Doc` in the annotation."""
    annotation, help_text = parameter.annotation, None
    if get_origin(annotation) is Annotated:
        annotation, *notes = get_args(annotation)
        help_text = next((note.documentation for note in notes if hasattr(note, "documentation")), None)
    names = ["--" + parameter.name.replace("_", "-")] * (parameter.default is False)  # else there is a --no- form too
    metavar = None
    if get_origin(annotation) is Literal and len("".join(map(str, get_args(annotation)))) > LONGEST_CHOICES:
        metavar, help_text = "<name>", f"{help_text or ''} One of {', '.join(map(str, get_args(annotation)))}.".strip()
    option = typer.Option(*names, metavar=metavar, help=help_text, rich_help_panel=f"Options of {system}")
    return _parameter(parameter.name, Annotated[annotation, option], parameter.default)


def _settings_options(name: str, info: Any, default: Any) -> list[inspect.Parameter]:
    """Make a field of `TrainingSettings` an option; one that can be off, but is not, has a `--no-` form too."""
    flag = "--" + name.replace("_", "-")
    panel = info.json_schema_extra["panel"]
    names = (flag, f"--no-{flag[2:]}") if default is True else (flag,)
    option = typer.Option("/".join(names), help=info.description, rich_help_panel=panel)
    options = [_parameter(name, Annotated[info.annotation, option], default)]
    if info.default is not None and types.NoneType in get_args(info.annotation):
        off = typer.Option(f"--no-{flag[2:]}", help=f"Train without {flag}.", rich_help_panel=panel)
        options.append(_parameter(f"no_{name}", Annotated[bool, off], False))
    return options


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _report(result: "TrainingResult", as_json: bool) -> None:
    if as_json:
        results = {name: getattr(result, name) for name in ("metrics", "seconds", "pictures")}
        print_json({"run": str(result.folder), **results})
        return
    print_line(headline(result.metrics) if result.metrics else "nothing was measured")
    folder = escape(str(result.folder))
    print_line(f"[bold]{folder}[/]; use it: delineate predict {folder} PICTURES")

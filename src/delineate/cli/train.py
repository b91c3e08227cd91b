"""`delineate train MODEL DATA` is one command a system, made from the schema of its preset and `TrainingSettings`."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from delineate.cli.click import Context, UsageError
from delineate.cli.options import AsJson, Data, SkipUnreadable
from delineate.cli.output import headline, print_json, print_line
from delineate.cli.schema import Option, annotation, schema
from delineate.values.naming import nearest

if TYPE_CHECKING:
    from delineate.training import TrainingResult

LONGEST_CHOICES = 20
"""Letters of all choices together, from which on they leave too little space to the help beside them."""


class Systems(TyperGroup):
    """The systems are commands, made when asked for."""

    def list_commands(self, ctx: Context) -> list[str]:  # type: ignore[override]
        return list(schema()["systems"])

    def get_command(self, ctx: Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Make a command with a title alone, which is all that the list of systems needs."""
        return _command(cmd_name, lambda: None)

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:  # type: ignore[override]
        name, *rest = args
        return name, _command(name, train_command(name)), rest


train_app = typer.Typer(
    cls=Systems, invoke_without_command=True, subcommand_metavar="MODEL DATA [OPTIONS]", rich_markup_mode="rich"
)


Resume = Annotated[
    Path | None,
    typer.Option(help="Folder of a run that was stopped or killed, to continue it.", rich_help_panel="Run"),
]


@train_app.callback()
def train(
    context: Context,
    resume: Resume = None,
    skip_unreadable: SkipUnreadable = False,
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

    _report(resume_run(resume, **({"skip_unreadable": True} if skip_unreadable else {})), as_json)


def _command(name: str, function: Callable[..., None]) -> Any:
    system = schema()["systems"][name]
    app = typer.Typer(rich_markup_mode="rich", add_completion=False)
    help_text, panel = f"Train {name}: {system['title']}.", schema()["tasks"][system["task"]]
    app.command(name, help=help_text, short_help=system["title"], epilog=system["paper"], rich_help_panel=panel)(
        function
    )
    return typer.main.get_command(app)


def train_command(name: str) -> Callable[..., None]:
    """Make the function behind `delineate train NAME`, whose signature typer reads."""
    systems, fields = schema()["systems"], schema()["settings"]
    if name not in systems:
        near = nearest(name, systems) or list(systems)
        raise UsageError(f"'{name}' is not in the catalog; near: {', '.join(near)} (`delineate models` lists all)")
    own, recipe = systems[name]["options"], systems[name]["recipe"]
    assert not set(own) & set(fields), f"{name} and TrainingSettings share options"

    def train_system(context: Context, data: Path, resume: Path | None, as_json: bool, **values: Any) -> None:
        from delineate.training import TrainingSettings
        from delineate.training import resume as resume_run
        from delineate.training import train as train_run

        before = context.parent.params if context.parent else {}  # what stands before the system's name
        sources = {option: context.get_parameter_source(option) for option in values}
        given = {option: values[option] for option, source in sources.items() if source and source.name != "DEFAULT"}
        arguments = {option: value for option, value in given.items() if option in own}
        settings = {field: value for field, value in given.items() if field in fields}
        settings |= {field: None for field in fields if given.get(f"no_{field}")}
        settings |= {"skip_unreadable": True} if before.get("skip_unreadable") else {}
        settings |= {"model": name, "data": data, "arguments": arguments}
        run = resume or before.get("resume")
        result = train_run(TrainingSettings(**settings)) if run is None else resume_run(run, **settings)
        _report(result, as_json or before.get("as_json", False))

    parameters = [
        _parameter("context", Context, inspect.Parameter.empty),
        _parameter("data", Data, inspect.Parameter.empty),
        *(_own_option(option, facts) for option, facts in own.items()),
        *(parameter for field, facts in fields.items() for parameter in settings_options(field, facts, recipe)),
        _parameter("resume", Resume, None),
        _parameter("as_json", AsJson, False),
    ]
    train_system.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    train_system.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return train_system


def _own_option(name: str, facts: Option) -> inspect.Parameter:
    """Make a preset's argument an option."""
    names = [_flag(name)] * (facts["default"] is False)  # else there is a --no- form too
    metavar, help_text, choices = None, facts["help"], facts["choices"]
    if len("".join(choices)) > LONGEST_CHOICES:
        metavar, help_text = "<name>", f"{help_text} One of {', '.join(choices)}.".strip()
    option = typer.Option(*names, metavar=metavar, help=help_text, rich_help_panel=facts["panel"])
    return _parameter(name, Annotated[annotation(facts), option], facts["default"])


def settings_options(name: str, facts: Option, recipe: dict[str, Any]) -> list[inspect.Parameter]:
    """Make a field of `TrainingSettings` an option; one that can be off, but is not, has a `--no-` form too."""
    default = recipe.get(name, facts["default"])
    names = (_flag(name), _flag(f"no_{name}")) if default is True else (_flag(name),)
    option = typer.Option("/".join(names), help=facts["help"], rich_help_panel=facts["panel"])
    options = [_parameter(name, Annotated[annotation(facts), option], default)]
    if facts["optional"] and facts["default"] is not None:
        off = typer.Option(_flag(f"no_{name}"), help=f"Train without {_flag(name)}.", rich_help_panel=facts["panel"])
        options.append(_parameter(f"no_{name}", Annotated[bool, off], False))
    return options


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _report(result: "TrainingResult", as_json: bool) -> None:
    if result.rank != 0:
        return
    if as_json:
        results = {name: getattr(result, name) for name in ("metrics", "seconds", "pictures")}
        print_json({"run": str(result.folder), **results})
        return
    print_line(headline(result.metrics) if result.metrics else "nothing was measured")
    folder = escape(str(result.folder))
    print_line(f"[bold]{folder}[/]; measure it: delineate val {folder}; use it: delineate predict {folder} PICTURES")

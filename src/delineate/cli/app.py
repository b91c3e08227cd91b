"""The commands, and how the program ends: 0 well, 2 by a user's mistake in one line, 130 by Ctrl-C."""

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup

from delineate import __version__
from delineate.cli.anchors import anchors
from delineate.cli.click import Context, UsageError
from delineate.cli.compare import compare, report
from delineate.cli.convert import convert, synth
from delineate.cli.demo import demo
from delineate.cli.explain import explain
from delineate.cli.importing import import_weights
from delineate.cli.models import models
from delineate.cli.output import error_line
from delineate.cli.predict import predict
from delineate.cli.propose import propose
from delineate.cli.train import train_app
from delineate.cli.val import val

ORDER = (
    "demo",
    "models",
    "train",
    "val",
    "predict",
    "explain",
    "compare",
    "report",
    "propose",
    "import",
    "convert",
    "synth",
    "anchors",
)


class Commands(TyperGroup):
    """The commands are listed in the order that they are met in."""

    def list_commands(self, ctx: Context) -> list[str]:  # type: ignore[override]
        return sorted(self.commands, key=ORDER.index)


app = typer.Typer(
    cls=Commands,
    rich_markup_mode="rich",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel="Systems")(models)
app.add_typer(train_app, name="train", rich_help_panel="Systems")
app.command(rich_help_panel="Systems")(val)
app.command(rich_help_panel="Systems")(predict)
app.command(rich_help_panel="Systems")(explain)
app.command(rich_help_panel="Systems")(compare)
app.command(rich_help_panel="Systems")(report)
app.command(rich_help_panel="Systems")(propose)
app.command("import", rich_help_panel="Systems")(import_weights)
app.command(rich_help_panel="Data")(convert)
app.command(rich_help_panel="Data")(synth)
app.command(rich_help_panel="Data")(anchors)
app.command(rich_help_panel="Begin here")(demo)


def _print_version(asked: bool | None) -> None:
    if asked:
        typer.echo(f"delineate {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def delineate(
    context: Context,
    version: Annotated[
        bool | None, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = None,
) -> None:
    """Find things in pictures: train, check and compare every landmark system of the field on your own pictures."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    command = typer.main.get_command(app)
    try:
        status = command.main(arguments, prog_name="delineate", standalone_mode=False)
    except UsageError as error:
        error_line(error.format_message().replace("Value error, ", ""))  # type: ignore[attr-defined]
        return 2
    except ValueError as error:
        from delineate.values import InputError

        if not isinstance(error, InputError):
            raise
        error_line(str(error))
        return 2
    except OSError as error:
        if error.strerror is None:
            raise
        error_line(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return status if isinstance(status, int) else 0

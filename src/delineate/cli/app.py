"""The program runs a command, and ends with 0, with 2 and one line for a user's mistake, or with 130 by Ctrl-C."""

import sys
from collections.abc import Callable, Sequence
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

PANELS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Begin here": {"demo": demo},
    "Systems": {
        "models": models,
        "train": train_app,
        "val": val,
        "predict": predict,
        "explain": explain,
        "compare": compare,
        "report": report,
        "propose": propose,
        "import": import_weights,
    },
    "Data": {"convert": convert, "synth": synth, "anchors": anchors},
}
ORDER = [name for commands in PANELS.values() for name in commands]


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
for panel, commands in PANELS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)


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

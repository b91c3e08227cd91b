"""The program runs a command, and ends with 0, with 2 and one line for a user's mistake, or with 130 by Ctrl-C."""

import re
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from delineate import __version__
from delineate.cli.anchors import anchors
from delineate.cli.augment import augment
from delineate.cli.calibrate import calibrate
from delineate.cli.click import Context, UsageError
from delineate.cli.compare import compare, report
from delineate.cli.convert import convert, synth
from delineate.cli.demo import demo
from delineate.cli.doctor import doctor
from delineate.cli.explain import explain
from delineate.cli.export import check, export
from delineate.cli.importing import import_weights
from delineate.cli.label import label
from delineate.cli.models import models
from delineate.cli.output import error_line
from delineate.cli.predict import predict
from delineate.cli.propose import propose
from delineate.cli.serve import serve
from delineate.cli.split import split
from delineate.cli.train import train_app
from delineate.cli.val import val
from delineate.values import InputError, nearest

PANELS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Begin here": {"demo": demo},
    "Systems": {
        "models": models,
        "train": train_app,
        "val": val,
        "calibrate": calibrate,
        "predict": predict,
        "explain": explain,
        "compare": compare,
        "report": report,
        "propose": propose,
        "import": import_weights,
    },
    "Out of the library": {"export": export, "check": check, "serve": serve},
    "Data": {
        "doctor": doctor,
        "label": label,
        "augment": augment,
        "split": split,
        "convert": convert,
        "synth": synth,
        "anchors": anchors,
    },
}
ORDER = [name for commands in PANELS.values() for name in commands]


WORD = re.compile(r"\b(?!OPTIONS|COMMAND|ARGS)[A-Z]{3,}\b")
"""What stands for an argument in a line of usage."""


class Commands(TyperGroup):
    """The commands are listed in the order that they are met in."""

    def list_commands(self, ctx: Context) -> list[str]:  # type: ignore[override]
        return sorted(self.commands, key=ORDER.index)

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:  # type: ignore[override]
        name = args[0]
        if name not in self.commands and (near := nearest(name, self.commands)):
            raise UsageError(f"No such command '{name}'. Did you mean {_either(near)}?")
        return super().resolve_command(ctx, args)


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
        error_line(_with_hint(error))
        return 2
    except InputError as error:
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


def _with_hint(error: Any) -> str:
    """Give the message of wrong arguments; where there is no such option, with what was probably meant."""
    given, context = getattr(error, "option_name", None), error.ctx
    if given is None or context is None:
        message: str = error.format_message()
        return message.replace("Value error, ", "")
    flags = [flag for option in context.command.params for flag in (*option.opts, *option.secondary_opts)]
    names = {_key(flag): flag for flag in flags if flag.startswith("--")}
    usage = context.get_usage() + (context.parent.get_usage() if context.parent else "")
    names |= {word.lower(): f"{word}, without a name" for word in WORD.findall(usage) if word.lower() not in names}
    near = [names[name] for name in nearest(_key(given), names)]
    hint = f"did you mean {_either(near)}?" if near else f"`{context.command_path} --help` lists all"
    return f"No such option: {given}; {hint}"


def _key(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def _either(names: Sequence[str]) -> str:
    return " or ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)

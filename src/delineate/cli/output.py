"""Results go to stdout, everything else to stderr."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

stderr = Console(stderr=True, highlight=False)


def error_line(message: str) -> None:
    """Say in one line what the user can mend."""
    stderr.print("[bold red]error:[/] " + escape(" ".join(message.split())), soft_wrap=True)


def say(line: str) -> None:
    """Say what a user should know, but is no result."""
    stderr.print(escape(line), soft_wrap=True)


class Unreadable:
    """A picture that cannot be read is reported and counted, so that the command can go on, and fail in the end."""

    count = 0

    def __call__(self, error: Exception) -> None:
        self.count += 1
        error_line(str(error))


def print_json(value: Mapping[str, Any]) -> None:
    """Print one object on one line; NaN, which JSON has not, becomes null."""
    sys.stdout.write(json.dumps(_finite(value), allow_nan=False) + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Print a line of results for people."""
    Console(highlight=False, soft_wrap=True).print(text)


def table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """Make an empty table with a line under its head; the columns of `numbers` come last, flush right."""
    right = [Column(name, justify="right") for name in numbers]
    return Table(*columns, *right, box=box.SIMPLE_HEAD, pad_edge=False)


def print_table(rows: Table) -> None:
    """Print a table of results for people."""
    Console(highlight=False).print(rows)


def progress() -> Progress:
    """Make a bar on stderr that vanishes when done; nothing is shown where stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


def headline(metrics: Mapping[str, float]) -> str:
    """Write the main metrics in one line, the first one emphasised."""
    from delineate.metrics import main_metrics

    first, *rest = (f"{name} {number(value)}" for name, value in main_metrics(metrics).items())
    return "   ".join((f"[bold green]{first}[/]", *rest))


def number(value: float | None) -> str:
    """Write shares with four decimals, counts as they are, and `–` where a class does not occur."""
    if value is None or value != value:
        return "–"
    return f"{value:,.0f}" if abs(value) > 1 else f"{value:.4f}"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value

"""What typer has of click, which is in a place that differs between typer's versions."""

from typing import TYPE_CHECKING

import typer

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises for wrong arguments."""

if TYPE_CHECKING:
    Context = typer.Context
else:
    Context = typer.Context.__base__  # what typer passes is no `typer.Context`, whatever it documents

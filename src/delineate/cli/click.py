"""Two names of click are taken from typer, whose versions have them in different places."""

from typing import TYPE_CHECKING

import typer

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises for wrong arguments."""

if TYPE_CHECKING:
    Context = typer.Context
else:
    Context = typer.Context.__base__  # what typer passes is no `typer.Context`, whatever it documents

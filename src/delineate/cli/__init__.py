"""The command `delineate` reads arguments, calls the library, and prints."""

from delineate.cli.app import main

__all__ = ["main"]

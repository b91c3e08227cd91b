"""`python -m delineate` is the command `delineate`."""

from delineate.cli import main

main()

"""A trained system: what it is made of, how it is saved and loaded, and what it makes of pictures."""

from delineate.system.catalog import CATALOG, Entry, build, find_entry
from delineate.system.system import Prepared, System
from delineate.system.tasks import TASKS

__all__ = ["CATALOG", "TASKS", "Entry", "Prepared", "System", "build", "find_entry"]

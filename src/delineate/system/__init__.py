"""A trained system is one value: it is saved and loaded, and makes results of pictures."""

from delineate.system.catalog import CATALOG, Entry, build, find_entry
from delineate.system.system import Prepared, System
from delineate.system.tasks import TASKS

__all__ = ["CATALOG", "TASKS", "Entry", "Prepared", "System", "build", "find_entry"]

"""An exported system is used as the run that it came from: another runtime computes, and the same reader reads."""

from delineate.artefact.loading import is_export, load_artefact, load_system
from delineate.artefact.record import Record, read_record

__all__ = ["Record", "is_export", "load_artefact", "load_system", "read_record"]

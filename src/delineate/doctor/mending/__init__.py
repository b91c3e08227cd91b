"""What was found is mended in a copy: functions of objects, what becomes of files, and the list of changes."""

from delineate.doctor.mending.mend import CHANGES, mend
from delineate.doctor.mending.mends import Change

__all__ = ["CHANGES", "Change", "mend"]

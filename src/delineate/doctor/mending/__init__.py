"""What was found is mended in a copy: functions of objects, what becomes of files, lists of what was done and left."""

from delineate.doctor.mending.by_hand import ByHand
from delineate.doctor.mending.mend import BY_HAND, CHANGES, Mending, mend
from delineate.doctor.mending.mends import Change

__all__ = ["BY_HAND", "CHANGES", "ByHand", "Change", "Mending", "mend"]

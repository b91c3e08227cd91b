"""The doctor looks through a data set before an hour is spent on it: what is wrong, where, and what mends it."""

from delineate.doctor.examining import examine
from delineate.doctor.findings import Example, Finding, Findings
from delineate.doctor.kinds import KINDS
from delineate.doctor.mending import Change, mend
from delineate.doctor.page import write_page

__all__ = ["KINDS", "Change", "Example", "Finding", "Findings", "examine", "mend", "write_page"]

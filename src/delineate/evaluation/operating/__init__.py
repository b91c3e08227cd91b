"""Scores are calibrated: from which on objects are taken, and what they mean."""

from delineate.evaluation.operating.aims import Aim
from delineate.evaluation.operating.calibrate import Calibrated, calibrate, calibrate_run

__all__ = ["Aim", "Calibrated", "calibrate", "calibrate_run"]

"""Whole pictures: one backbone, and fully connected heads that say what and where the one object is."""

from delineate.models.regression.localizer import Localizer, localizer
from delineate.models.regression.pose import PoseRegressor, pose_regressor

__all__ = ["Localizer", "PoseRegressor", "localizer", "pose_regressor"]

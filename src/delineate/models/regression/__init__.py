"""One backbone and fully connected heads say what and where the one object of a whole picture is."""

from delineate.models.regression.localizer import Localizer, localizer
from delineate.models.regression.pose import PoseRegressor, pose_regressor

__all__ = ["Localizer", "PoseRegressor", "localizer", "pose_regressor"]

"""One backbone and fully connected heads say what and where the one object of a whole picture is."""

from delineate.models.regression.localizer import Localizer, LocalizerReader, localizer
from delineate.models.regression.pose import PoseReader, PoseRegressor, pose_regressor

READERS = (LocalizerReader, PoseReader)

__all__ = ["READERS", "Localizer", "PoseRegressor", "localizer", "pose_regressor"]

"""Trained systems are put to use: pictures in, results in the pictures' own coordinates out."""

from delineate.deploy.predictor import Predicted, Predictor
from delineate.deploy.records import prediction_record
from delineate.deploy.top_down import TopDown
from delineate.deploy.video import PredictedFrame, open_video

__all__ = ["Predicted", "PredictedFrame", "Predictor", "TopDown", "open_video", "prediction_record"]

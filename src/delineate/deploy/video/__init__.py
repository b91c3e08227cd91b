"""Videos, cameras and streams go in frame by frame; results, identities and drawn videos come out."""

from delineate.deploy.video.drawing import video_file
from delineate.deploy.video.predicting import PredictedFrame, predicted_frames
from delineate.deploy.video.reading import Frame, Video, VideoSource, open_video

__all__ = ["Frame", "PredictedFrame", "Video", "VideoSource", "open_video", "predicted_frames", "video_file"]

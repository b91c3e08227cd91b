"""One-stage systems run a backbone once a picture, and say at every place of the maps what stands in it."""

from delineate.models.one_stage.fcos import FCOS, FCOSReader, fcos
from delineate.models.one_stage.retinanet import RetinaNet, RetinaNetReader, retinanet
from delineate.models.one_stage.ssd import SSD, SSDReader, ssd, ssd300, ssd512
from delineate.models.one_stage.yolov1 import YOLOv1, YOLOv1Reader, yolov1
from delineate.models.one_stage.yolov2 import YOLOv2, YOLOv2Reader, yolov2

READERS = (YOLOv1Reader, YOLOv2Reader, SSDReader, RetinaNetReader, FCOSReader)

__all__ = [
    "FCOS",
    "READERS",
    "SSD",
    "RetinaNet",
    "YOLOv1",
    "YOLOv2",
    "fcos",
    "retinanet",
    "ssd",
    "ssd300",
    "ssd512",
    "yolov1",
    "yolov2",
]

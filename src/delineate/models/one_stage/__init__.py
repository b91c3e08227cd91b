"""One-stage systems run a backbone once a picture, and say at every place of the maps what stands in it."""

from delineate.models.one_stage.fcos import FCOS, fcos
from delineate.models.one_stage.retinanet import RetinaNet, retinanet
from delineate.models.one_stage.ssd import SSD, ssd, ssd300, ssd512
from delineate.models.one_stage.yolov1 import YOLOv1, yolov1
from delineate.models.one_stage.yolov2 import YOLOv2, yolov2

__all__ = [
    "FCOS",
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

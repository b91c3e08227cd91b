"""Set prediction: queries that answer for objects one to one, without anchors and without NMS."""

from delineate.models.queries.detr import DETR, DETRReader, detr, detr_small
from delineate.models.queries.rtdetr import RTDETR, RTDETRReader, rtdetr

READERS = (DETRReader, RTDETRReader)

__all__ = ["DETR", "READERS", "RTDETR", "detr", "detr_small", "rtdetr"]

"""Set prediction: queries that answer for objects one to one, without anchors and without NMS."""

from delineate.models.queries.detr import DETR, detr, detr_small
from delineate.models.queries.rtdetr import RTDETR, rtdetr

__all__ = ["DETR", "RTDETR", "detr", "detr_small", "rtdetr"]

"""Set prediction: queries that answer for objects one to one, without anchors and without NMS."""

from delineate.models.queries.detr import DETR, detr, detr_small

__all__ = ["DETR", "detr", "detr_small"]

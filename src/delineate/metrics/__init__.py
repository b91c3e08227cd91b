"""How well predictions agree with the truth."""

from delineate.metrics.segmentation import PROTOCOL, confusion_matrix, segmentation_metrics

__all__ = ["PROTOCOL", "confusion_matrix", "segmentation_metrics"]

"""How well predictions agree with the truth."""

from delineate.metrics.coco import PROTOCOL as COCO_PROTOCOL
from delineate.metrics.coco import CocoEvaluation, by_content
from delineate.metrics.detection import (
    PictureMistakes,
    PrecisionRecall,
    detection_confusion,
    precision_recall,
    worst_pictures,
)
from delineate.metrics.errors import ErrorBreakdown, error_breakdown
from delineate.metrics.localization import PROTOCOL as LOCALIZATION_PROTOCOL
from delineate.metrics.localization import LocalizationEvaluation
from delineate.metrics.pose import PROTOCOL as POSE_PROTOCOL
from delineate.metrics.pose import PoseEvaluation
from delineate.metrics.proposals import average_recall, mean_average_best_overlap, proposal_recall
from delineate.metrics.segmentation import PROTOCOL as SEGMENTATION_PROTOCOL
from delineate.metrics.segmentation import SegmentationEvaluation, confusion_matrix, segmentation_metrics
from delineate.metrics.summary import main_metrics
from delineate.metrics.voc import PROTOCOL as VOC_PROTOCOL
from delineate.metrics.voc import voc_metrics

__all__ = [
    "COCO_PROTOCOL",
    "LOCALIZATION_PROTOCOL",
    "POSE_PROTOCOL",
    "SEGMENTATION_PROTOCOL",
    "VOC_PROTOCOL",
    "CocoEvaluation",
    "ErrorBreakdown",
    "LocalizationEvaluation",
    "PictureMistakes",
    "PoseEvaluation",
    "PrecisionRecall",
    "SegmentationEvaluation",
    "average_recall",
    "by_content",
    "confusion_matrix",
    "detection_confusion",
    "error_breakdown",
    "main_metrics",
    "mean_average_best_overlap",
    "precision_recall",
    "proposal_recall",
    "segmentation_metrics",
    "voc_metrics",
    "worst_pictures",
]

"""Metrics say how well predictions agree with the truth."""

from delineate.metrics.coco import COCO_PROTOCOL, CocoEvaluation, by_content
from delineate.metrics.detection import (
    OperatingPoint,
    PictureMistakes,
    Verdicts,
    best_f1,
    detection_confusion,
    judge,
    of_all_classes,
    precision_recall,
    worst_pictures,
)
from delineate.metrics.errors import error_breakdown
from delineate.metrics.localization import LOCALIZATION_PROTOCOL, LocalizationEvaluation
from delineate.metrics.pose import POSE_PROTOCOL, PoseEvaluation
from delineate.metrics.proposals import average_recall, mean_average_best_overlap, proposal_recall
from delineate.metrics.segmentation import (
    SEGMENTATION_PROTOCOL,
    SegmentationEvaluation,
    confusion_matrix,
    segmentation_metrics,
)
from delineate.metrics.summary import main_metrics
from delineate.metrics.voc import VOC_PROTOCOL, voc_metrics

__all__ = [
    "COCO_PROTOCOL",
    "LOCALIZATION_PROTOCOL",
    "POSE_PROTOCOL",
    "SEGMENTATION_PROTOCOL",
    "VOC_PROTOCOL",
    "CocoEvaluation",
    "LocalizationEvaluation",
    "OperatingPoint",
    "PictureMistakes",
    "PoseEvaluation",
    "SegmentationEvaluation",
    "Verdicts",
    "average_recall",
    "best_f1",
    "by_content",
    "confusion_matrix",
    "detection_confusion",
    "error_breakdown",
    "judge",
    "main_metrics",
    "mean_average_best_overlap",
    "of_all_classes",
    "precision_recall",
    "proposal_recall",
    "segmentation_metrics",
    "voc_metrics",
    "worst_pictures",
]

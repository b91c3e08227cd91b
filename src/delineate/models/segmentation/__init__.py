"""Dense systems say the class of every pixel: encoder -> decoder(upsampler) -> per-pixel logits."""

from delineate.models.segmentation.fcn import fcn8s, fcn16s, fcn32s
from delineate.models.segmentation.full_resolution import fcn_full_resolution
from delineate.models.segmentation.segmenter import Segmenter, SegmenterReader
from delineate.models.segmentation.segnet import segnet, segnet_basic
from delineate.models.segmentation.sliding_window import sliding_window_segmenter
from delineate.models.segmentation.unet import unet

READERS = (SegmenterReader,)

__all__ = [
    "READERS",
    "Segmenter",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fcn_full_resolution",
    "segnet",
    "segnet_basic",
    "sliding_window_segmenter",
    "unet",
]

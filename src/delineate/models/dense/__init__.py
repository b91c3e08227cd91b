"""Dense systems: the class of every pixel. encoder -> decoder(upsampler) -> per-pixel logits."""

from delineate.models.dense.fcn import fcn8s, fcn16s, fcn32s
from delineate.models.dense.full_resolution import fcn_full_resolution
from delineate.models.dense.segmenter import Segmenter
from delineate.models.dense.segnet import segnet, segnet_basic
from delineate.models.dense.sliding_window import sliding_window_segmenter
from delineate.models.dense.unet import unet

__all__ = [
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

"""Pure functions on tensors, without parameters."""

from delineate.ops import upsampling
from delineate.ops.masks import RLE, decode_rle, encode_rle, paint_label_map

__all__ = ["RLE", "decode_rle", "encode_rle", "paint_label_map", "upsampling"]

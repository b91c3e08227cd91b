"""Pascal VOC (Everingham et al. 2010) has XML files of boxes, lists of pictures, and palette PNGs."""

from delineate.data.formats.voc.reading import Voc, read, recognises, splits
from delineate.data.formats.voc.writing import write

__all__ = ["Voc", "read", "recognises", "splits", "write"]

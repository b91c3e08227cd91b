"""Pascal VOC (Everingham et al. 2010, The Pascal Visual Object Classes): XML boxes, lists of pictures, palette PNGs."""

from delineate.data.formats.voc.reading import Voc, read, recognises, splits
from delineate.data.formats.voc.writing import write

__all__ = ["Voc", "read", "recognises", "splits", "write"]

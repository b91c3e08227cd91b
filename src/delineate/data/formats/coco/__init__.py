"""COCO (Lin et al. 2014, Microsoft COCO): JSON files that name pictures, and the objects in them."""

from delineate.data.formats.coco.reading import Coco, read, recognises, splits
from delineate.data.formats.coco.writing import write

__all__ = ["Coco", "read", "recognises", "splits", "write"]

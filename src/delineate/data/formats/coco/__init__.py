"""COCO (Lin et al. 2014, Microsoft COCO) has JSON files that name pictures, and the objects in them.

Files are in `annotations/`, in a folder for each split (as Roboflow writes them), beside the pictures, or given alone.
"""

from delineate.data.formats.coco.dataset import Coco
from delineate.data.formats.coco.reading import is_large, read, recognises, splits
from delineate.data.formats.coco.writing import write

__all__ = ["Coco", "is_large", "read", "recognises", "splits", "write"]

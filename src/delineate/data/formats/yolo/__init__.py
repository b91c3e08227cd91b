"""YOLO: pictures, and beside them a text file a picture with one line an object."""

from delineate.data.formats.yolo.reading import Yolo, read, recognises, splits
from delineate.data.formats.yolo.writing import write

__all__ = ["Yolo", "read", "recognises", "splits", "write"]

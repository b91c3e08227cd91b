"""YOLO has `data.yaml`, pictures, and a text file a picture with one line an object (Ultralytics' formats).

Darknet's and labelImg's layouts, which have no YAML file, are read as the same thing.
"""

from delineate.data.formats.yolo.reading import Yolo, read, recognises, splits
from delineate.data.formats.yolo.writing import write

__all__ = ["Yolo", "read", "recognises", "splits", "write"]

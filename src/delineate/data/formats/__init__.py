"""The formats of data sets are modules here: each one recognises, reads and, where it can, writes folders."""

from delineate.data.formats.converting import convert
from delineate.data.formats.layouts import FORMATS, WRITTEN, find_split, read_dataset, splits

__all__ = ["FORMATS", "WRITTEN", "convert", "find_split", "read_dataset", "splits"]

"""The formats of data sets are modules here: each one recognises, reads and, where it can, writes folders."""

from delineate.data.formats.layouts import FORMATS, convert, read_dataset, splits

__all__ = ["FORMATS", "convert", "read_dataset", "splits"]

"""Label maps as pictures, in folders of their own."""

from delineate.data.formats.mask_folder.reading import MaskFolder, read, recognises, splits
from delineate.data.formats.mask_folder.writing import write

__all__ = ["MaskFolder", "read", "recognises", "splits", "write"]

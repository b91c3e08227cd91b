"""A mask folder has label maps as pictures: `images/{split}/**`, `labels/{split}/**` (its stem) and `classes.txt`.

Folders without splits are one split, `all`. `masks/` or `annotations/` may stand for `labels/`, in any capitals, and a
split may have a folder of its own that holds both. ADE20K (`annotations/`, `objectInfo150.txt`) and Cityscapes
(`leftImg8bit/`, `gtFine/`) are read as they come, with their own names and values where there is no `classes.txt`.
"""

from delineate.data.formats.mask_folder.reading import MaskFolder, read, recognises, splits
from delineate.data.formats.mask_folder.writing import write

__all__ = ["MaskFolder", "read", "recognises", "splits", "write"]

"""Each tile of a picture becomes a picture of its own to train on, as pictures are cut in use."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from delineate.data.cutting import OVERLAP, Window, windows
from delineate.data.dataset import Dataset, View
from delineate.data.regions import Tiff, is_large_tiff
from delineate.data.transforms import resized_crop
from delineate.values import Sample, Target

LEAST_SHARE = 0.4
"""An object of which a tile has less than this share is neither learned there nor taken for background."""


class Tiles(View):
    """The pictures of another data set are cut into square tiles of `tile` pixels, all that lie in a picture.

    Neighbours overlap by `overlap` pixels or more. Objects are cut, too: one of which little is left is difficult
    there. A picture that is no larger is one tile. Samples of parts are named by file and place, as `a.png#0,448`.
    """

    def __init__(self, whole: Dataset, tile: int, overlap: int = OVERLAP) -> None:
        super().__init__(whole)
        self.rows: list[tuple[int, Window]] = [
            (index, window)
            for index in range(len(whole))
            for window in windows(whole.size(index), (tile, tile), overlap)
        ]
        self.files: Sequence[Path] = [whole.files[index] for index, _ in self.rows]

    def groups(self) -> Int64[Tensor, " p"] | None:
        groups = self.whole.groups()
        return None if groups is None else groups[torch.tensor([index for index, _ in self.rows], dtype=torch.int64)]

    def size(self, index: int) -> tuple[int, int]:
        _, (_, _, height, width) = self.rows[index]
        return height, width

    def check_picture(self, index: int) -> None:
        self.whole.check_picture(self.rows[index][0])

    def annotation_file(self, index: int) -> Path:
        return self.whole.annotation_file(self.rows[index][0])

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        """Give what of the picture's annotation lies in the tile."""
        picture, window = self.rows[index]
        return cut_target(self.whole.target(picture, self.whole.size(picture)), window)

    def __getitem__(self, index: int) -> Sample:
        picture, window = self.rows[index]
        top, left, height, width = window
        file = self.whole.files[picture]
        if is_large_tiff(file):
            with closing(Tiff(file)) as regions:
                image = regions.read(window)
            sample = Sample(image=image, target=self.target(index, (height, width)), file=str(file))
        else:
            whole = self.whole[picture]
            image = whole.image[:, top : top + height, left : left + width]
            sample = replace(whole, image=image, target=cut_target(whole.target, window))
        is_part = self.whole.size(picture) != (height, width)
        return replace(sample, file=f"{sample.file}#{top},{left}") if is_part else sample


def cut_target(target: Target, window: Window) -> Target:
    """Give what lies in a window, in its own pixels; objects of which less than `LEAST_SHARE` does are difficult.

    Those that lie outside go.
    """
    _, _, height, width = window
    if target.image_size == (height, width):
        return target
    marked = replace(target, difficult=target.difficult | little_left(target, window))
    nothing = torch.zeros(1, dtype=torch.uint8).expand(3, *target.image_size)
    return resized_crop(Sample(image=nothing, target=marked, file=""), window, (height, width)).target


def little_left(target: Target, window: Window) -> Bool[Tensor, " n"]:
    """Tell of which objects less than `LEAST_SHARE` lies in a window: of masks, or of boxes without."""
    top, left, height, width = window
    if target.masks is not None:
        inside = target.masks[:, top : top + height, left : left + width]
        return inside.flatten(1).sum(1) < LEAST_SHARE * target.masks.flatten(1).sum(1)
    low, high = torch.tensor([left, top]).repeat(2), torch.tensor([left + width, top + height]).repeat(2)
    cut = target.boxes.clamp(low, high)
    shares = (cut[:, 2:] - cut[:, :2]).prod(1) / (target.boxes[:, 2:] - target.boxes[:, :2]).prod(1)
    return shares < LEAST_SHARE

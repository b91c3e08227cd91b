"""What every reader gives: a sequence of samples whose pictures are decoded when asked for."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from torch.utils.data import Dataset as TorchDataset

from delineate.data.images import read_image
from delineate.values import Categories, Sample, Target

Content = Literal["boxes", "masks", "keypoints", "label_map"]


class Dataset(TorchDataset[Sample], ABC):
    """A sequence of annotated pictures.

    `categories` names the classes, `contents` says which annotations the data set has, `files` are the pictures, and
    `problems` are the lines a reader has to say: what it left out of the files, and why.
    """

    categories: Categories
    contents: frozenset[Content]
    files: Sequence[Path]
    problems: Sequence[str] = ()

    @abstractmethod
    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        """What is known of picture `index`, whose decoded `(height, width)` is given."""

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        image = read_image(self.files[index])
        height, width = image.shape[-2:]
        return Sample(image=image, target=self.target(index, (height, width)), file=str(self.files[index]))

"""A data set's pictures come with proposals, which are searched once and kept on disk."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from delineate.data.dataset import Dataset, View
from delineate.data.folders import kept_beside
from delineate.data.transforms import changed
from delineate.io.files import written_beside
from delineate.values import Sample

Find = Callable[[UInt8[Tensor, "3 h w"]], Float[Tensor, "p 4"]]


@runtime_checkable
class Search(Protocol):
    """A search is a proposer that looks at pixels, or at the size alone, before the network runs.

    `settings` tell its proposals from others'. Those that can be `kept` do not depend on the size that a picture is
    resized to; they are found once and kept on disk.
    """

    @property
    def settings(self) -> str: ...

    @property
    def kept(self) -> bool: ...

    def boxes(self, image: UInt8[Tensor, "3 h w"]) -> Float[Tensor, "p 4"]:
        """Find the boxes of one RGB picture that may hold an object, the likeliest first, on the CPU."""


class WithProposals(View):
    """The targets of this data set have the proposals that `find` gives for the whole picture.

    They are kept in files under `folder`, named by the picture's content and by `settings`, which tells proposers
    apart; nothing is kept of a picture that is no file, or where `folder` is `None`.
    """

    def __init__(self, whole: Dataset, find: Find, *, settings: str, folder: Path | None) -> None:
        super().__init__(whole)
        self.find, self.settings, self.folder = find, settings, folder

    def __getitem__(self, index: int) -> Sample:
        sample = self.whole[index]
        proposals = self._proposals(Path(sample.file), sample.image)
        return replace(sample, target=changed(sample.target, proposals=proposals))

    def _proposals(self, file: Path, image: Tensor) -> Tensor:
        if self.folder is None or not file.is_file():
            return self.find(image)
        kept = self.folder / f"{_key(file, self.settings)}.npy"
        if kept.is_file():
            return torch.from_numpy(np.load(kept, allow_pickle=False))
        boxes = self.find(image)
        with written_beside(kept) as beside, beside.open("wb") as opened:
            np.save(opened, boxes.numpy(), allow_pickle=False)
        return boxes


def with_proposals(dataset: Dataset, search: Search | None, root: Path) -> Dataset:
    """Give the data set at `root` the proposals of a search that can be kept; else leave it as it is."""
    if search is None or not search.kept:
        return dataset
    return WithProposals(dataset, search.boxes, settings=search.settings, folder=proposals_folder(root))


def proposals_folder(data: Path) -> Path | None:
    """Find where proposals of a data set are kept: in it, or in the user's cache where it cannot be written to."""
    return kept_beside(data, "proposals")


def _key(file: Path, settings: str) -> str:
    content = hashlib.blake2b(file.read_bytes(), digest_size=16)
    content.update(settings.encode())
    return content.hexdigest()

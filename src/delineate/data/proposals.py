"""Proposals that a data set's pictures come with, found once and kept on disk."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from delineate.data.dataset import Dataset
from delineate.data.transforms import changed
from delineate.io.files import written_beside
from delineate.values import Sample, Target

Find = Callable[[UInt8[Tensor, "3 h w"]], Float[Tensor, "p 4"]]


class WithProposals(Dataset):
    """A data set whose targets have the proposals that `find` gives for the whole picture.

    They are kept in files under `folder`, named by the picture's content and by `settings`, which tells proposers
    apart; nothing is kept of a picture that is no file, or where `folder` is `None`.
    """

    def __init__(self, whole: Dataset, find: Find, *, settings: str, folder: Path | None) -> None:
        self.whole, self.find, self.settings, self.folder = whole, find, settings, folder
        self.categories, self.contents, self.problems = whole.categories, whole.contents, whole.problems
        self.files: Sequence[Path] = whole.files

    def target(self, index: int, image_size: tuple[int, int]) -> Target:
        return self.whole.target(index, image_size)

    def __getitem__(self, index: int) -> Sample:
        sample = self.whole[index]
        proposals = self._proposals(Path(sample.file), sample.image)
        target = changed(sample.target, proposals=proposals)
        return Sample(image=sample.image, target=target, file=sample.file)

    def _proposals(self, file: Path, image: Tensor) -> Tensor:
        if self.folder is None or not file.is_file():
            return self.find(image)
        kept = self.folder / f"{_key(file, self.settings)}.npy"
        if kept.is_file():
            return torch.from_numpy(np.load(kept, allow_pickle=False))
        found = self.find(image)
        with written_beside(kept) as beside, beside.open("wb") as opened:
            np.save(opened, found.numpy(), allow_pickle=False)
        return found


def proposals_folder(data: Path) -> Path | None:
    """Where proposals of a data set are kept: in it, or in the user's cache where it cannot be written to."""
    root = data if data.is_dir() else data.parent
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "delineate"
    for home in (root / ".delineate", cache):
        folder = home / "proposals"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


def _key(file: Path, settings: str) -> str:
    content = hashlib.blake2b(file.read_bytes(), digest_size=16)
    content.update(settings.encode())
    return content.hexdigest()
